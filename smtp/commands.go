package smtp

import "errors"

// state is where a session stands. A command names those in which it is legal.
type state uint8

const (
	stNew     state = 1 << iota // nothing said yet
	stGreeted                   // EHLO or HELO
	stMail                      // MAIL accepted
	stRcpt                      // and at least one RCPT

	stAny  = stNew | stGreeted | stMail | stRcpt
	stTalk = stGreeted | stMail | stRcpt
)

// command is one line of the table.
type command struct {
	name   string
	states state
	run    func(s *session, arg string) error
	help   string
}

// commands returns the table: RFC 5321 section 4.1, RFC 3207, RFC 4954.
func commands() []command {
	return []command{
		{"EHLO", stAny, (*session).ehlo, "EHLO domain"},
		{"HELO", stAny, (*session).helloPlain, "HELO domain"},
		{"MAIL", stGreeted, (*session).mailFrom, "MAIL FROM:<reverse-path> [SIZE=n] [BODY=7BIT|8BITMIME]"},
		{"RCPT", stMail | stRcpt, (*session).rcptTo, "RCPT TO:<forward-path>"},
		{"DATA", stRcpt, (*session).data, "DATA"},
		{"RSET", stAny, (*session).rset, "RSET"},
		{"NOOP", stAny, (*session).noop, "NOOP"},
		{"QUIT", stAny, (*session).quit, "QUIT"},
		{"VRFY", stAny, (*session).vrfy, "VRFY address"},
		{"EXPN", stAny, (*session).expn, "EXPN list"},
		{"HELP", stAny, (*session).helpText, "HELP [command]"},
		{"STARTTLS", stTalk, (*session).startTLS, "STARTTLS"},
		{"AUTH", stTalk, (*session).auth, "AUTH mechanism [initial-response]"},
	}
}

// commandTable maps a verb to its command.
func commandTable() map[string]command {
	t := make(map[string]command)
	for _, c := range commands() {
		t[c.name] = c
	}
	return t
}

// errTooManyErrors ends a session in which too much was refused.
var errTooManyErrors = errors.New("too many errors")

// dispatch runs a command where it is legal.
func (s *session) dispatch(verb, arg string) error {
	c, ok := s.server.table[verb]
	switch {
	case ok:
	case verb == "BDAT":
		return s.refuseChunk()
	default:
		return s.refuse(500, "5.5.1", "command not recognised")
	}
	state := s.state()
	if c.states&state != 0 {
		err := c.run(s, arg)
		s.lame = verb == "MAIL" && s.mail == nil
		return err
	}
	if s.lame && (verb == "RCPT" || verb == "DATA") {
		s.write(503, "5.5.1", outOfOrder(state, verb)) // one error, not one for each recipient
	} else if err := s.refuse(503, "5.5.1", outOfOrder(state, verb)); err != nil {
		return err
	}
	return s.guardAhead(verb)
}

// refuseChunk ends the session: CHUNKING is not offered, and the chunk that
// follows BDAT at once (RFC 3030 section 2) must not run as commands.
func (s *session) refuseChunk() error {
	s.events.ahead("BDAT")
	s.write(421, "4.7.0", s.server.config.Hostname+" CHUNKING is not offered")
	return errQuit
}

func (s *session) state() state {
	switch {
	case s.helo == "":
		return stNew
	case s.mail == nil:
		return stGreeted
	case len(s.mail.recipients) == 0:
		return stMail
	default:
		return stRcpt
	}
}

// outOfOrder says what is wrong with a command in a state.
func outOfOrder(st state, verb string) string {
	switch {
	case st == stNew:
		return "say EHLO first"
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
