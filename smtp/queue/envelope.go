package queue

import (
	"errors"
	"net/netip"
	"strings"

	"tripost/accounts"
	"tripost/syslog"
)

// Source tells how the submitter of a message is known. It decides who may
// relay, and is what the Received field reports.
type Source struct {
	// Protocol is the word after "with": SMTP, ESMTP or LMTP with S and A for TLS
	// and sign-in (RFC 3848), UTF8SMTP and UTF8LMTP with the same (RFC 6531
	// section 4.3), XMIT for POP, API.
	Protocol string
	// Module is the part of the server that took the message: "SMTP", "POP".
	Module string
	Remote netip.Addr // zero: unknown, as for a Unix socket
	Helo   string     // as the client named itself; not trusted
	// Account is who signed in; nil for a stranger or a client address.
	Account *accounts.Account
	// Client is true for an address that may relay without signing in.
	Client bool
	// Internal is true for the server's own reports, which may go anywhere.
	Internal bool
	// Size is the size of the message as far as it is announced, in octets; 0 is
	// unknown. Check holds it against quotas.
	Size int64
	Log  *syslog.Logger // the session's

	stranger bool              // a rule passes on what came from one
	by       *accounts.Account // whose rule sends it; nil: none
	must     bool              // a report that its account gets also when it is full
}

// sender is the account that answers for what goes to other hosts: who signed in,
// or whose rule sends it; nil: none.
func (s *Source) sender() *accounts.Account {
	if s.Account != nil {
		return s.Account
	}
	return s.by
}

// ours tells that this server answers for what the source sends: it is from a
// user or a client address, or made here.
func (s *Source) ours() bool {
	return (s.Account != nil || s.Client || s.Internal) && !s.stranger
}

// Envelope is an SMTP envelope with its source.
type Envelope struct {
	From       string   // reverse-path without <>; "" is the null reverse-path
	Recipients []string // forward-paths without <>, as given
	Source     Source
	Submission bool  // by a user's mail program: Date and Message-ID are added when missing
	Size       int64 // octets, as announced; 0 is unknown
	Body8Bit   bool  // announced as BODY=8BITMIME (RFC 6152)
	Binary     bool  // announced as BODY=BINARYMIME (RFC 3030)
	SMTPUTF8   bool  // RFC 6531: addresses and header fields may be UTF-8
	RequireTLS bool  // it must never go over a connection without TLS (RFC 8689)

	// Inspector judges the message; nil: it is taken without.
	Inspector Inspector

	// What reports are to be like: RFC 3461.
	Return     Return             // RET
	EnvelopeID string             // ENVID, in clear
	Options    []RecipientOptions // of Recipients, in their order; those that are missing are zero
}

// Receipt tells what became of a submitted message.
type Receipt struct {
	ID     string // queue id, decimal, as the reply and the Received field show it
	Local  int    // copies stored in mailboxes
	Remote int    // recipients that wait to be sent
}

// maxPath is the longest path taken, in octets. RFC 5321 section 4.5.3.1.3
// asks for 256; the routes of gateways are longer.
const maxPath = 1024

var (
	errBadPath   = errors.New("path that is too long or breaks out of its brackets")
	errBadOption = errors.New("option with control characters or too long")
)

// check refuses what could break out of a header field or a command line.
// Sessions check the grammar; this is the last line for all other submitters.
func (e *Envelope) check() error {
	if len(e.Recipients) == 0 {
		return ErrNoRecipients
	}
	if !safePath(e.From) || !closed(e.From) {
		return errBadPath
	}
	if err := e.checkOptions(); err != nil {
		return err
	}
	for _, r := range e.Recipients {
		if r == "" || !safePath(r) {
			return &RecipientError{Address: clean(r, 64), Code: 553, Enhanced: "5.1.3",
				Reason: "not a valid address", Err: errBadPath}
		}
	}
	return nil
}

func safePath(s string) bool {
	return len(s) <= maxPath && strings.IndexFunc(s, unsafe) < 0
}

// closed tells a path that stays within its brackets where it is written between
// < and >: outside of quotes it has no bracket, blank or quote.
func closed(s string) bool {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case !quoted && (c == '<' || c == '>' || c == ' '):
			return false
		}
	}
	return !quoted
}

// international tells an envelope that needs SMTPUTF8 (RFC 6531 section 3.1).
func (e *Envelope) international() bool {
	for _, r := range e.Recipients {
		if !ascii(r) {
			return true
		}
	}
	return !ascii(e.From)
}

func ascii[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func unsafe(r rune) bool { return r < ' ' || r == 0x7f }

// clean makes text of a peer fit for a header field or a report: control
// characters become '?', and what is longer than max octets is cut.
func clean(s string, max int) string {
	if len(s) > max {
		s = s[:max]
	}
	if strings.IndexFunc(s, unsafe) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unsafe(r) {
			return '?'
		}
		return r
	}, s)
}
