package imap

import (
	"context"
	"errors"
	"strings"

	"tripost/store"
)

// list answers LIST. A pattern that begins with "~account/" lists that account's
// mailboxes which the user may know of; others only the user's own, as other
// accounts cannot be enumerated. RFC 3501 section 6.3.8.
func (s *session) list(ctx context.Context, cmd *command) (completion, error) {
	pattern, done, err := s.listArguments(cmd, "LIST")
	if err != nil || done {
		return ok("Done"), err
	}
	owner, rest := foreign(pattern)
	account := s.user.Account
	if owner != "" {
		ref, err := s.resolve(ctx, owner+"INBOX")
		if errors.Is(err, store.ErrNoMailbox) {
			return ok("Done"), nil
		}
		if err != nil {
			return completion{}, err
		}
		account = ref.Account
	}
	boxes, err := s.srv.cfg.Store.Mailboxes(ctx, s.user, account)
	if err != nil {
		return completion{}, err
	}
	match := newPattern(rest)
	for i := range boxes {
		if match.match(boxes[i].Name) {
			s.listLine("LIST", attributes(&boxes[i]), owner+boxes[i].Name)
		}
		if err := ctx.Err(); err != nil {
			return completion{}, err
		}
	}
	return ok("Done"), nil
}

// listArguments parses a reference and a pattern and puts them together. done is
// set when the pattern was empty, which asks for the delimiter and the root.
func (s *session) listArguments(cmd *command, kind string) (pattern string, done bool, err error) {
	p := &cmd.args
	p.space()
	reference := p.name(p.astring())
	p.space()
	raw := p.listMailbox()
	pattern = p.name(raw)
	if len(raw)+len(reference) > s.srv.cfg.Limits.Pattern {
		p.limit("Pattern too long")
	}
	if err := p.end(); err != nil {
		return "", false, err
	}
	if pattern == "" {
		root, _ := foreign(reference)
		s.listLine(kind, `\Noselect`, root)
		return "", true, nil
	}
	return joinReference(reference, pattern), false, nil
}

// joinReference puts a reference before a pattern. A pattern that names another
// account is complete.
func joinReference(reference, pattern string) string {
	if strings.HasPrefix(pattern, "~") {
		return pattern
	}
	return reference + pattern
}

// attributes tells what a mailbox is: RFC 3501 section 7.2.2, children of RFC 3348,
// special use of RFC 6154.
func attributes(m *store.Mailbox) string {
	a := `\HasNoChildren`
	if m.Children {
		a = `\HasChildren`
	}
	if !m.Selectable {
		a = `\Noselect ` + a
	}
	if m.SpecialUse != "" {
		a += " " + m.SpecialUse
	}
	return a
}

// listLine writes one LIST or LSUB response.
func (s *session) listLine(kind, attributes, name string) {
	b := append(s.c.Out(), "* "...)
	b = append(b, kind...)
	b = append(b, " ("...)
	b = append(b, attributes...)
	b = append(b, `) "/" `...)
	b = s.appendMailbox(b, name)
	s.c.Done(append(b, "\r\n"...))
}

// lsub answers LSUB: subscribed names, of mailboxes that exist or not. With "%" a
// level that is not subscribed but has subscribed ones below is told as \Noselect.
// RFC 3501 section 6.3.9.
func (s *session) lsub(ctx context.Context, cmd *command) (completion, error) {
	text, done, err := s.listArguments(cmd, "LSUB")
	if err != nil || done {
		return ok("Done"), err
	}
	names, err := s.srv.cfg.Store.Subscriptions(ctx, s.user.Account)
	if err != nil {
		return completion{}, err
	}
	match := newPattern(text)
	told := make(map[string]bool)
	for _, name := range names {
		if match.match(name) {
			told[name] = true
			s.listLine("LSUB", "", name)
		}
	}
	if !strings.HasSuffix(text, "%") {
		return ok("Done"), nil
	}
	for _, name := range names {
		for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name, '/') {
			if name = name[:i]; !told[name] && match.match(name) {
				told[name] = true
				s.listLine("LSUB", `\Noselect`, name)
			}
		}
		if err := ctx.Err(); err != nil {
			return completion{}, err
		}
	}
	return ok("Done"), nil
}
