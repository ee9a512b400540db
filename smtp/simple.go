package smtp

import "strings"

// rset ends the mail transaction without a trace.
//
// RFC 5321 section 4.1.1.5, RSET.
func (s *session) rset(arg string) error {
	if arg != "" {
		return s.refuse(501, "5.5.4", "RSET takes no argument")
	}
	s.mail, s.chunks = nil, nil
	return s.ok(250, "2.0.0", "mail transaction ended")
}

// noop does nothing; it may have an argument.
//
// RFC 5321 section 4.1.1.9, NOOP.
func (s *session) noop(string) error { return s.ok(250, "2.0.0", "ok") }

// quit ends the session.
//
// RFC 5321 section 4.1.1.10, QUIT.
func (s *session) quit(arg string) error {
	if arg != "" {
		return s.refuse(501, "5.5.4", "QUIT takes no argument")
	}
	s.write(221, "2.0.0", s.server.config.Hostname+" closing connection")
	return errQuit
}

// vrfy tells nothing about who exists here (RFC 5321 section 7.3).
//
// RFC 5321 section 4.1.1.6, VRFY.
func (s *session) vrfy(arg string) error {
	if arg == "" {
		return s.refuse(501, "5.5.4", "VRFY needs an address")
	}
	return s.ok(252, "2.0.0", "not verified here; send the message and see")
}

// expn is not served.
//
// RFC 5321 section 4.1.1.7, EXPN.
func (s *session) expn(string) error {
	return s.refuse(502, "5.5.1", "lists are not expanded here")
}

// helpText lists the commands, or how one is written.
//
// RFC 5321 section 4.1.1.8, HELP.
func (s *session) helpText(arg string) error {
	if arg == "" {
		var names []string
		for _, c := range commands(s.server.config.Mode) {
			names = append(names, c.name)
		}
		s.multi(214, "2.0.0", []string{"Commands: " + strings.Join(names, " "), "HELP command tells how one is written"})
		return nil
	}
	c, ok := s.server.table[strings.ToUpper(arg)]
	if !ok {
		return s.refuse(504, "5.5.4", "there is no such command")
	}
	return s.ok(214, "2.0.0", c.help)
}
