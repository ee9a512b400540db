package queue

import (
	"context"
	"errors"
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
	p, err := q.prepare(ctx, &env, body)
	if err != nil {
		return Receipt{}, err
	}
	defer p.close()
	if err := q.commit(ctx, p.record, p); err != nil {
		return Receipt{}, err
	}
	q.log.enqueued(p)
	return p.receipt(), nil
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
func (q *Queue) prepare(ctx context.Context, env *Envelope, body io.Reader) (p *parcel, err error) {
	if err := env.check(); err != nil {
		return nil, err
	}
	if env.Size > q.o.MaxSize {
		return nil, ErrTooLong
	}
	p = &parcel{q: q, env: env}
	if p.plan, err = q.plan(ctx, env); err != nil {
		return nil, err
	}
	if len(p.plan.dests) > 0 {
		if err := q.full(ctx); err != nil {
			return nil, err
		}
	}
	if p.id, err = q.ids.take(ctx, q.store); err != nil {
		return nil, err
	}
	if err := p.sort(); err != nil {
		return nil, err
	}
	if err := p.write(ctx, body); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
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
	now := p.q.o.Now()
	received := p.q.received(&p.env.Source, p.id, now)
	for _, v := range p.versions {
		if err := p.begin(ctx, v, received); err != nil {
			return err
		}
	}
	f := &filter{
		w:          p,
		individual: []byte(p.q.o.Individual),
		maxHops:    p.q.o.MaxHops,
		complete:   p.env.Submission,
		missing: func(date, messageID bool) []byte {
			return p.q.missing(p.id, now, date, messageID)
		},
	}
	m := meter{w: f, max: p.q.o.MaxSize}
	if _, err := io.Copy(&m, body); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	for i, v := range p.versions {
		s := v.draft.Finish()
		if i == 0 {
			p.subject = s.MessageID
			p.outgoing(v, s.Size-v.offset, s.EightBit)
		}
	}
	return nil
}

// begin opens the draft of a version with the fields that are ours.
func (p *parcel) begin(ctx context.Context, v *version, received []byte) (err error) {
	head := p.q.localFields(p.env.From, v.individuals)
	v.offset = int64(len(head))
	head = append(head, received...)
	size := p.env.Size
	if size > 0 {
		size += int64(len(head))
	}
	if v.draft, err = p.q.store.Draft(ctx, size); err != nil {
		return err
	}
	_, err = v.draft.Write(head)
	return err
}

// Write gives the octets to all versions.
func (p *parcel) Write(b []byte) (int, error) {
	for _, v := range p.versions {
		if n, err := v.draft.Write(b); err != nil {
			return n, err
		}
	}
	return len(b), nil
}

// outgoing makes the record for the remote recipients, if there are any.
func (p *parcel) outgoing(v *version, size int64, bits8 bool) {
	if len(p.plan.dests) == 0 {
		return
	}
	p.message = &message{
		id:      p.id,
		from:    p.env.From,
		offset:  v.offset,
		size:    size,
		created: p.q.o.Now(),
		bits8:   bits8,
		pending: uint32(len(p.plan.dests)),
	}
	if a := p.env.Source.Account; a != nil {
		p.message.account = a.Address()
	}
}

// record enters the whole message. It may run more than once.
func (p *parcel) record(tx *store.Tx) error {
	for i, v := range p.versions {
		body, err := tx.Keep(v.draft)
		if err != nil {
			return err
		}
		for _, c := range v.copies {
			if err := deliver(tx, c, body); err != nil {
				return err
			}
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
	return nil
}

// deliver appends one local copy.
func deliver(tx *store.Tx, c *copyTo, body store.Body) error {
	ref := store.MailboxRef{Account: c.account.ID, Name: c.mailbox}
	if ref.Name == "" {
		ref.Name = "INBOX"
	}
	_, err := tx.Append(store.System(), ref, store.NewMessage{Body: body})
	if c.mailbox != "" && noMailbox(err) {
		return &strayError{c, err}
	}
	return c.refusal(err)
}

// strayError says that the mailbox of a copy cannot take it.
type strayError struct {
	copy *copyTo
	err  error
}

func (e *strayError) Error() string { return e.err.Error() }
func (e *strayError) Unwrap() error { return e.err }

func noMailbox(err error) bool {
	return errors.Is(err, store.ErrNoMailbox) || errors.Is(err, store.ErrNotSelectable) || errors.Is(err, store.ErrBadName)
}

// commit runs a transaction that records parcels. A mailbox that does not exist,
// or holds no messages, is no reason to refuse mail: its copy goes to the INBOX
// instead.
func (q *Queue) commit(ctx context.Context, fn func(*store.Tx) error, parcels ...*parcel) error {
	for {
		err := q.store.Update(ctx, fn)
		var stray *strayError
		if !errors.As(err, &stray) {
			return err
		}
		for _, p := range parcels {
			p.toInbox(stray.copy)
		}
	}
}

// toInbox sends a copy to the INBOX, unless the account gets the same one there
// anyway.
func (p *parcel) toInbox(c *copyTo) {
	for _, v := range p.versions {
		i := slices.Index(v.copies, c)
		if i < 0 {
			continue
		}
		c.mailbox = ""
		if slices.ContainsFunc(v.copies, func(o *copyTo) bool {
			return o != c && o.account.ID == c.account.ID && o.mailbox == ""
		}) {
			v.copies = slices.Delete(v.copies, i, i+1)
			p.plan.copies = slices.DeleteFunc(p.plan.copies, func(o *copyTo) bool { return o == c })
		}
	}
}

// refusal names the recipient where the failure is about it.
func (c *copyTo) refusal(err error) error {
	switch {
	case errors.Is(err, store.ErrOverQuota):
		return overQuota(c.address)
	case errors.Is(err, store.ErrNoAccount):
		return &RecipientError{Address: c.address, Code: 550, Enhanced: "5.1.1",
			Reason: "no such recipient", Err: err}
	}
	return err
}

// receipt is what the submitter is told.
func (p *parcel) receipt() Receipt {
	r := Receipt{ID: formatID(p.id), Local: len(p.plan.copies)}
	for _, d := range p.plan.dests {
		r.Remote += len(d.recipients)
	}
	return r
}

// close lets go of the drafts. What was recorded stays.
func (p *parcel) close() {
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
