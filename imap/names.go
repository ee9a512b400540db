package imap

import (
	"context"
	"strings"

	"tripost/store"
)

// Mailbox names are UTF-8 with "/" inside the server. On the wire they are
// modified UTF-7. Those of other accounts begin with "~": "~boss/lists".

// mailbox consumes a mailbox name. INBOX may be written in any case.
func (p *parser) mailbox() string { return p.name(p.astring()) }

func (p *parser) name(raw []byte) string {
	if p.err != nil {
		return ""
	}
	name, err := decodeUTF7(raw)
	if err != nil {
		p.err = refuse(no("CANNOT", "The mailbox name is not modified UTF-7"))
		return ""
	}
	return canonicalName(name)
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
	var buf [256]byte
	return appendAstring(b, appendUTF7(buf[:0], name))
}

// resolve finds the account and the name there that a client's mailbox name means.
func (s *session) resolve(ctx context.Context, name string) (store.MailboxRef, error) {
	return s.srv.cfg.Directory.Resolve(ctx, s.user, name)
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
