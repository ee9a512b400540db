package smtp

import (
	"strconv"
	"strings"
)

// mailFrom opens a mail transaction.
//
// RFC 5321 section 4.1.1.2, MAIL; RFC 1870 (SIZE), RFC 6152 (BODY), RFC 4954
// section 5 (AUTH). RFC 6409 section 4.3: a submission server asks for sign-in
// first.
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
	if r := mail.apply(params, s.server.config.Limits.MessageSize); r.code != 0 {
		return s.refuse(r.code, r.enhanced, r.text)
	}
	s.mail = mail
	return s.ok(250, "2.1.0", "<"+path+"> sender accepted")
}

// apply takes the parameters of MAIL. The reply is zero when all are good.
func (t *transaction) apply(params []param, maxSize int64) reply {
	for _, p := range params {
		switch p.key {
		case "SIZE":
			n, err := strconv.ParseUint(p.value, 10, 63)
			if err != nil || len(p.value) > 20 {
				return reply{501, "5.5.4", "SIZE needs a number"}
			}
			if int64(n) > maxSize {
				return reply{552, "5.3.4", "message exceeds the size limit"}
			}
			t.size = int64(n)
		case "BODY":
			switch strings.ToUpper(p.value) {
			case "7BIT":
			case "8BITMIME":
				t.body8Bit = true
			default:
				return reply{501, "5.5.4", "BODY is 7BIT or 8BITMIME"}
			}
		case "AUTH":
			// Who submitted the message first, as the client says. Nobody is
			// trusted in that, so it is checked and dropped.
			if !validXtext(p.value) {
				return reply{501, "5.5.4", "AUTH needs an xtext"}
			}
		default:
			return reply{555, "5.5.4", "parameter " + p.key + " is not known here"}
		}
	}
	return reply{}
}

// validXtext checks an xtext (RFC 3461 section 4).
func validXtext(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			if i+2 >= len(s) || !upperHex(s[i+1]) || !upperHex(s[i+2]) {
				return false
			}
			i += 2
			continue
		}
		if c < '!' || c > '~' || c == '=' {
			return false
		}
	}
	return s != ""
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
