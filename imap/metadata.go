package imap

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"

	"tripost/message"
	"tripost/store"
)

// METADATA, RFC 5464: annotations of mailboxes and, under the name "", of the
// server.

// metadataWant is what a GETMETADATA asks for.
type metadataWant struct {
	entries []string
	depth   int   // levels below an entry that are told too
	maxSize int64 // of a value that is told
}

// getMetadata tells annotations. RFC 5464 section 4.2.
func (s *session) getMetadata(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	want := metadataWant{maxSize: math.MaxInt64}
	p.space()
	if p.peek() == '(' {
		p.metadataOptions(&want)
		p.space()
	}
	name := p.mailbox()
	p.space()
	// The text of the RFC has the options in front, its examples have them here.
	if p.peek() == '(' && p.i+1 < len(p.b) && p.b[p.i+1] != '/' && p.b[p.i+1] != '"' {
		p.metadataOptions(&want)
		p.space()
	}
	want.entries = p.entryNames(s.srv.cfg.Limits.FetchItems)
	if err := p.end(); err != nil {
		return completion{}, err
	}
	ref, err := s.resolve(ctx, name)
	if err != nil {
		return completion{}, err
	}
	longest, err := s.tellMetadata(ctx, name, ref, want)
	if err != nil {
		return completion{}, err
	}
	if longest > 0 {
		return okCode(fmt.Sprintf("METADATA LONGENTRIES %d", longest), "Done"), nil
	}
	return ok("Done"), nil
}

// metadataOptions consumes options of GETMETADATA, RFC 5464 section 4.2.
func (p *parser) metadataOptions(want *metadataWant) {
	p.list(false, func() {
		switch p.word() {
		case "MAXSIZE":
			p.space()
			want.maxSize = int64(p.number())
		case "DEPTH":
			p.space()
			switch p.word() {
			case "0":
				want.depth = 0
			case "1":
				want.depth = 1
			case "INFINITY":
				want.depth = math.MaxInt
			default:
				p.fail("DEPTH is 0, 1 or infinity")
			}
		default:
			p.fail("Unknown option of GETMETADATA")
		}
	})
}

// entryNames consumes one entry, or a list of at most limit.
func (p *parser) entryNames(limit int) []string {
	if p.peek() != '(' {
		return []string{p.entryName()}
	}
	var list []string
	p.list(false, func() {
		if list = append(list, p.entryName()); len(list) > limit {
			p.limit("Too many metadata entries")
		}
	})
	return list
}

// entryName consumes the name of an entry, which is without case. RFC 5464 sections
// 3.1 and 3.2.
func (p *parser) entryName() string {
	name := strings.ToLower(string(p.astring()))
	scope, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	switch {
	case p.err != nil:
	case !strings.HasPrefix(name, "/"), scope != "private" && scope != "shared":
		p.fail("Entries begin with /private or /shared")
	case strings.HasSuffix(name, "/"), strings.Contains(name, "//"), strings.ContainsAny(name, "*%"),
		len(name) > store.MaxMetadataName, !isPrintable(name):
		p.fail("That is no name of an entry")
	}
	return name
}

func isPrintable(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// tellMetadata writes a METADATA response with the entries that are wanted, and
// returns the size of the longest value that was too long.
func (s *session) tellMetadata(ctx context.Context, name string, ref store.MailboxRef, want metadataWant) (longest int, err error) {
	have, err := s.srv.cfg.Store.Metadata(ctx, s.user, ref)
	if err != nil {
		return 0, err
	}
	if ref.Name == "" {
		_, domain, _ := strings.Cut(s.user.Name, "@")
		have = append(have, store.MetadataEntry{Name: "/shared/admin", Value: []byte("mailto:postmaster@" + domain)})
	}
	b := s.appendMailbox(append(s.c.Out(), "* METADATA "...), name)
	b = append(b, " ("...)
	start := len(b)
	told := make(map[string]bool)
	for _, entry := range want.entries {
		found := false
		for _, e := range have {
			switch below, ok := levelsBelow(e.Name, entry); {
			case !ok || below > want.depth:
				continue
			case int64(len(e.Value)) > want.maxSize:
				longest = max(longest, len(e.Value))
			case !told[e.Name]:
				b = appendEntry(b, e)
			}
			told[e.Name], found = true, true
		}
		if !found && want.depth == 0 {
			b = appendEntry(b, store.MetadataEntry{Name: entry})
		}
	}
	if len(b) == start {
		s.c.Done(b[:bytes.LastIndex(b, []byte("* METADATA "))])
		return longest, nil
	}
	s.c.Done(append(b, ")\r\n"...))
	return longest, nil
}

// levelsBelow tells how many levels a name is below an entry, 0 for itself.
func levelsBelow(name, entry string) (int, bool) {
	rest, ok := strings.CutPrefix(name, entry)
	if !ok || rest != "" && rest[0] != '/' {
		return 0, false
	}
	return strings.Count(rest, "/"), true
}

// appendEntry appends a name and a value, which is NIL where there is none.
func appendEntry(b []byte, e store.MetadataEntry) []byte {
	b = append(appendAstring(spaced(b), []byte(e.Name)), ' ')
	if bytes.IndexByte(e.Value, 0) >= 0 {
		return append(fmt.Appendf(b, "~{%d}\r\n", len(e.Value)), e.Value...)
	}
	return message.AppendNString(b, e.Value)
}

// setMetadata sets or removes annotations. RFC 5464 section 4.3.
func (s *session) setMetadata(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	name := p.mailbox()
	p.space()
	var entries []store.MetadataEntry
	p.list(false, func() {
		e := store.MetadataEntry{Name: p.entryName()}
		if p.space(); !p.acceptWord("NIL") {
			e.Value = append([]byte{}, p.value()...)
		}
		if entries = append(entries, e); len(entries) > s.srv.cfg.Limits.FetchItems {
			p.limit("Too many metadata entries")
		}
	})
	if err := p.end(); err != nil {
		return completion{}, err
	}
	ref, err := s.resolve(ctx, name)
	if err != nil {
		return completion{}, err
	}
	if err := s.srv.cfg.Store.SetMetadata(ctx, s.user, ref, entries); err != nil {
		return completion{}, err
	}
	s.annotations.annotated(ref, entries)
	return ok("Done"), nil
}
