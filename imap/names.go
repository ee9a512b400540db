package imap

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"tripost/store"
)

// Mailbox names are UTF-8 with "/" inside the server. On the wire they are
// modified UTF-7, and UTF-8 to a client that has said that it understands it. Those
// of other accounts begin with "~": "~boss/lists".

// mailbox consumes a mailbox name. INBOX may be written in any case.
func (p *parser) mailbox() string { return p.name(p.astring()) }

func (p *parser) name(raw []byte) string {
	if p.err != nil {
		return ""
	}
	if p.utf8 {
		return p.utf8Name(raw)
	}
	name, err := decodeUTF7(raw)
	if err != nil {
		p.err = refuse(no("CANNOT", "The mailbox name is not modified UTF-7"))
		return ""
	}
	return canonicalName(name)
}

// utf8Name takes a name in UTF-8.
func (p *parser) utf8Name(raw []byte) string {
	if !utf8.Valid(raw) {
		p.err = refuse(no("CANNOT", "The mailbox name is not UTF-8"))
		return ""
	}
	return canonicalName(string(raw))
}

// canonicalName writes INBOX in upper case, alone, as the first level of a name,
// and of a name in another account.
func canonicalName(name string) string {
	owner, own := "", name
	if strings.HasPrefix(name, "~") {
		i := strings.IndexByte(name, '/')
		if i < 0 {
			return name
		}
		owner, own = name[:i+1], name[i+1:]
	}
	if first, rest, deeper := strings.Cut(own, "/"); strings.EqualFold(first, "INBOX") {
		own = "INBOX"
		if deeper {
			own += "/" + rest
		}
	}
	return owner + own
}

// appendMailbox appends a mailbox name as it goes out.
func (s *session) appendMailbox(b []byte, name string) []byte {
	if s.has(featureUTF8) {
		return appendUTF8(b, name)
	}
	var buf [256]byte
	return appendAstring(b, appendUTF7(buf[:0], name))
}

// appendUTF8 appends a name as an atom where it can be one, else as a string, in
// which UTF-8 may stand as it is. RFC 9755 section 3, RFC 9051 section 9 (quoted).
func appendUTF8(b []byte, name string) []byte {
	ascii := strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
	if ascii || strings.ContainsFunc(name, unicode.IsControl) {
		return appendAstring(b, []byte(name))
	}
	b = append(b, '"')
	for i := range len(name) {
		if c := name[i]; c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, name[i])
	}
	return append(b, '"')
}

// resolve finds the account and the name there that a client's mailbox name means.
func (s *session) resolve(ctx context.Context, name string) (store.MailboxRef, error) {
	_, ref, err := s.resolveName(ctx, name)
	return ref, err
}

// resolveName is resolve, and returns the name that the mailbox goes by: that of the form
// NFC, if the client writes it otherwise and there is no mailbox of exactly that name.
// RFC 9051 section 5.1.
func (s *session) resolveName(ctx context.Context, name string) (string, store.MailboxRef, error) {
	directory := s.srv.cfg.Directory
	ref, err := directory.Resolve(ctx, s.user, name)
	plain := s.normalized(name)
	if err != nil || plain == name {
		return name, ref, err
	}
	if _, _, err := s.srv.cfg.Store.Mailbox(ctx, s.user, ref); !isMissing(err) {
		return name, ref, err
	}
	ref, err = directory.Resolve(ctx, s.user, plain)
	return plain, ref, err
}

// foreign splits a name or pattern into the account part with its "/", such as
// "~boss/", and the rest; the first is "" for the user's own.
func foreign(name string) (owner, rest string) {
	if !strings.HasPrefix(name, "~") {
		return "", name
	}
	i := strings.IndexByte(name, '/')
	return name[:i+1], name[i+1:]
}

// namespace tells where names of whom begin. RFC 2342.
func (s *session) namespace(_ context.Context, cmd *command) (completion, error) {
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	s.line(`NAMESPACE (("" "/")) (("~" "/")) (("~public/" "/"))`)
	return ok("Done"), nil
}
