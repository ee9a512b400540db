package smtp

import "errors"

// state is where a session stands. A command names those in which it is legal.
type state uint8

const (
	stNew     state = 1 << iota // nothing said yet
	stGreeted                   // EHLO or HELO
	stMail                      // MAIL accepted
	stRcpt                      // and at least one RCPT

	stChunks // within a message that BDAT has begun

	stTalk = stGreeted | stMail | stRcpt
	stAny  = stTalk | stNew | stChunks
)

// command is one line of the table.
type command struct {
	name   string
	states state
	run    func(s *session, arg string) error
	help   string
}

// commands returns the table of a mode: RFC 5321 section 4.1, RFC 2033 section
// 4.1, RFC 3030, RFC 3207, RFC 4954, RFC 1985.
func commands(m Mode) []command {
	hello := []command{
		{"EHLO", stAny, (*session).ehlo, "EHLO domain"},
		{"HELO", stAny, (*session).helloPlain, "HELO domain"},
	}
	if m == LMTP {
		hello = []command{{"LHLO", stAny, (*session).ehlo, "LHLO domain"}}
	}
	rest := []command{
		{"MAIL", stGreeted, (*session).mailFrom, "MAIL FROM:<reverse-path> [SIZE=n] [BODY=7BIT|8BITMIME|BINARYMIME] [SMTPUTF8] [REQUIRETLS] [RET=FULL|HDRS] [ENVID=id]"},
		{"RCPT", stMail | stRcpt, (*session).rcptTo, "RCPT TO:<forward-path> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;address]"},
		{"DATA", stRcpt, (*session).data, "DATA"},
		{"BDAT", stAny, (*session).bdat, "BDAT octets [LAST]"},
		{"RSET", stAny, (*session).rset, "RSET"},
		{"NOOP", stAny, (*session).noop, "NOOP"},
		{"QUIT", stAny, (*session).quit, "QUIT"},
		{"VRFY", stAny, (*session).vrfy, "VRFY address"},
		{"EXPN", stAny, (*session).expn, "EXPN list"},
		{"HELP", stAny, (*session).helpText, "HELP [command]"},
		{"STARTTLS", stTalk, (*session).startTLS, "STARTTLS"},
		{"AUTH", stTalk, (*session).auth, "AUTH mechanism [initial-response]"},
		{"ETRN", stGreeted, (*session).etrn, "ETRN domain"},
	}
	return append(hello, rest...)
}

// commandTable maps a verb to its command.
func commandTable(m Mode) map[string]command {
	t := make(map[string]command)
	for _, c := range commands(m) {
		t[c.name] = c
	}
	return t
}

// errTooManyErrors ends a session in which too much was refused.
var errTooManyErrors = errors.New("too many errors")

// dispatch runs a command where it is legal.
func (s *session) dispatch(verb, arg string) error {
	c, ok := s.server.table[verb]
	if !ok {
		return s.refuse(500, "5.5.1", "command not recognised")
	}
	state := s.state()
	if c.states&state != 0 {
		err := c.run(s, arg)
		switch {
		case verb == "MAIL":
			s.lame = s.mail == nil
		case verb != "BDAT":
			s.lame = false
		}
		return err
	}
	if s.lame && (verb == "RCPT" || verb == "DATA") {
		s.write(503, "5.5.1", outOfOrder(state, verb)) // one error, not one for each recipient
	} else if err := s.refuse(503, "5.5.1", outOfOrder(state, verb)); err != nil {
		return err
	}
	return s.guardAhead(verb)
}

func (s *session) state() state {
	switch {
	case s.chunks != nil:
		return stChunks
	case s.helo == "":
		return stNew
	case s.mail == nil:
		return stGreeted
	case len(s.mail.recipients) == 0 && s.mail.trap == "":
		return stMail
	default:
		return stRcpt
	}
}

// outOfOrder says what is wrong with a command in a state.
func outOfOrder(st state, verb string) string {
	switch {
	case st == stNew:
		return "say hello first"
	case st == stChunks:
		return "a message is under way: BDAT, or RSET"
	case verb == "MAIL":
		return "a mail transaction is under way already"
	case st == stGreeted:
		return "MAIL comes first"
	default:
		return "RCPT comes first"
	}
}

// guardAhead ends the session when DATA or AUTH is refused and octets have
// already come after it. A client must wait for the reply to both (RFC 2920
// section 3.1, RFC 4954 section 4); what one sends without waiting is a message,
// which must not run as commands, or a password, which must not get into the log
// as one.
func (s *session) guardAhead(verb string) error {
	if verb != "DATA" && verb != "AUTH" || s.conn.Buffered() == 0 {
		return nil
	}
	s.events.ahead(verb)
	s.write(421, "4.7.0", s.server.config.Hostname+" what follows "+verb+" was sent before it was asked for")
	return errQuit
}

// isHTTP recognises a browser that was made to talk to us: its request line, and
// so its body, must not run as commands.
func isHTTP(verb, arg string) bool {
	switch verb {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "PRI":
		return true
	case "HOST:", "USER-AGENT:", "CONTENT-LENGTH:", "CONTENT-TYPE:":
		return true
	}
	return false
}
