package smtp

import (
	"strconv"
	"strings"
)

// maxDomain is the longest domain name, RFC 5321 section 4.5.3.1.2.
const maxDomain = 255

// ehlo opens a session with extensions and lists them. It ends a mail
// transaction, as RSET does.
//
// RFC 5321 section 4.1.1.1, EHLO; RFC 2033 section 4.1, LHLO.
func (s *session) ehlo(arg string) error {
	if !s.hello(arg) {
		return s.refuse(501, "5.5.4", "the name of your host is needed")
	}
	s.esmtp = true
	s.multi(250, "", s.extensions())
	return nil
}

// helloPlain opens a session without extensions.
//
// RFC 5321 section 4.1.1.1, HELO.
func (s *session) helloPlain(arg string) error {
	if !s.hello(arg) {
		return s.refuse(501, "5.5.4", "HELO needs the name of your host")
	}
	s.esmtp = false
	return s.ok(250, "", s.server.config.Hostname)
}

// hello takes the client's name. It is recorded and never believed, so anything
// that can be written down is a name.
func (s *session) hello(name string) bool {
	name = strings.Trim(name, " \t")
	if name == "" || len(name) > maxDomain || strings.ContainsAny(name, " \t") {
		return false
	}
	s.mail, s.chunks = nil, nil
	s.helo = name
	if s.stranger() && s.conn.Buffered() > 0 { // nobody may send on before this is answered: RFC 2920 section 3.1
		s.early = true
		s.events.ahead("EHLO")
	}
	return true
}

// extensions lists what we offer now, after our name.
func (s *session) extensions() []string {
	lines := []string{
		s.server.config.Hostname,
		"PIPELINING",
		"SIZE " + strconv.FormatInt(s.server.config.Limits.MessageSize, 10),
		"8BITMIME",
		"ENHANCEDSTATUSCODES",
		"CHUNKING",
		"SMTPUTF8",
		"LIMITS RCPTMAX=" + strconv.Itoa(s.server.config.Limits.Recipients),
	}
	if s.offersBinary() {
		lines = append(lines, "BINARYMIME")
	}
	if s.offersDSN() {
		lines = append(lines, "DSN")
	}
	if s.conn.TLS() != nil {
		lines = append(lines, "REQUIRETLS") // RFC 8689 section 2: under TLS alone
	}
	if s.user != nil || s.client {
		lines = append(lines, "ETRN")
	}
	if s.conn.CanTLS() {
		lines = append(lines, "STARTTLS")
	}
	if m := s.mechanisms(); len(m) > 0 {
		lines = append(lines, "AUTH "+strings.Join(m, " "))
	}
	return lines
}
