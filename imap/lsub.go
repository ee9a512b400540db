package imap

import (
	"context"
	"strings"
)

// lsub answers LSUB: subscribed names, of mailboxes that exist or not. With "%" a
// level that is not subscribed but has subscribed ones below is told as \Noselect.
// RFC 3501 section 6.3.9.
func (s *session) lsub(ctx context.Context, cmd *command) (completion, error) {
	text, done, err := s.lsubArguments(cmd)
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
			s.listLine("LSUB", "", name, "")
		}
	}
	if !strings.HasSuffix(text, "%") {
		return ok("Done"), nil
	}
	for _, name := range names {
		for name = parentOf(name); name != ""; name = parentOf(name) {
			if !told[name] && match.match(name) {
				told[name] = true
				s.listLine("LSUB", `\Noselect`, name, "")
			}
		}
		if err := ctx.Err(); err != nil {
			return completion{}, err
		}
	}
	return ok("Done"), nil
}

// lsubArguments parses a reference and a pattern and puts them together. done is
// set when the pattern was empty, which asks for the delimiter and the root.
func (s *session) lsubArguments(cmd *command) (pattern string, done bool, err error) {
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
		s.listLine("LSUB", `\Noselect`, root, "")
		return "", true, nil
	}
	return joinReference(reference, pattern), false, nil
}
