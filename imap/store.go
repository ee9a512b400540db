package imap

import (
	"context"
	"slices"

	"tripost/store"
)

// store answers STORE and UID STORE. RFC 3501 section 6.4.6; UNCHANGEDSINCE of RFC
// 7162 section 3.1.3.
func (s *session) store(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	set := p.set(s.srv.cfg.Limits.SetRanges)
	p.space()
	var unchangedSince store.ModSeq
	if p.peek() == '(' {
		unchangedSince = p.storeModifiers()
		p.space()
	}
	op, silent := p.storeItem()
	p.space()
	flags := p.storeFlags()
	if err := p.end(); err != nil {
		return completion{}, err
	}
	if unchangedSince != 0 {
		s.enableCondstore()
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
	q, lowest := s.cut(q)
	changed, modified, err := s.view.SetFlags(ctx, uidSet(q, s.view), op, flags, unchangedSince)
	if err != nil {
		return completion{}, err
	}
	s.tellKeywords()
	s.tellStored(changed, cmd.uid, silent)
	done := ok("Done")
	if len(modified) > 0 {
		if done, err = s.tellModified(ctx, cmd, modified); err != nil {
			return completion{}, err
		}
	}
	return s.asFarAs(done, lowest), nil
}

// storeModifiers consumes the list of modifiers, RFC 4466 section 2.5.
func (p *parser) storeModifiers() (unchangedSince store.ModSeq) {
	p.list(false, func() {
		if p.word() != "UNCHANGEDSINCE" {
			p.fail("Unknown modifier of STORE")
		}
		p.space()
		if unchangedSince = p.modSeq(); unchangedSince == 0 {
			unchangedSince = store.NeverSet
		}
	})
	return unchangedSince
}

// tellStored tells what a STORE has done, which a client that is told mod-sequences
// must hear of even where it asked for silence.
func (s *session) tellStored(changed []int, uid, silent bool) {
	items := s.withModSeq(0)
	if uid && !silent {
		items |= fetchUID
	}
	if !silent {
		items |= fetchFlags
	}
	if items != 0 {
		s.tellFlags(changed, items)
	}
}

// tellModified ends a STORE that left some messages alone because they had been
// changed, and tells what they are like now.
func (s *session) tellModified(ctx context.Context, cmd *command, modified store.UIDSet) (completion, error) {
	told, err := s.refresh(ctx, cmd.row.hold)
	if err != nil || s.view == nil {
		return ok("Done"), err
	}
	var numbers, rest store.UIDSet // sequence numbers, too, make a set
	for u := range modified.All() {
		seq, there := s.view.Seq(u)
		if !there {
			continue
		}
		numbers.Add(store.UID(seq), store.UID(seq))
		if !slices.Contains(told, seq) {
			rest.Add(store.UID(seq), store.UID(seq))
		}
	}
	for seq := range rest.All() {
		s.tellFlags([]int{int(seq)}, fetchFlags)
	}
	if cmd.uid {
		numbers = modified
	}
	return okCode("MODIFIED "+numbers.String(), "Some have been changed by others"), nil
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

// tellFlags writes FETCH responses that were not asked for, about messages as they
// are now.
func (s *session) tellFlags(seqs []int, items fetchItems) {
	items = s.withModSeq(items)
	for _, seq := range seqs {
		b := s.appendFetch(s.c.Out(), seq, s.view.At(seq), items)
		s.c.Done(append(b, ")\r\n"...))
	}
}
