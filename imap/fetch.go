package imap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"tripost/message"
	"tripost/store"
	"tripost/store/engine"
	"tripost/syslog"
)

// fetch answers FETCH and UID FETCH. RFC 3501 section 6.4.5.
func (s *session) fetch(ctx context.Context, cmd *command) (completion, error) {
	p, limits := &cmd.args, s.srv.cfg.Limits
	p.space()
	set := p.set(limits.SetRanges)
	p.space()
	plan := p.fetchPlan(limits.FetchItems)
	var only fetchModifiers
	if p.accept(' ') {
		p.fetchModifiers(&only)
	}
	if err := p.end(); err != nil {
		return completion{}, err
	}
	if cmd.uid && !s.has(featureUIDOnly) {
		plan.items |= fetchUID // RFC 3501 section 6.4.8
	}
	if only.changed {
		plan.items |= fetchModSeq // RFC 7162 section 3.1.4.1
	}
	if plan.items&fetchModSeq != 0 {
		s.enableCondstore()
	}
	if only.vanished && !(cmd.uid && only.changed && s.has(featureQresync)) {
		return bad("VANISHED is for UID FETCH with CHANGEDSINCE, once QRESYNC is enabled"), nil
	}
	if only.page != nil && !cmd.uid {
		return bad("PARTIAL is for UID FETCH"), nil
	}
	q, err := s.messages(ctx, cmd.uid, set)
	if only.page != nil {
		if err := s.withinLimit(only.page.hi - only.page.lo + 1); err != nil {
			return completion{}, err
		}
		q = only.page.cutSet(q)
	}
	if err == nil && only.changed {
		q, err = s.changedSince(ctx, q, set, &only)
	}
	if err != nil {
		return completion{}, err
	}
	q, lowest := s.cut(q)
	f := fetcher{s: s, plan: &plan, marked: s.markSeen(ctx, q, &plan), backward: lowest != 0}
	if err := f.run(ctx, q); err != nil {
		return completion{}, err
	}
	return s.asFarAs(f.done(), lowest), nil
}

// messages finds the messages that a set names in the selected mailbox.
func (s *session) messages(ctx context.Context, uid bool, set []numRange) (seqSet, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	switch {
	case isSaved(set):
		return resolveSaved(s.saved, s.view), nil
	case uid:
		return resolveUIDs(set, s.view), nil
	}
	return resolveSeqs(set, s.view.Len(), true)
}

// markSeen sets \Seen where the plan asks for texts without PEEK, in one
// transaction, and returns the sequence numbers of messages that may not have had it.
// Where the flag cannot be set the texts are still to be had.
func (s *session) markSeen(ctx context.Context, q seqSet, plan *fetchPlan) []int {
	if !plan.marks || s.view.ReadOnly() || s.view.Mailbox().Rights&store.RightSeen == 0 {
		return nil
	}
	var unseen store.UIDSet
	stale := s.view.Changed() // another session may have taken \Seen away meanwhile
	for _, r := range q {
		for seq := r.lo; seq <= r.hi; seq++ {
			if m := s.view.At(seq); stale || m.Flags&store.FlagSeen == 0 {
				unseen.Add(m.UID, m.UID)
			}
		}
	}
	if len(unseen) == 0 {
		return nil
	}
	marked, _, err := s.view.SetFlags(ctx, unseen, store.FlagsAdd, store.FlagSet{System: store.FlagSeen}, 0)
	if err != nil {
		s.log.Logf(syslog.Problem, "reading does not set \\Seen: %v", err)
		return nil
	}
	return marked
}

// Messages are fetched in batches, one transaction for each, which has ended when
// the lines go to the client. A transaction costs as much as some twenty records.
const (
	batchMessages = 1024
	batchRecords  = 128 << 10 // octets of records copied, after which a batch is closed
	batchLines    = 192 << 10 // octets of lines written, likewise
)

// fetcher writes the lines of one FETCH.
type fetcher struct {
	s      *session
	plan   *fetchPlan
	marked []int // ascending

	backward bool // the last message first

	seqs    []int               // of the batch
	saved   map[store.UID]int64 // save dates of the batch
	bodies  []store.Body
	records [][]byte // of the batch, pieces of arena; nil: none
	arena   []byte
	opened  []opened // bodies of the messages that are written next
	header  []byte   // of the section that is being written
	line    lineWriter

	gone    bool // a message could not be given because it has been removed
	damaged bool // or because what is stored is damaged
	unknown bool // a part has a transfer encoding that cannot be taken off
}

func (f *fetcher) done() completion {
	switch {
	case f.damaged:
		return no("CORRUPTION", "Some messages are damaged")
	case f.unknown:
		return no("UNKNOWN-CTE", "Some parts have a transfer encoding that is not known")
	case f.gone:
		return no("EXPUNGEISSUED", "Some of these messages no longer exist")
	}
	return ok("Done")
}

func (f *fetcher) run(ctx context.Context, q seqSet) error {
	simple := !f.plan.record && len(f.plan.sections) == 0 && f.plan.items&fetchSaveDate == 0
	if !simple { // what follows is nobody's business, at no level of the log
		f.s.c.Opaque(true)
		defer f.s.c.Opaque(false)
	}
	for i := range q {
		r := q[i]
		if f.backward {
			r = q[len(q)-1-i]
		}
		for n := range r.hi - r.lo + 1 {
			seq := r.lo + n
			if f.backward {
				seq = r.hi - n
			}
			if simple {
				f.s.c.Done(append(f.start(f.s.c.Out(), seq, f.s.view.At(seq)), ")\r\n"...))
				if seq%1024 == 0 && f.stopped(ctx) != nil {
					return f.stopped(ctx)
				}
				continue
			}
			if f.seqs = append(f.seqs, seq); len(f.seqs) == batchMessages {
				if err := f.batch(ctx); err != nil {
					return err
				}
			}
		}
	}
	return f.batch(ctx)
}

// stopped ends a long FETCH when the server stops or the client has gone.
func (f *fetcher) stopped(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := f.s.c.Write(nil)
	return broken(err)
}

// batch writes the lines of the messages that have come together.
func (f *fetcher) batch(ctx context.Context) error {
	for len(f.seqs) > 0 {
		if err := f.stopped(ctx); err != nil {
			return err
		}
		n, err := f.some(ctx)
		if err != nil {
			return err
		}
		f.seqs = slices.Delete(f.seqs, 0, n)
	}
	return nil
}

// some writes the lines of the batch, or of its first messages where that is much,
// and returns how many messages it has dealt with.
func (f *fetcher) some(ctx context.Context) (n int, err error) {
	if f.plan.items&fetchSaveDate != 0 {
		if err := f.readSaveDates(ctx); err != nil {
			return 0, err
		}
	}
	switch {
	case len(f.plan.sections) == 0 && !f.plan.record:
		for _, seq := range f.seqs {
			f.s.c.Done(append(f.start(f.s.c.Out(), seq, f.s.view.At(seq)), ")\r\n"...))
		}
		return len(f.seqs), nil
	case len(f.plan.sections) == 0:
		return f.recordLines(ctx)
	case f.plan.record:
		n, err = f.readRecords(ctx)
	default:
		n = len(f.seqs)
	}
	for i := 0; err == nil && i < n; i++ {
		if err = f.stopped(ctx); err == nil && i%openTogether == 0 {
			err = f.openSome(ctx, f.seqs[i:min(i+openTogether, n)])
		}
		if err == nil {
			err = f.message(i, f.seqs[i])
		}
	}
	f.closeOpened()
	return n, err
}

// openTogether is how many bodies are opened with one look into the store. A large
// one holds a file open.
const openTogether = 16

// opened is a body that was opened with others, or why it could not be.
type opened struct {
	body engine.Body
	err  error
}

func (f *fetcher) openSome(ctx context.Context, seqs []int) error {
	f.closeOpened()
	return f.s.view.OpenBodies(ctx, seqs, func(_ int, b engine.Body, err error) {
		f.opened = append(f.opened, opened{b, err})
	})
}

func (f *fetcher) closeOpened() {
	for _, o := range f.opened {
		if o.err == nil {
			o.body.Close()
		}
	}
	f.opened = f.opened[:0]
}

// recordLines writes lines of which everything stands in the view and in the
// stored records, as these are read.
func (f *fetcher) recordLines(ctx context.Context) (int, error) {
	b := f.s.c.Out()
	start := len(b)
	n, err := f.s.srv.cfg.Store.Records(ctx, f.batchBodies(), func(i int, r message.Record) bool {
		if r == nil {
			f.gone = true
			return true
		}
		if len(r) == 0 {
			f.skip(f.seqs[i], errDamagedRecord)
			return true
		}
		b = f.start(b, f.seqs[i], f.s.view.At(f.seqs[i]))
		b = append(f.fromRecord(b, r), ")\r\n"...)
		return len(b)-start < batchLines
	})
	f.s.c.Done(b)
	return n, err
}

// batchBodies lists the bodies of the batch.
func (f *fetcher) batchBodies() []store.Body {
	f.bodies = f.bodies[:0]
	for _, seq := range f.seqs {
		f.bodies = append(f.bodies, f.s.view.At(seq).Body)
	}
	return f.bodies
}

// readRecords copies the records of the batch, or of its first messages when they
// are large, and returns how many it has dealt with.
func (f *fetcher) readRecords(ctx context.Context) (int, error) {
	f.records, f.arena = f.records[:0], f.arena[:0]
	return f.s.srv.cfg.Store.Records(ctx, f.batchBodies(), func(_ int, r message.Record) bool {
		if len(r) == 0 { // there is none, or it is damaged
			f.records = append(f.records, r)
			return true
		}
		start := len(f.arena)
		f.arena = append(f.arena, r...)
		f.records = append(f.records, f.arena[start:len(f.arena):len(f.arena)])
		return len(f.arena) < batchRecords
	})
}

// message writes the line of one message, the i-th of the batch, of which sections
// are asked for.
func (f *fetcher) message(i, seq int) error {
	var rec message.Record
	if f.plan.record {
		if rec = f.records[i]; rec == nil {
			f.gone = true
			return nil
		}
		if !rec.Valid() { // with its parts
			return f.skip(seq, errDamagedRecord)
		}
	}
	body, err := f.opened[i%openTogether].body, f.opened[i%openTogether].err
	if err != nil {
		return f.skip(seq, err)
	}
	b := f.s.c.Out()
	start := len(b)
	b = f.start(b, seq, f.s.view.At(seq))
	b = f.fromRecord(b, rec)
	w := &f.line
	*w = lineWriter{fetcher: f, b: b, start: start, items: b[len(b)-1] != '('}
	for j := range f.plan.sections {
		if err := w.section(&f.plan.sections[j], rec, body); err != nil {
			return w.abandon(seq, err)
		}
	}
	w.end()
	if f.plan.texts() {
		f.s.view.Read(f.s.view.At(seq).UID)
	}
	return nil
}

var errDamagedRecord = fmt.Errorf("its record: %w", engine.ErrDamaged)

// skip leaves a message out whose body cannot be opened.
func (f *fetcher) skip(seq int, err error) error {
	switch {
	case errors.Is(err, store.ErrNoMessage), errors.Is(err, engine.ErrNoBlob):
		f.gone = true
		return nil
	case errors.Is(err, engine.ErrDamaged):
		f.damaged = true
		f.s.log.Logf(syslog.Failure, "message %d of %q: %v", f.s.view.At(seq).UID, f.s.view.Mailbox().Name, err)
		return nil
	}
	return err
}

// start appends the beginning of a FETCH line and the items that the view knows.
func (f *fetcher) start(b []byte, seq int, m store.Message) []byte {
	items := f.plan.items
	if len(f.marked) > 0 && items != f.s.withModSeq(items|fetchFlags) {
		if _, found := slices.BinarySearch(f.marked, seq); found {
			items = f.s.withModSeq(items | fetchFlags)
		}
	}
	b = f.s.appendFetch(b, seq, m, items)
	if items&fetchSaveDate != 0 {
		b = f.appendSaveDate(spaced(b), m.UID)
	}
	return b
}

// appendFetch appends "* seq FETCH (" and the items that a view's message has.
func (s *session) appendFetch(b []byte, seq int, m store.Message, items fetchItems) []byte {
	b = s.appendFetchStart(b, seq, m.UID)
	if items&fetchUID != 0 {
		b = append(b, "UID "...)
		b = strconv.AppendUint(b, uint64(m.UID), 10)
	}
	if items&fetchModSeq != 0 {
		b = s.appendModSeq(spaced(b), m.ModSeq)
	}
	if items&fetchFlags != 0 {
		b = append(spaced(b), "FLAGS ("...)
		b = s.appendFlags(b, m)
		b = append(b, ')')
	}
	if items&fetchDate != 0 {
		b = append(spaced(b), "INTERNALDATE "...)
		b = appendDateTime(b, m.Date, m.Zone)
	}
	if items&fetchSize != 0 {
		b = append(spaced(b), "RFC822.SIZE "...)
		b = strconv.AppendInt(b, m.Size, 10)
	}
	return b
}

// spaced appends a space unless a list has just been opened.
func spaced(b []byte) []byte {
	if b[len(b)-1] == '(' {
		return b
	}
	return append(b, ' ')
}

// fromRecord appends the items that stand ready in the stored record.
func (f *fetcher) fromRecord(b []byte, r message.Record) []byte {
	if f.plan.items&fetchEmailID != 0 {
		b = append(append(append(spaced(b), "EMAILID ("...), emailID(r)...), ')')
	}
	if f.plan.items&fetchThreadID != 0 {
		b = appendThreadID(spaced(b), r)
	}
	if f.plan.items&fetchEnvelope != 0 {
		b = append(spaced(b), "ENVELOPE "...)
		b = append(b, r.Envelope()...)
	}
	if f.plan.items&fetchBody != 0 {
		b = append(spaced(b), "BODY "...)
		b = f.s.appendStructure(b, r.Body())
	}
	if f.plan.items&fetchStructure != 0 {
		b = append(spaced(b), "BODYSTRUCTURE "...)
		b = f.s.appendStructure(b, r.BodyStructure())
	}
	return b
}
