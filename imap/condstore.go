package imap

import (
	"math"
	"strconv"

	"tripost/store"
)

// Mod-sequences, RFC 7162 section 3.1: every change of a message has a number above
// all before it. A client that goes away keeps the highest one that it knows, and
// asks for what came after it when it is back. So it must never believe a number
// while it has not been told of all changes up to it.

// modSeqs is what a session has told its client of the selected mailbox.
type modSeqs struct {
	complete store.ModSeq // the client has been told of all changes up to this one
	client   store.ModSeq // what the client takes for the highest, by RFC 7162 section 6
	told     store.ModSeq // the highest in the responses to the present command
	vanished bool         // among which there was VANISHED
}

// enableCondstore makes the client one that is told mod-sequences. The first such
// command with a mailbox selected is answered with the mailbox's (RFC 7162 section
// 3.1).
func (s *session) enableCondstore() {
	if s.has(featureCondstore) {
		return
	}
	s.features |= featureCondstore
	if s.view != nil {
		s.tellHighestModSeq()
	}
}

// tellHighestModSeq writes the mod-sequence up to which the client has been told of
// everything.
func (s *session) tellHighestModSeq() {
	s.modSeqs.client = s.modSeqs.complete
	s.untagged("OK", s.highestModSeq(), "Highest")
}

// highestModSeq is the response code for it.
func (s *session) highestModSeq() string {
	return "HIGHESTMODSEQ " + strconv.FormatUint(uint64(s.modSeqs.complete), 10)
}

// settleModSeq sees to it, at the end of a command's responses, that the client does
// not believe too high a mod-sequence: it goes by the highest one told, though
// removals with a lower one may be held back. Where messages have vanished it is
// told the mailbox's new one. The response code goes into the tagged response when
// there is room. RFC 7162 sections 3.2, 3.2.7 and 6.
func (s *session) settleModSeq(done *completion) {
	m := &s.modSeqs
	if s.view != nil && !s.stale { // else there may be something that has not been told
		m.complete = s.view.State().HighestModSeq
	}
	believed := max(m.client, m.told)
	due := believed > m.complete || m.vanished && m.complete > m.client
	m.told, m.vanished = 0, false
	switch {
	case s.view == nil || !s.has(featureCondstore):
	case !due:
		m.client = believed
	case done.status == "OK" && done.code == "":
		m.client = m.complete
		done.code = s.highestModSeq()
	default:
		s.tellHighestModSeq()
	}
}

// withModSeq adds to the items of a FETCH response that the client did not ask for
// what goes with it once it is told mod-sequences (RFC 7162 section 3.2.4).
func (s *session) withModSeq(items fetchItems) fetchItems {
	if s.has(featureCondstore) {
		items |= fetchUID | fetchModSeq
	}
	if s.has(featureUIDOnly) {
		items &^= fetchUID
	}
	return items
}

// appendModSeq appends MODSEQ (n), and notes that it was told.
func (s *session) appendModSeq(b []byte, n store.ModSeq) []byte {
	s.modSeqs.told = max(s.modSeqs.told, n)
	b = append(b, "MODSEQ ("...)
	b = strconv.AppendUint(b, uint64(n), 10)
	return append(b, ')')
}

// modSeq consumes a mod-sequence, a number of 63 bits. RFC 7162 section 7,
// mod-sequence-valzer.
func (p *parser) modSeq() store.ModSeq { return store.ModSeq(p.digits(math.MaxInt64)) }
