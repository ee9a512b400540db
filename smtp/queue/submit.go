package queue

import (
	"context"
	"io"
	"slices"

	"tripost/store"
)

// Submit routes each recipient, takes the body once, and records the body, the
// local copies and the remote recipients in one transaction. It returns when
// that is durable.
//
// It is all or nothing. When one recipient cannot be taken the error is a
// [*RecipientError]. An error of body's Read is returned as it is. Other errors
// to be told apart are [ErrTooLong], [ErrLoop], [ErrQueueFull] and those of the
// store. The body is read to its end only when nothing fails before.
func (q *Queue) Submit(ctx context.Context, env Envelope, body io.Reader) (Receipt, error) {
	p, err := q.submit(ctx, &env, body, q.plan)
	if err != nil {
		return Receipt{}, err
	}
	return p.receipt(), nil
}

// SubmitEach is Submit for those who get an answer for each recipient, as in
// LMTP (RFC 2033 section 4.2): who cannot be taken does not keep the others from
// getting the message. refused has an entry for each recipient of the envelope,
// nil for who was taken. The error is about all of them.
func (q *Queue) SubmitEach(ctx context.Context, env Envelope, body io.Reader) (r Receipt, refused []*RecipientError, err error) {
	p, err := q.submit(ctx, &env, body, q.planEach)
	if err != nil {
		return Receipt{}, nil, err
	}
	refused = make([]*RecipientError, len(env.Recipients))
	for i, addr := range env.Recipients {
		refused[i] = p.plan.refused[addr]
	}
	return p.receipt(), refused, nil
}

type planner func(context.Context, *Envelope) (*plan, error)

func (q *Queue) submit(ctx context.Context, env *Envelope, body io.Reader, plan planner) (*parcel, error) {
	p, err := q.prepare(ctx, env, body, plan)
	if err != nil {
		return nil, err
	}
	defer p.close()
	if err := q.commit(ctx, p.record, p); err != nil {
		return nil, err
	}
	q.entered(p)
	return p, nil
}

// parcel is a message that is routed and written, but not yet recorded.
type parcel struct {
	q        *Queue
	env      *Envelope
	id       uint64
	plan     *plan
	versions []*version // the first one is what is sent to other hosts
	message  *message   // nil when nothing goes out
	subject  string     // Message-ID, for the log
	identity *identity  // of the account that submits, or nil
	keep     int        // octets of the begin of the message that are kept in head
	head     []byte
	counted  int // recipients that the account is charged with
	recorded bool
	spool    *spool // of a message that is judged, or nil
	fields   []byte // for the top, as the judgement has it

	reporting bool      // the sender may have to be told something at once
	reports   []*parcel // to the sender, about recipients whose way ends here

	rules  ruling
	groups []*groupCopy // for the members of groups that get a message of their own
	within *parcel      // the one whose group it is for, or nil
}

// version is one body. There is more than one only when several accounts get
// different fields of individual recipients: who shares an account may know of
// each other, others may not.
type version struct {
	individuals []string
	copies      []*copyTo
	draft       *store.Draft
	offset      int64 // octets of the fields for local copies
}

// prepare does everything that needs no transaction. The parcel must be closed.
func (q *Queue) prepare(ctx context.Context, env *Envelope, body io.Reader, plan planner) (p *parcel, err error) {
	return q.prepareAt(ctx, env, body, plan, ruling{made: new(int)})
}

// prepareAt is prepare for what rules send.
func (q *Queue) prepareAt(ctx context.Context, env *Envelope, body io.Reader, plan planner, rules ruling) (p *parcel, err error) {
	if p, err = q.open(ctx, env, plan, rules); err != nil {
		return nil, err
	}
	if body, err = p.inspect(ctx, body); err == nil {
		err = p.arrange(ctx)
	}
	if err == nil {
		err = p.write(ctx, body)
	}
	if err == nil {
		err = p.identity.checkHeader(ctx, p.head)
	}
	if err == nil {
		err = p.count()
	}
	if err != nil {
		p.close()
		return nil, err
	}
	p.notify(ctx)
	return p, nil
}

// open does what comes before the body: it checks the envelope, routes the
// recipients and takes an id.
func (q *Queue) open(ctx context.Context, env *Envelope, plan planner, rules ruling) (p *parcel, err error) {
	if err := env.check(); err != nil {
		return nil, err
	}
	if env.Size > q.o.MaxSize {
		return nil, ErrTooLong
	}
	p = &parcel{q: q, env: env, identity: q.identityOf(&env.Source), rules: rules}
	if err := q.checkAccount(ctx, &env.Source); err != nil {
		return nil, err
	}
	if err := p.identity.check(ctx, env.From); err != nil {
		return nil, err
	}
	if p.plan, err = plan(ctx, env); err != nil {
		return nil, err
	}
	if env.Source.must {
		p.plan.exceed()
	}
	if len(p.plan.dests) > 0 {
		if err := q.full(ctx); err != nil {
			return nil, err
		}
	}
	if p.id, err = q.ids.take(ctx, q.store); err != nil {
		return nil, err
	}
	return p, p.openGroups(ctx)
}

// arrange sorts the copies, and says how much of the header is needed.
func (p *parcel) arrange(ctx context.Context) error {
	if err := p.sort(); err != nil {
		return err
	}
	p.reporting = p.env.From != "" && (p.plan.listed || len(p.notices()) > 0)
	if p.reporting {
		p.keep = maxReturned
	}
	if p.identity != nil {
		p.keep = holdAt
	}
	if p.plan.once || len(p.groups) > 0 {
		p.keep = holdAt
	}
	for _, g := range p.groups {
		if err := g.arrange(ctx); err != nil {
			return err
		}
	}
	return p.loadRules(ctx)
}

// count charges the account with the recipients elsewhere. What is not recorded
// in the end is taken back when the parcel is closed.
func (p *parcel) count() error {
	a := p.env.Source.sender()
	if a == nil {
		return nil
	}
	n := p.receipt().Remote
	err := p.q.flow.take(a.ID, n)
	if err == nil {
		p.counted = n
	}
	return err
}

func (p *parcel) uncount() {
	if p.counted > 0 && !p.recorded {
		p.q.flow.back(p.env.Source.sender().ID, p.counted)
		p.counted = 0
	}
}

// MaxShared is how many shared accounts one message may have as recipients: each
// needs a body of its own, so that nobody learns of individuals elsewhere.
const MaxShared = 20

// sort puts copies with the same individual recipients together.
func (p *parcel) sort() error {
	p.versions = []*version{{}}
	for _, c := range p.plan.copies {
		v := p.version(c.individuals)
		v.copies = append(v.copies, c)
		if len(p.versions) > MaxShared+1 {
			return &RecipientError{Address: c.address, Code: 452, Enhanced: "4.5.3",
				Reason: "too many shared accounts for one message"}
		}
	}
	// Nobody gets the common version: do not write it.
	if first := p.versions[0]; len(first.copies) == 0 && len(p.plan.dests) == 0 && len(p.versions) > 1 {
		p.versions = p.versions[1:]
	}
	return nil
}

func (p *parcel) version(individuals []string) *version {
	for _, v := range p.versions {
		if slices.Equal(v.individuals, individuals) {
			return v
		}
	}
	v := &version{individuals: individuals}
	p.versions = append(p.versions, v)
	return v
}

// write streams the body into the drafts.
func (p *parcel) write(ctx context.Context, body io.Reader) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	f := &filter{
		w:          writerFunc(func(b []byte) (int, error) { return p.take(ctx, b) }),
		individual: []byte(p.q.o.Individual),
		results:    p.q.resultsOf(&p.env.Source),
		maxHops:    p.q.o.MaxHops,
		complete:   p.env.Submission,
		watch:      p.env.SMTPUTF8,
		missing: func(date, messageID bool) []byte {
			return p.q.missing(p.id, p.q.o.Now(), date, messageID)
		},
	}
	m := meter{w: f, max: p.q.o.MaxSize}
	if _, err := io.Copy(&m, body); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return p.finish(ctx, f)
}

// finish comes behind the last octet. f has seen the header.
func (p *parcel) finish(ctx context.Context, f *filter) error {
	if err := p.decide(ctx); err != nil { // the message is nothing but a header
		return err
	}
	for i, v := range p.versions {
		s := v.draft.Finish()
		if i == 0 {
			p.subject = s.MessageID
			p.outgoing(v, s.Size-v.offset, s.EightBit, f)
		}
	}
	for _, child := range p.rules.forwards {
		if err := child.finish(ctx, f); err != nil {
			return err
		}
	}
	return p.finishGroups(ctx, f)
}

// writerFunc is a function as an io.Writer.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// begin opens the drafts.
func (p *parcel) begin(ctx context.Context) error {
	received := append(p.fields, p.q.received(&p.env.Source, p.id, p.q.o.Now())...)
	for _, v := range p.versions {
		if err := p.beginVersion(ctx, v, received); err != nil {
			return err
		}
	}
	return nil
}

// beginVersion opens the draft of a version with the fields that are ours.
func (p *parcel) beginVersion(ctx context.Context, v *version, received []byte) (err error) {
	head := p.q.localFields(p.env.From, v.individuals)
	v.offset = int64(len(head))
	head = append(head, received...)
	if p.keep > 0 {
		p.head = received
	}
	size := p.env.Size
	if size > 0 {
		size += int64(len(head))
	}
	if v.draft, err = p.q.store.Draft(ctx, size); err != nil {
		return err
	}
	if p.env.SMTPUTF8 {
		v.draft.International()
	}
	_, err = v.draft.Write(head)
	return err
}

// take gives octets to all versions, and to what rules pass on. Rules are looked
// at as soon as the header is there.
func (p *parcel) take(ctx context.Context, b []byte) (int, error) {
	n := 0
	if p.undecided() {
		n = max(0, min(len(b), p.keep-len(p.head))) // head is all there is so far; what judges have added may be long
		if err := p.put(ctx, b[:n]); err != nil {
			return 0, err
		}
		if p.headerRead() {
			if err := p.decide(ctx); err != nil {
				return n, err
			}
		}
	}
	return len(b), p.put(ctx, b[n:])
}

func (p *parcel) put(ctx context.Context, b []byte) error {
	if room := p.keep - len(p.head); room > 0 {
		p.head = append(p.head, b[:min(len(b), room)]...)
	}
	for _, v := range p.versions {
		if _, err := v.draft.Write(b); err != nil {
			return err
		}
	}
	for _, f := range p.rules.forwards {
		if _, err := f.take(ctx, b); err != nil {
			return err
		}
	}
	return p.putToGroups(b)
}

// outgoing makes the record for the remote recipients, if there are any.
func (p *parcel) outgoing(v *version, size int64, bits8 bool, f *filter) {
	if len(p.plan.dests) == 0 {
		return
	}
	p.message = &message{
		id:       p.id,
		from:     p.env.From,
		offset:   v.offset,
		size:     size,
		created:  p.q.o.Now(),
		bits8:    bits8,
		utf8:     p.env.SMTPUTF8 && (p.env.international() || f.high),
		binary:   p.env.Binary,
		ours:     p.env.Source.ours(),
		pending:  uint32(len(p.plan.dests)),
		returns:  p.env.Return,
		envelope: p.env.EnvelopeID,
	}
	p.message.requireTLS = p.env.RequireTLS
	p.message.tlsOptional = f.anyWay && !p.env.RequireTLS
	if a := p.env.Source.sender(); a != nil {
		p.message.account = a.Address()
	}
}

// record enters the whole message, with the reports about it. It may run more than once.
func (p *parcel) record(tx *store.Tx) error {
	if err := p.q.mayStillSend(tx, &p.env.Source); err != nil {
		return err
	}
	o := p.chronicle()
	for i, v := range p.versions {
		body, err := tx.Keep(v.draft)
		if err != nil {
			return err
		}
		o.kept(body)
		for _, c := range v.copies {
			at, err := deliver(tx, c, body)
			if err != nil {
				return err
			}
			o.delivered(c, at)
		}
		if i == 0 && p.message != nil {
			if err := p.q.enqueue(tx, *p.message, p.plan.dests, body); err != nil {
				return err
			}
			continue // the queue has taken over the reference
		}
		if err := tx.Drop(body); err != nil {
			return err
		}
	}
	for _, r := range p.reports {
		if err := r.record(tx); err != nil {
			return err
		}
	}
	for _, g := range p.groups {
		if err := g.record(tx); err != nil {
			return err
		}
	}
	if err := p.recordRuled(tx); err != nil {
		return err
	}
	o.addSteps(p)
	return o.record(tx)
}

// receipt is what the submitter is told.
func (p *parcel) receipt() Receipt {
	r := Receipt{ID: formatID(p.id), Local: len(p.plan.copies)}
	for _, d := range p.plan.dests {
		r.Remote += len(d.recipients)
	}
	for _, g := range p.groups {
		of := g.receipt()
		r.Local += of.Local
		r.Remote += of.Remote
	}
	return r
}

// close lets go of the drafts. What was recorded stays.
func (p *parcel) close() {
	p.uncount()
	closeAll(p.reports)
	p.spool.close()
	p.closeRuled()
	for _, g := range p.groups {
		g.close()
	}
	for _, v := range p.versions {
		if v.draft != nil {
			_ = v.draft.Close() // a draft that is kept, or was never wanted
		}
	}
}

// meter passes on at most max octets.
type meter struct {
	w   io.Writer
	max int64
}

func (m *meter) Write(p []byte) (int, error) {
	if m.max -= int64(len(p)); m.max < 0 {
		return 0, ErrTooLong
	}
	return m.w.Write(p)
}
