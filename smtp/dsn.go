package smtp

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"tripost/smtp/queue"
)

// offersDSN tells whether delivery status notifications are offered: to those
// only who are known. A stranger could make this server send "delivered" to
// whomever it names in the reverse-path.
func (s *session) offersDSN() bool {
	return s.user != nil || s.client || s.server.config.Mode != MX
}

// Bounds of RFC 3461 sections 4.2 and 4.4, in octets as they are written.
const (
	maxENVID = 100
	maxORCPT = 500
)

// parseReturn reads the value of RET: RFC 3461 section 4.3.
func parseReturn(value string) queue.Return {
	switch strings.ToUpper(value) {
	case "FULL":
		return queue.ReturnFull
	case "HDRS":
		return queue.ReturnHeaders
	}
	return 0
}

// parseENVID reads the value of ENVID: RFC 3461 section 4.4.
func parseENVID(value string) (string, bool) {
	id, ok := decodeXtext(value)
	return id, ok && len(value) <= maxENVID && printableASCII(id)
}

// parseNotify reads the value of NOTIFY: RFC 3461 section 4.1.
func parseNotify(value string) queue.Notify {
	value = strings.ToUpper(value)
	if value == "NEVER" {
		return queue.NotifyNever
	}
	var n queue.Notify
	for word := range strings.SplitSeq(value, ",") {
		switch word {
		case "SUCCESS":
			n |= queue.NotifySuccess
		case "FAILURE":
			n |= queue.NotifyFailure
		case "DELAY":
			n |= queue.NotifyDelay
		default:
			return 0
		}
	}
	return n
}

// parseORCPT reads the value of ORCPT: RFC 3461 section 4.2, RFC 6533 section 3.
func parseORCPT(value string) (string, bool) {
	kind, addr, ok := strings.Cut(value, ";")
	if !ok || addr == "" || len(value) > maxORCPT || !validKeyword(kind) {
		return "", false
	}
	if strings.EqualFold(kind, "utf-8") {
		addr, ok = decodeUnitext(addr)
		return "utf-8;" + addr, ok && printable(addr)
	}
	addr, ok = decodeXtext(addr)
	return kind + ";" + addr, ok && printableASCII(addr)
}

// decodeXtext decodes an xtext: RFC 3461 section 4.
func decodeXtext(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+' && i+2 < len(s) && upperHex(s[i+1]) && upperHex(s[i+2]):
			n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8) // two hex digits
			b.WriteByte(byte(n))
			i += 2
		case c < '!' || c > '~' || c == '=' || c == '+':
			return "", false
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), s != ""
}

// decodeUnitext decodes an address of type utf-8: \x{FC} stands for a character
// that a command cannot carry, or a peer could not (RFC 6533 section 3). xtext
// is taken too.
func decodeUnitext(s string) (string, bool) {
	var b strings.Builder
	for s != "" {
		if rest, ok := strings.CutPrefix(s, `\x{`); ok {
			digits, after, closed := strings.Cut(rest, "}")
			n, err := strconv.ParseUint(digits, 16, 21)
			if !closed || err != nil || !utf8.ValidRune(rune(n)) {
				return "", false
			}
			b.WriteRune(rune(n))
			s = after
			continue
		}
		if s[0] == '+' {
			if len(s) < 3 {
				return "", false
			}
			text, ok := decodeXtext(s[:3])
			if !ok {
				return "", false
			}
			b.WriteString(text)
			s = s[3:]
			continue
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String(), true
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
