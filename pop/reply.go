package pop

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"tripost/accounts"
	"tripost/store"
	"tripost/store/engine"
	"tripost/syslog"
)

// Response codes of RFC 2449 section 8 and RFC 3206. [IN-USE] is never sent:
// no session locks a maildrop.
const (
	codeCredentials = "[AUTH]"     // name or password is wrong
	codeTemporary   = "[SYS/TEMP]" // ours, and it passes
	codePermanent   = "[SYS/PERM]" // somebody has to mend something
)

// maxReply is the longest first line of a reply with its line end (RFC 2449
// section 4).
const maxReply = 512

// ok writes a positive reply. It returns nil, so that a handler can end with it.
func (s *session) ok(format string, args ...any) error { return s.reply("+OK ", format, args) }

// no writes a negative reply. It returns nil: the session goes on.
func (s *session) no(format string, args ...any) error { return s.reply("-ERR ", format, args) }

// reply writes one line of at most maxReply octets.
func (s *session) reply(status, format string, args []any) error {
	b := s.conn.Out()
	start := len(b)
	b = append(b, status...)
	b = fmt.Appendf(b, format, args...)
	line := cut(b[start:], maxReply-len("\r\n"))
	b = b[:start+len(line)]
	if s.log.On(syslog.Protocol) {
		s.log.Log(syslog.Protocol, "rsp: "+string(line))
	}
	s.conn.Done(append(b, "\r\n"...))
	return nil
}

// cut shortens a text to at most n octets, not within a character.
func cut(b []byte, n int) []byte {
	if len(b) <= n {
		return b
	}
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return b[:n]
}

// refusal is an error that is the client's to know: what follows -ERR.
type refusal string

func (r refusal) Error() string { return string(r) }

func refusef(format string, args ...any) refusal { return refusal(fmt.Sprintf(format, args...)) }

const (
	refusedMailbox  refusal = codePermanent + " this mailbox cannot be opened"
	refusedGone     refusal = "the message has been removed by another client"
	refusedMoved    refusal = "the mailbox has been removed or renamed by another client"
	refusedDelete   refusal = "you have no right to delete messages in this mailbox"
	refusedRead     refusal = "you have no right to read messages in this mailbox any more"
	refusedDamaged  refusal = codePermanent + " the message is damaged in the store"
	refusedReadOnly refusal = codeTemporary + " the store takes no changes now"
	refusedLater    refusal = codeTemporary + " this is not possible now, try again later"
)

// refuse answers a command that an error kept from being done. What is not the
// client's to know is logged here, and the client is told to try again.
func (s *session) refuse(doing string, err error) error {
	r, known := replyTo(err)
	if !known {
		s.log.Logf(syslog.Failure, "%s: %v", doing, err)
	}
	return s.no("%s", string(r))
}

// replyTo turns an error within a session into what the client is told. known
// is false for errors that are ours.
func replyTo(err error) (r refusal, known bool) {
	switch {
	case errors.As(err, &r):
		return r, true
	case errors.Is(err, store.ErrNoMessage):
		return refusedGone, true
	case errors.Is(err, store.ErrNoMailbox), errors.Is(err, store.ErrNotSelectable):
		return refusedMoved, true
	case errors.Is(err, store.ErrNoRight):
		return refusedRead, true
	case errors.Is(err, engine.ErrDamaged):
		return refusedDamaged, false
	case errors.Is(err, engine.ErrReadOnly):
		return refusedReadOnly, false
	default:
		return refusedLater, false
	}
}

// replyToSignIn turns a failed sign-in into what the client is told. A mailbox
// that does not exist and one that may not be opened look the same, and so do
// a wrong name and a wrong password. The log has been written by accounts or by
// who opened the mailbox.
func replyToSignIn(err error) (r refusal) {
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, accounts.ErrCredentials), errors.Is(err, accounts.ErrThrottled):
		return codeCredentials + " wrong name or password"
	case errors.Is(err, accounts.ErrInsecure):
		return refusedInsecure
	case errors.Is(err, accounts.ErrLocked): // which is an ErrService too
		return codePermanent + " this account is locked"
	case errors.Is(err, accounts.ErrService):
		return codePermanent + " POP is switched off for this account"
	case errors.Is(err, accounts.ErrMalformed):
		return "malformed authentication exchange"
	case errors.Is(err, accounts.ErrMechanism):
		return "this authentication mechanism is not offered here"
	case errors.Is(err, accounts.ErrNoMailbox), errors.Is(err, store.ErrNoMailbox), errors.Is(err, store.ErrBadName),
		errors.Is(err, store.ErrNotSelectable), errors.Is(err, store.ErrNoRight), errors.Is(err, store.ErrNoAccount):
		return refusedMailbox
	default:
		return codeTemporary + " sign-in is not possible now, try again later"
	}
}

// refusedInsecure is said before a password is sent, where that can be helped.
const refusedInsecure refusal = codePermanent + " a password needs an encrypted connection: use STLS first"
