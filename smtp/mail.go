package smtp

import (
	"context"
	"errors"
	"strconv"
	"strings"
)

// mailFrom opens a mail transaction.
//
// RFC 5321 section 4.1.1.2, MAIL; RFC 1870 (SIZE), RFC 6152 (BODY), RFC 6531
// (SMTPUTF8), RFC 8689 (REQUIRETLS), RFC 3461 (RET, ENVID), RFC 4954 section 5 (AUTH). RFC 6409 section
// 4.3: a submission server asks for sign-in first.
func (s *session) mailFrom(arg string) error {
	if s.mustSignIn() {
		return s.refuse(530, "5.7.0", "sign in first")
	}
	rest, ok := cutKeyword(arg, "FROM:")
	if !ok {
		return s.refuse(501, "5.5.2", "use MAIL FROM:<address>")
	}
	path, rest, err := parseReversePath(rest)
	if err != nil {
		return s.refuse(err.code(), err.enhanced(sender), err.Error())
	}
	params, perr := parseParams(rest)
	if perr != nil {
		return s.refuse(501, "5.5.4", perr.Error())
	}
	mail := &transaction{from: path}
	for _, p := range params {
		if r := s.mailParam(mail, p); r.code != 0 {
			return s.refuse(r.code, r.enhanced, r.text)
		}
	}
	if !mail.utf8 && !printableASCII(path) {
		return s.refuse(errNonASCII.code(), errNonASCII.enhanced(sender), errNonASCII.Error())
	}
	if r := s.screenMail(); r.code != 0 {
		s.events.screened(path, "", r)
		return s.refuse(r.code, r.enhanced, r.text)
	}
	if err := s.server.config.Queue.CheckSender(context.WithoutCancel(s.ctx), path, s.source()); err != nil {
		r := replyTo(err)
		s.events.messageRefused(path, r, err)
		return s.refuse(r.code, r.enhanced, r.text)
	}
	s.mail = mail
	return s.ok(250, "2.1.0", "<"+path+"> sender accepted")
}

// mailParam takes a parameter of MAIL. The reply is zero when it is good.
func (s *session) mailParam(t *transaction, p param) reply {
	ok := true
	switch p.key {
	case "SIZE":
		return t.announce(p.value, s.server.config.Limits.MessageSize)
	case "BODY":
		return s.bodyParam(t, p.value)
	case "SMTPUTF8":
		t.utf8, ok = true, p.value == ""
	case "AUTH":
		// Who submitted the message first, as the client says. Nobody is
		// trusted in that, so it is checked and dropped.
		_, ok = decodeXtext(p.value)
	case "REQUIRETLS":
		t.requireTLS, ok = true, p.value == ""
	case "RET":
		t.returns = parseReturn(p.value)
		ok = t.returns != 0
	case "ENVID":
		t.envelopeID, ok = parseENVID(p.value)
	}
	switch {
	case !s.knownParam(p.key):
		return unknownParam(p.key)
	case !ok:
		return reply{501, "5.5.4", "malformed value of " + p.key}
	}
	return reply{}
}

// bodyParam takes BODY: RFC 6152 section 2, RFC 3030 section 3.
func (s *session) bodyParam(t *transaction, value string) reply {
	switch {
	case strings.EqualFold(value, "7BIT"):
	case strings.EqualFold(value, "8BITMIME"):
		t.body8Bit = true
	case strings.EqualFold(value, "BINARYMIME") && s.offersBinary():
		t.body8Bit, t.binary = true, true
	default:
		return reply{501, "5.5.4", "BODY is 7BIT or 8BITMIME"}
	}
	return reply{}
}

// offersBinary tells whether BINARYMIME is offered: to those only who are known,
// for what becomes of a message would break the signatures of strangers.
func (s *session) offersBinary() bool { return !s.stranger() }

// knownParam tells the parameters of extensions that are offered.
func (s *session) knownParam(key string) bool {
	switch key {
	case "SMTPUTF8", "AUTH":
		return true
	case "RET", "ENVID", "NOTIFY", "ORCPT":
		return s.offersDSN()
	case "REQUIRETLS":
		return s.conn.TLS() != nil
	}
	return false
}

func unknownParam(key string) reply {
	return reply{555, "5.5.4", "parameter " + key + " is not known here"}
}

// announce takes the size that the message will have, of up to 20 digits: RFC 1870
// section 5.
func (t *transaction) announce(value string, max int64) reply {
	n, err := strconv.ParseUint(value, 10, 63)
	if len(value) > 20 || err != nil && !errors.Is(err, strconv.ErrRange) {
		return reply{501, "5.5.4", "SIZE needs a number"}
	}
	if err != nil || int64(n) > max {
		return reply{552, "5.3.4", "message exceeds the size limit"}
	}
	t.size = int64(n)
	return reply{}
}

func upperHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' }

// cutKeyword takes a keyword in any case off the begin of an argument, with
// blanks around it: some clients write MAIL FROM: <a@b>.
func cutKeyword(arg, keyword string) (rest string, ok bool) {
	arg = strings.TrimLeft(arg, " \t")
	if len(arg) < len(keyword) || !strings.EqualFold(arg[:len(keyword)], keyword) {
		return "", false
	}
	return strings.TrimLeft(arg[len(keyword):], " \t"), true
}
