package pop

import "context"

// capa lists what this connection can do now.
//
// RFC 2449 section 5, CAPA; section 6 and RFC 2595, 3206 and 5034 for the
// capabilities.
func (s *session) capa(context.Context, string) error {
	s.ok(sayCapabilities)
	b := s.conn.Out()
	for _, c := range s.capabilities() {
		b = append(b, c...)
		b = append(b, "\r\n"...)
	}
	s.conn.Done(append(b, ".\r\n"...))
	return nil
}

// capabilities returns the lines of CAPA. LAST and XTND XMIT have no registered
// names and are left out.
func (s *session) capabilities() []string {
	list := []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"}
	list = append(list, s.policyCapabilities()...)
	list = append(list, "UTF8 USER", "LANG")
	at := s.attempt()
	if s.Auth.Allowed(at) {
		list = append(list, "USER")
	}
	if mechanisms := s.Auth.Mechanisms(at); len(mechanisms) > 0 {
		line := "SASL"
		for _, m := range mechanisms {
			line += " " + m
		}
		list = append(list, line)
	}
	if s.conn.CanTLS() {
		list = append(list, "STLS")
	}
	if s.state == transaction { // strangers are not told what runs here
		list = append(list, "IMPLEMENTATION "+s.Product+"-"+s.Version)
	}
	return list
}
