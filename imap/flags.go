package imap

import (
	"strings"

	"tripost/store"
)

// systemFlags are the flags of RFC 3501 section 2.3.2 that are kept, in the order
// in which they are told.
var systemFlags = []struct {
	bit  store.Flags
	name string
}{
	{store.FlagAnswered, `\Answered`},
	{store.FlagFlagged, `\Flagged`},
	{store.FlagDeleted, `\Deleted`},
	{store.FlagSeen, `\Seen`},
	{store.FlagDraft, `\Draft`},
}

// appendFlags appends the flags of a message, without parentheses.
func (s *session) appendFlags(b []byte, m store.Message) []byte {
	start := len(b)
	for _, f := range systemFlags {
		if m.Flags&f.bit != 0 {
			b = append(append(b, f.name...), ' ')
		}
	}
	if !s.has(featureRev2) && s.view.IsRecent(m.UID) {
		b = append(b, `\Recent `...)
	}
	if words := m.Flags >> store.FirstKeyword; words != 0 {
		for _, k := range s.view.Keywords() {
			if words&1 != 0 {
				b = append(append(b, k...), ' ')
			}
			words >>= 1
		}
	}
	if len(b) > start {
		b = b[:len(b)-1]
	}
	return b
}

// appendFlagNames appends the names of system flags and all keywords of the
// mailbox.
func (s *session) appendFlagNames(b []byte, bits store.Flags, keywords bool) []byte {
	start := len(b)
	for _, f := range systemFlags {
		if bits&f.bit != 0 {
			b = append(append(b, f.name...), ' ')
		}
	}
	if keywords {
		for _, k := range s.view.Keywords() {
			b = append(append(b, k...), ' ')
		}
	}
	if len(b) > start {
		b = b[:len(b)-1]
	}
	return b
}

// flagList consumes a parenthesised list of flags, which may be empty.
func (p *parser) flagList() store.FlagSet {
	var f store.FlagSet
	p.list(true, func() { p.flag(&f) })
	return f
}

// flag consumes one flag.
func (p *parser) flag(f *store.FlagSet) {
	if !p.accept('\\') {
		if k := string(p.atom()); p.err == nil && len(f.Keywords) < store.MaxKeywords {
			f.Keywords = append(f.Keywords, k)
		} else if p.err == nil {
			p.limit("Too many keywords in one command")
		}
		return
	}
	name := `\` + string(p.atom())
	for _, known := range systemFlags {
		if strings.EqualFold(name, known.name) {
			f.System |= known.bit
			return
		}
	}
	if strings.EqualFold(name, `\Recent`) { // the server's own; some clients copy it
		return
	}
	p.fail("Unknown system flag")
}

// permanent tells which system flags this user can change in the selected
// mailbox, and whether keywords too.
func (s *session) permanent() (bits store.Flags, keywords bool) {
	if s.view.ReadOnly() {
		return 0, false
	}
	rights := s.view.Mailbox().Rights
	if rights&store.RightSeen != 0 {
		bits |= store.FlagSeen
	}
	if rights&store.RightDelete != 0 {
		bits |= store.FlagDeleted
	}
	if rights&store.RightWrite != 0 {
		bits |= store.FlagAnswered | store.FlagFlagged | store.FlagDraft
		keywords = true
	}
	return bits, keywords
}
