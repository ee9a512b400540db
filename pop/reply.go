package pop

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"tripost/accounts"
	"tripost/store"
	"tripost/store/engine"
	"tripost/syslog"
)

// Response codes of RFC 2449 section 8 and RFC 3206. [IN-USE] is never sent: no
// session locks a maildrop. [UTF8] of RFC 6856 is not either: who has not asked
// for UTF-8 gets messages converted.
const (
	codeNone        = ""
	codeCredentials = "[AUTH]"     // name or password is wrong
	codeTemporary   = "[SYS/TEMP]" // ours, and it passes
	codePermanent   = "[SYS/PERM]" // somebody has to mend something
	codeLoginDelay  = "[LOGIN-DELAY]"
)

// maxReply is the longest first line of a reply with its line end (RFC 2449
// section 4).
const maxReply = 512

// ok writes a positive reply. It returns nil, so that a handler can end with it.
// Of the arguments, phrases and refusals are put into the session's language.
func (s *session) ok(p phrase, args ...any) error {
	return s.reply("+OK ", s.texts[p], translate(s.texts, args))
}

// data writes a positive reply that is for programs and the same in every
// language.
func (s *session) data(format string, args ...any) error { return s.reply("+OK ", format, args) }

// no writes a negative reply. It returns nil: the session goes on.
func (s *session) no(code string, p phrase, args ...any) error {
	status := "-ERR "
	if code != codeNone {
		status += code + " "
	}
	return s.reply(status, s.texts[p], translate(s.texts, args))
}

// say writes a refusal as a negative reply.
func (s *session) say(r *refusal) error { return s.no(r.code, r.phrase, r.args...) }

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

// translate puts those of a phrase's arguments that are phrases themselves into
// a language. The slice given is not changed.
func translate(texts *phrases, args []any) []any {
	out := args
	put := func(i int, text string) {
		if &out[0] == &args[0] {
			out = slices.Clone(args)
		}
		out[i] = text
	}
	for i, a := range args {
		switch a := a.(type) {
		case phrase:
			put(i, texts[a])
		case *refusal:
			put(i, a.in(texts))
		}
	}
	return out
}

// refusal is an error that is the client's to know: what follows -ERR.
type refusal struct {
	code   string
	phrase phrase
	args   []any
}

// Error returns the text in English, as the log has it.
func (r *refusal) Error() string { return r.in(&english) }

// in returns the text in a language, without the code.
func (r *refusal) in(texts *phrases) string {
	return fmt.Sprintf(texts[r.phrase], translate(texts, r.args)...)
}

func refuse(p phrase, args ...any) *refusal { return &refusal{phrase: p, args: args} }

func refuseWith(code string, p phrase, args ...any) *refusal { return &refusal{code, p, args} }

// Refusals that more than one place knows.
var (
	refusedMailbox = refuseWith(codePermanent, sayNoMailbox)
	refusedMoved   = refuse(sayMoved)
	refusedDelete  = refuse(sayMayNotDelete)
	refusedRead    = refuse(sayMayNotRead)
	// refusedInsecure is said before a password is sent, where that can be helped.
	refusedInsecure = refuseWith(codePermanent, sayInsecure)
)

// refuse answers a command that an error kept from being done. What is not the
// client's to know is logged here, and the client is told to try again.
func (s *session) refuse(doing string, err error) error {
	r, known := replyTo(err)
	if !known {
		s.log.Logf(syslog.Failure, "%s: %v", doing, err)
	}
	return s.say(r)
}

// replyTo turns an error within a session into what the client is told. known
// is false for errors that are ours.
func replyTo(err error) (r *refusal, known bool) {
	switch {
	case errors.As(err, &r):
		return r, true
	case errors.Is(err, store.ErrNoMessage):
		return refuse(sayGone), true
	case errors.Is(err, store.ErrNoMailbox), errors.Is(err, store.ErrNotSelectable):
		return refusedMoved, true
	case errors.Is(err, store.ErrNoRight):
		return refusedRead, true
	case errors.Is(err, engine.ErrDamaged):
		return refuseWith(codePermanent, sayDamaged), false
	case errors.Is(err, engine.ErrReadOnly):
		return refuseWith(codeTemporary, sayReadOnly), false
	default:
		return refuseWith(codeTemporary, sayLater), false
	}
}

// replyToSignIn turns a failed sign-in into what the client is told. A mailbox
// that does not exist and one that may not be opened look the same, and so do
// a wrong name and a wrong password. The log has been written by accounts or by
// who opened the mailbox.
func replyToSignIn(err error) (r *refusal) {
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, accounts.ErrCredentials), errors.Is(err, accounts.ErrThrottled):
		return refuseWith(codeCredentials, sayWrong)
	case errors.Is(err, accounts.ErrInsecure):
		return refusedInsecure
	case errors.Is(err, accounts.ErrLocked): // which is an ErrService too
		return refuseWith(codePermanent, sayLocked)
	case errors.Is(err, accounts.ErrService):
		return refuseWith(codePermanent, sayNoService)
	case errors.Is(err, accounts.ErrMalformed):
		return refuse(sayMalformed)
	case errors.Is(err, accounts.ErrMechanism):
		return refuse(sayNoMechanism)
	case errors.Is(err, accounts.ErrNoMailbox), errors.Is(err, store.ErrNoMailbox), errors.Is(err, store.ErrBadName),
		errors.Is(err, store.ErrNotSelectable), errors.Is(err, store.ErrNoRight), errors.Is(err, store.ErrNoAccount):
		return refusedMailbox
	default:
		return refuseWith(codeTemporary, saySignInLater)
	}
}
