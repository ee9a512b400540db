package imap

import (
	"context"

	"tripost/store"
)

// store answers STORE and UID STORE. RFC 3501 section 6.4.6.
func (s *session) store(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	set := p.set(s.srv.cfg.Limits.SetRanges)
	p.space()
	op, silent := p.storeItem()
	p.space()
	flags := p.storeFlags()
	if err := p.end(); err != nil {
		return completion{}, err
	}
	q, err := s.messages(ctx, cmd.uid, set)
	if err != nil {
		return completion{}, err
	}
	if s.view.ReadOnly() {
		return completion{}, store.ErrReadOnlyView
	}
	if len(q) == 0 {
		return ok("No such messages"), nil
	}
	changed, _, err := s.view.SetFlags(ctx, uidSet(q, s.view), op, flags, 0)
	if err != nil {
		return completion{}, err
	}
	s.tellKeywords()
	if !silent {
		s.tellFlags(changed, cmd.uid)
	}
	return ok("Done"), nil
}

// storeItem consumes the name of what STORE does.
func (p *parser) storeItem() (op store.FlagOp, silent bool) {
	op = store.FlagsReplace
	switch {
	case p.accept('+'):
		op = store.FlagsAdd
	case p.accept('-'):
		op = store.FlagsRemove
	}
	switch p.word() {
	case "FLAGS":
	case "FLAGS.SILENT":
		silent = true
	default:
		p.fail("Expected FLAGS or FLAGS.SILENT")
	}
	return op, silent
}

// storeFlags consumes a list of flags, or flags without parentheses.
func (p *parser) storeFlags() store.FlagSet {
	if p.peek() == '(' {
		return p.flagList()
	}
	var f store.FlagSet
	for p.flag(&f); p.err == nil && p.accept(' '); {
		p.flag(&f)
	}
	return f
}

// tellFlags writes FETCH responses with the flags of messages as they are now.
func (s *session) tellFlags(seqs []int, uid bool) {
	items := fetchFlags
	if uid {
		items |= fetchUID
	}
	for _, seq := range seqs {
		b := s.appendFetch(s.c.Out(), seq, s.view.At(seq), items)
		s.c.Done(append(b, ")\r\n"...))
	}
}
