package imap

import (
	"fmt"
	"slices"

	"tripost/imap/search"
	"tripost/store"
)

// MESSAGELIMIT, RFC 9738: where a limit is set, a command deals with so many
// messages at most, those with the highest UIDs first, and says how far it came.
// Commands that are for all messages or none are refused.

// cut leaves of the messages of a command those that it may deal with, and returns
// the lowest UID among them, 0 where that is all.
func (s *session) cut(q seqSet) (seqSet, store.UID) {
	left := s.srv.cfg.Limits.Messages
	if left == 0 {
		return q, 0
	}
	for i, r := range slices.Backward(q) {
		if n := r.hi - r.lo + 1; n <= left {
			left -= n
			continue
		}
		q = slices.Clone(q[i:])
		if q[0].lo = r.hi - left + 1; left == 0 {
			q = q[1:]
		}
		return q, s.view.At(q[0].lo).UID
	}
	return q, 0
}

// cutDeleted is cut for UID EXPUNGE, where only messages marked deleted count.
func (s *session) cutDeleted(q seqSet) (seqSet, store.UID) {
	deleted := 0
	var lowest store.UID
	for i, r := range slices.Backward(q) {
		for seq := r.hi; seq >= r.lo; seq-- {
			m := s.view.At(seq)
			if m.Flags&store.FlagDeleted == 0 {
				continue
			}
			if deleted == s.srv.cfg.Limits.Messages {
				q = slices.Clone(q[i:])
				if q[0].lo = seq + 1; seq == r.hi {
					q = q[1:]
				}
				return q, lowest
			}
			deleted, lowest = deleted+1, m.UID
		}
	}
	return q, 0
}

// cutSearch has a search look at as many messages of a mailbox as it may, those with the
// highest UIDs of the ones that its sets leave, and returns the lowest UID it looks at, 0
// where all are looked at. RFC 9738 section 3.1.
func (s *session) cutSearch(root *search.Key, box *store.View) store.UID {
	limit := s.srv.cfg.Limits.Messages
	if limit == 0 {
		return 0
	}
	lowest, n := looksAt(root, box, limit)
	if n <= limit {
		return 0
	}
	root.Keys = append(root.Keys, &search.Key{Kind: search.Among, Resolve: func(search.Mailbox) func(int) bool {
		return func(seq int) bool { return seq >= lowest }
	}})
	return box.At(lowest).UID
}

// looksAt counts the messages that a search looks at, as its sets leave them, from the
// last one on, and stops at the first beyond the limit. It returns the sequence number
// of the last one within.
func looksAt(root *search.Key, box *store.View, limit int) (lowest, n int) {
	within := sets(root, box)
	for seq := box.Len(); seq > 0 && n <= limit; seq-- {
		if slices.ContainsFunc(within, func(contains func(int) bool) bool { return !contains(seq) }) {
			continue
		}
		if n++; n <= limit {
			lowest = seq
		}
	}
	return lowest, n
}

// sets are the sets of messages in which every match of a conjunction is.
func sets(and *search.Key, box search.Mailbox) (within []func(seq int) bool) {
	for _, k := range and.Keys {
		switch k.Kind {
		case search.Among:
			within = append(within, k.Resolve(box))
		case search.And:
			within = append(within, sets(k, box)...)
		}
	}
	return within
}

// withinLimit refuses a command that must not stop half way, for n messages.
func (s *session) withinLimit(n int) error {
	if limit := s.srv.cfg.Limits.Messages; limit > 0 && n > limit {
		return s.tooMany("")
	}
	return nil
}

// copyWithinLimit is withinLimit for COPY, which tells what it might be for: the messages
// from a UID on.
func (s *session) copyWithinLimit(q seqSet) error {
	if _, lowest := s.cut(q); lowest != 0 {
		return s.tooMany(fmt.Sprintf(" %d", lowest))
	}
	return nil
}

func (s *session) tooMany(lowest string) error {
	return refuse(no(fmt.Sprintf("MESSAGELIMIT %d%s", s.srv.cfg.Limits.Messages, lowest), "Too many messages: try fewer"))
}

// asFarAs adds to the completion of a command how far it came, by the lowest UID
// that it dealt with, if that was not all. Where another code is in the way it is
// told by an untagged NO. RFC 9738 section 3.1.
func (s *session) asFarAs(done completion, lowest store.UID) completion {
	if lowest == 0 {
		return done
	}
	limit := s.srv.cfg.Limits.Messages
	code := fmt.Sprintf("MESSAGELIMIT %d %d", limit, lowest)
	text := fmt.Sprintf("Done with the last %d messages", limit)
	if done.status == "OK" && done.code == "" {
		return okCode(code, text)
	}
	s.untagged("NO", code, text)
	return done
}

// beyond consumes the UID of UIDAFTER or UIDBEFORE, which stand for the messages
// above and below it. RFC 9738 section 3.2.
func (p *searchParser) beyond(after bool) *search.Key {
	uid := store.UID(p.number())
	if uid == 0 {
		p.fail("Zero is no UID")
	}
	return &search.Key{Kind: search.Among, Resolve: func(m search.Mailbox) func(int) bool {
		if after {
			last := m.SeqFloor(uid)
			return func(seq int) bool { return seq > last }
		}
		last := m.SeqFloor(uid - 1)
		return func(seq int) bool { return seq <= last }
	}}
}
