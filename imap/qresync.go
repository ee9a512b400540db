package imap

import (
	"context"
	"math"
	"slices"

	"tripost/store"
)

// Quick resynchronisation, RFC 7162 section 3.2: a client that comes back tells what
// it knew, and is told what has changed and what has vanished since.

// resync is the QRESYNC parameter of SELECT, RFC 7162 section 3.2.5.
type resync struct {
	validity uint32
	after    store.ModSeq
	known    []numRange // UIDs; nil: all
	// Some sequence numbers and the UIDs that the client knows them to have, one
	// for one.
	seqs, uids store.UIDSet
}

// resync consumes the parameter.
func (p *parser) resync(ranges int) *resync {
	r := &resync{}
	p.expect('(')
	r.validity = p.number()
	p.space()
	if r.after = p.modSeq(); r.after == 0 || r.validity == 0 {
		p.fail("UIDVALIDITY and mod-sequence begin with 1")
	}
	if p.accept(' ') && p.peek() != '(' {
		r.known = p.knownSet(ranges)
		if !p.accept(' ') {
			p.expect(')')
			return r
		}
	}
	if p.accept('(') {
		p.numbered()
		r.seqs = p.ascendingSet(ranges)
		p.space()
		r.uids = p.ascendingSet(ranges)
		p.expect(')')
		if p.err == nil && r.seqs.Count() != r.uids.Count() {
			p.fail("As many sequence numbers as UIDs are needed")
		}
	}
	p.expect(')')
	return r
}

// knownSet consumes a set without "*".
func (p *parser) knownSet(ranges int) []numRange {
	set := p.set(ranges)
	for _, r := range set {
		if r.lo == star || r.hi == star {
			p.fail("\"*\" cannot be known")
		}
	}
	return set
}

// ascendingSet consumes a set without "*" in which every range lies above those
// before it.
func (p *parser) ascendingSet(ranges int) store.UIDSet {
	var set store.UIDSet
	last := int64(0)
	for _, r := range p.knownSet(ranges) {
		if r.lo <= last || r.hi < r.lo {
			p.fail("The set must be in ascending order")
			return nil
		}
		set.Add(store.UID(r.lo), store.UID(r.hi))
		last = r.hi
	}
	return set
}

// resync tells what SELECT with QRESYNC has to tell besides. Where the client's
// UIDVALIDITY is not the mailbox's it is told nothing, by which it knows that all
// it had is gone.
func (s *session) resync(ctx context.Context, r *resync) error {
	if r.validity != s.view.State().UIDValidity {
		return nil
	}
	known := r.known
	if known == nil {
		known = []numRange{{1, math.MaxUint32}}
	}
	within := knownUIDs(known, s.view)
	since, err := s.since(ctx, r.after, r)
	if err != nil {
		return err
	}
	s.tellVanished("(EARLIER) ", since.Vanished.Intersect(within))
	changed := since.Changed.Intersect(within)
	if len(changed) == 0 {
		return nil
	}
	if err := s.view.Load(ctx); err != nil {
		return err
	}
	for u := range changed.All() {
		if seq, there := s.view.Seq(u); there && !s.view.Gone(seq) {
			b := s.appendFetch(s.c.Out(), seq, s.view.At(seq), s.withModSeq(fetchFlags))
			s.c.Done(append(b, ")\r\n"...))
		}
	}
	return nil
}

// since finds what has changed and vanished after a mod-sequence. Where the mailbox
// does not remember that far back, all that is not there has vanished, but for what
// the client is seen to know of, if match tells.
func (s *session) since(ctx context.Context, after store.ModSeq, match *resync) (store.Since, error) {
	since, err := s.view.Since(ctx, after)
	if err != nil || since.Whole {
		return since, err
	}
	if err := s.view.Load(ctx); err != nil {
		return since, err
	}
	return store.Since{Changed: s.changedAfter(after), Vanished: s.missing(match)}, nil
}

// changedAfter finds the messages of the view with a mod-sequence above after.
func (s *session) changedAfter(after store.ModSeq) store.UIDSet {
	var set store.UIDSet
	for seq := 1; seq <= s.view.Len(); seq++ {
		if m := s.view.At(seq); m.ModSeq > after {
			set.Add(m.UID, m.UID)
		}
	}
	return set
}

// missing returns the UIDs below UIDNEXT of which there is no message in the view.
// Up to the last message of which the client has the right sequence number, it
// knows what has gone.
func (s *session) missing(match *resync) store.UIDSet {
	var set store.UIDSet
	next := store.UID(1) // not yet decided
	if match != nil {
		next = s.matched(match) + 1
	}
	for seq := s.view.SeqFloor(next-1) + 1; seq <= s.view.Len(); seq++ {
		u := s.view.At(seq).UID
		if u > next {
			set.Add(next, u-1)
		}
		next = u + 1
	}
	if last := s.view.State().UIDNext - 1; next <= last {
		set.Add(next, last)
	}
	return set
}

// matched returns the highest UID of which the client knows the sequence number, 0
// for none. RFC 7162 section 3.2.5.2.
func (s *session) matched(match *resync) store.UID {
	last := store.UID(0)
	seqs := slices.Clone(match.seqs)
	for u := range match.uids.All() {
		seq := int(seqs[0].Lo)
		if seq > s.view.Len() {
			break
		}
		if s.view.At(seq).UID == u {
			last = u
		}
		if seqs[0].Lo++; seqs[0].Lo > seqs[0].Hi {
			seqs = seqs[1:]
		}
	}
	return last
}

// knownUIDs returns the UIDs that a set names; "*" is the newest message.
func knownUIDs(set []numRange, v *store.View) store.UIDSet {
	last := int64(v.State().UIDNext) - 1
	var out store.UIDSet
	for _, r := range set {
		lo, hi := min(r.lo, r.hi), max(r.lo, r.hi)
		if hi == star {
			hi, lo = last, min(lo, last)
		}
		if hi = min(hi, last); lo <= hi && lo > 0 {
			out.Add(store.UID(lo), store.UID(hi))
		}
	}
	return out
}

// vanishedRanges is how many ranges of UIDs one VANISHED tells of.
const vanishedRanges = 1000

// tellVanished writes VANISHED, with earlier "(EARLIER) " of messages that the
// session has never had. RFC 7162 section 3.2.10.
func (s *session) tellVanished(earlier string, set store.UIDSet) {
	for len(set) > 0 {
		n := min(len(set), vanishedRanges)
		b := append(append(s.c.Out(), "* VANISHED "...), earlier...)
		s.c.Done(append(set[:n].Append(b), "\r\n"...))
		set = set[n:]
	}
}

// fetchModifiers narrow a FETCH down, RFC 4466 section 2.4.
type fetchModifiers struct {
	changed  bool // CHANGEDSINCE after: RFC 7162 section 3.1.4.1
	vanished bool // tell what has vanished, too: section 3.2.6
	after    store.ModSeq
	page     *page // PARTIAL: RFC 9394 section 3.3
}

// fetchModifiers consumes the list of modifiers.
func (p *parser) fetchModifiers(m *fetchModifiers) {
	p.list(false, func() {
		switch p.word() {
		case "CHANGEDSINCE":
			p.space()
			m.changed, m.after = true, p.modSeq()
		case "VANISHED":
			m.vanished = true
		case "PARTIAL":
			p.space()
			m.page = p.page()
		default:
			p.fail("Unknown modifier of FETCH")
		}
	})
}

// changedSince leaves of the messages q, which set names, those that have changed,
// after telling of what has vanished where that was asked.
func (s *session) changedSince(ctx context.Context, q seqSet, set []numRange, only *fetchModifiers) (seqSet, error) {
	since, err := s.since(ctx, only.after, nil)
	if err != nil {
		return nil, err
	}
	if only.vanished {
		s.tellVanished("(EARLIER) ", since.Vanished.Intersect(knownUIDs(set, s.view)))
	}
	var out seqSet
	for u := range since.Changed.All() {
		if seq, there := s.view.Seq(u); there && q.contains(seq) {
			out = append(out, seqRange{seq, seq})
		}
	}
	return merged(out), nil
}
