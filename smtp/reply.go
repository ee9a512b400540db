package smtp

import (
	"errors"
	"strconv"
	"strings"
	"syscall"

	"tripost/accounts"
	"tripost/smtp/queue"
	"tripost/store"
	"tripost/store/engine"
	"tripost/wire"
)

// write writes a reply of one line. enhanced is a code of RFC 3463, or empty
// where RFC 2034 has none: greetings, EHLO, and the intermediate 3yz.
func (s *session) write(code int, enhanced, text string) {
	s.line(code, ' ', enhanced, text)
}

// line writes one line of a reply; sep is '-' when more follow.
func (s *session) line(code int, sep byte, enhanced, text string) {
	b := s.conn.Out()
	start := len(b)
	b = strconv.AppendInt(b, int64(code), 10)
	b = append(b, sep)
	if enhanced != "" {
		b = append(b, enhanced...)
		b = append(b, ' ')
	}
	b = appendText(b, text)
	s.events.reply(b[start:])
	b = append(b, '\r', '\n')
	s.conn.Done(b)
}

// maxReplyText keeps a reply line within 512 octets (RFC 5321 section
// 4.5.3.1.5).
const maxReplyText = 480

// appendText appends text as it may stand in a reply line.
func appendText(b []byte, text string) []byte {
	if len(text) > maxReplyText {
		text = strings.ToValidUTF8(text[:maxReplyText], "")
	}
	for i := range len(text) {
		c := text[i]
		if c < ' ' || c == 0x7f {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}

// multi writes a reply of several lines.
func (s *session) multi(code int, enhanced string, lines []string) {
	for i, text := range lines {
		sep := byte('-')
		if i == len(lines)-1 {
			sep = ' '
		}
		s.line(code, sep, enhanced, text)
	}
}

// ok writes a positive reply.
func (s *session) ok(code int, enhanced, text string) error {
	s.write(code, enhanced, text)
	return nil
}

// refuse writes a negative reply, and ends the session when there were too many.
// Temporary ones do not count: a long list of recipients may meet many full
// mailboxes, and a sender whose connection is closed over them gets nothing to
// anybody, however often it tries.
func (s *session) refuse(code int, enhanced, text string) error {
	s.write(code, enhanced, text)
	if code < 500 {
		return nil
	}
	if s.errors++; s.errors >= s.server.config.Limits.Errors {
		return errTooManyErrors
	}
	return nil
}

// reply is a negative reply.
type reply struct {
	code     int
	enhanced string
	text     string
}

// replyTo turns an error of the queue, the store or the data into the reply that
// the client sees. What the client can mend has its own line here; everything
// else is ours, so it is temporary and says no more than that.
func replyTo(err error) reply {
	var r *queue.RecipientError
	var sender *queue.SenderError
	var refusal *queue.Refusal
	switch {
	case errors.As(err, &sender):
		return reply{550, "5.7.1", sender.Error()}
	case errors.As(err, &refusal):
		return reply{refusal.Code, refusal.Enhanced, refusal.Reason}
	case errors.Is(err, queue.ErrFlow):
		return reply{450, "4.7.1", "this account has sent as much as it may within the period, try again later"}
	case errors.As(err, &r):
		return reply{r.Code, r.Enhanced, "<" + r.Address + "> " + r.Reason}
	case errors.Is(err, wire.ErrBareCR), errors.Is(err, wire.ErrBareLF):
		return reply{554, "5.6.0", "message refused: lines must end with CRLF, and CR and LF must not stand alone"}
	case errors.Is(err, wire.ErrNUL):
		return reply{554, "5.6.0", "message refused: it contains a NUL octet"}
	case errors.Is(err, wire.ErrDataTooLong), errors.Is(err, queue.ErrTooLong):
		return reply{552, "5.3.4", "message exceeds the size limit"}
	case errors.Is(err, queue.ErrLoop):
		return reply{554, "5.4.6", "message refused: it has passed through too many hosts"}
	case errors.Is(err, store.ErrOverQuota):
		return reply{452, "4.2.2", "a mailbox is over its quota"}
	case errors.Is(err, queue.ErrQueueFull):
		return reply{452, "4.3.1", "the queue is full, try again later"}
	case errors.Is(err, engine.ErrReadOnly), errors.Is(err, syscall.ENOSPC):
		return reply{452, "4.3.1", "no storage at the moment, try again later"}
	default:
		return reply{451, "4.3.0", "try again later"}
	}
}

// replyToSignIn turns an error of a sign-in into the reply (RFC 4954 section 6).
func replyToSignIn(err error) reply {
	switch {
	case errors.Is(err, accounts.ErrMechanism):
		return reply{504, "5.5.4", "mechanism is not offered"}
	case errors.Is(err, accounts.ErrInsecure):
		return reply{538, "5.7.11", "a password needs an encrypted connection"}
	case errors.Is(err, accounts.ErrMalformed):
		return reply{501, "5.5.2", "malformed authentication exchange"}
	case errors.Is(err, accounts.ErrCredentials), errors.Is(err, accounts.ErrThrottled):
		return reply{535, "5.7.8", "wrong name or password"}
	case errors.Is(err, accounts.ErrService):
		return reply{535, "5.7.8", "the service is off for this account"}
	default:
		return reply{454, "4.7.0", "sign-in is not possible at the moment"}
	}
}
