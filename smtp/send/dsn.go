package send

import (
	"fmt"
	"strings"
)

// RecipientOptions are passed on to a peer that knows delivery status
// notifications (RFC 3461).
type RecipientOptions struct {
	Notify   string // "NEVER", or some of "SUCCESS,FAILURE,DELAY"; empty: not given
	Original string // type of address, semicolon, address in clear; empty: not given
}

// Reports tells whether the peer sends reports itself (RFC 3461). When it does
// not, they are the business of who hands the message over.
func (c *Conn) Reports() bool { return c.has("DSN") }

// mailOptions renders the parameters of MAIL: RFC 3461 sections 4.3 and 4.4.
func (c *Conn) mailOptions(m *Message) string {
	line := ""
	if !c.Reports() {
		return line
	}
	if m.Return != "" {
		line += " RET=" + m.Return
	}
	if m.EnvelopeID != "" && ascii(m.EnvelopeID) {
		line += " ENVID=" + xtext(m.EnvelopeID)
	}
	return line
}

// recipientOptions renders those of RCPT: RFC 3461 sections 4.1 and 4.2.
func (c *Conn) recipientOptions(m *Message, i int) string {
	line := ""
	if !c.Reports() || i >= len(m.Options) {
		return line
	}
	if o := m.Options[i]; o.Notify != "" {
		line += " NOTIFY=" + o.Notify
	}
	kind, addr, _ := strings.Cut(m.Options[i].Original, ";")
	switch {
	case addr == "":
	case strings.EqualFold(kind, "utf-8"):
		line += " ORCPT=" + kind + ";" + unitext(addr, c.has("SMTPUTF8"))
	case ascii(addr):
		line += " ORCPT=" + kind + ";" + xtext(addr)
	}
	return line
}

// xtext encodes printable ASCII: RFC 3461 section 4.
func xtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c <= '~' && c != '+' && c != '=' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "+%02X", c)
		}
	}
	return b.String()
}

// unitext encodes an address of type utf-8, in ASCII alone where the peer takes
// no more: RFC 6533 section 3.
func unitext(s string, utf8 bool) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r > ' ' && r <= '~' && r != '+' && r != '=' && r != '\\', r >= 0x80 && utf8:
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\x{%02X}`, r)
		}
	}
	return b.String()
}
