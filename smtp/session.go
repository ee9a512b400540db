package smtp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"

	"tripost/accounts"
	"tripost/smtp/queue"
	"tripost/store"
	"tripost/syslog"
	"tripost/wire"
)

// session is one connection. One goroutine runs it.
type session struct {
	server *Server
	ctx    context.Context
	conn   *wire.Conn
	events events
	remote netip.Addr
	client bool // a client address

	helo  string // as the client named itself; empty: it has not
	esmtp bool   // by EHLO
	user  *accounts.SignedIn
	mail  *transaction // under way, or nil

	visit  *visit  // what is asked about a stranger's host, or nil
	early  bool    // it spoke when it was not its turn
	chunks *chunks // of the message that BDAT has begun, or nil

	errors int  // refused commands
	lame   bool // MAIL was refused, and what was sent along with it will be too
}

// transaction is a mail transaction (RFC 5321 section 3.3).
type transaction struct {
	from       string
	size       int64 // as announced; 0: not
	body8Bit   bool
	binary     bool // BODY=BINARYMIME: only BDAT can bring it
	utf8       bool // SMTPUTF8
	requireTLS bool // REQUIRETLS
	returns    queue.Return
	envelopeID string
	trap       string                   // a recipient that is bait for who sends unwanted mail; empty: none
	options    []queue.RecipientOptions // of recipients
	recipients []string
	octets     int               // of recipients
	shared     []store.AccountID // accounts with individual recipients
}

// errQuit ends a session after its last reply.
var errQuit = errors.New("session is over")

// run serves the session to its end.
func (s *session) run() {
	defer s.endVisit()
	err := s.greet()
	for err == nil {
		err = s.step()
	}
	s.farewell(err)
	s.events.closed(s, err)
}

// greet sends the greeting, on an MX perhaps after a pause: a program that sends
// its commands without waiting for ours is not a mail server.
//
// Meanwhile the DNS is asked about it.
func (s *session) greet() error {
	if !s.screenConnection() {
		s.events.tooMany("connections")
		s.write(421, "4.7.0", s.server.config.Hostname+" too many connections from your address, try again later")
		return errQuit
	}
	s.beginVisit()
	if pause := s.server.config.Timeouts.Greeting; pause > 0 && s.server.config.Mode == MX && !s.client {
		s.conn.SetReadTimeout(pause)
		switch err := s.conn.WaitInput(s.ctx, nil); {
		case err == nil:
			s.early = true
			s.events.earlyTalker()
		case !errors.Is(err, wire.ErrIdle):
			return err
		}
	}
	s.conn.SetReadTimeout(s.server.config.Timeouts.Command)
	s.limitSignIn()
	word := " ESMTP "
	if s.lmtp() {
		word = " LMTP "
	}
	s.write(220, "", s.server.config.Hostname+word+s.server.product)
	return nil
}

// limitSignIn begins the time within which the user must sign in.
func (s *session) limitSignIn() {
	if s.mustSignIn() {
		s.conn.SetDeadline(s.server.config.Now().Add(s.server.config.Timeouts.SignIn))
	}
}

// mustSignIn tells whether the session waits for its user to sign in.
func (s *session) mustSignIn() bool {
	return s.server.config.Mode == Submission && s.user == nil
}

// step reads and runs one command.
func (s *session) step() error {
	if err := s.hideSecrets(); err != nil {
		return err
	}
	line, err := s.conn.ReadLine(s.server.config.Limits.AuthLine)
	s.conn.Secret(false)
	switch {
	case errors.Is(err, wire.ErrLineTooLong):
		return s.refuse(500, "5.5.2", "line too long")
	case err != nil:
		return err
	}
	verb, arg, err := s.split(line)
	switch {
	case isHTTP(verb, arg):
		s.events.http(verb)
		s.write(421, "4.7.0", s.server.config.Hostname+" speaks SMTP, not HTTP")
		return errQuit
	case err == nil:
		return s.dispatch(verb, arg)
	case verb == "BDAT":
		return s.refuseChunk()
	}
	if err := s.refuse(500, "5.5.2", err.Error()); err != nil {
		return err
	}
	return s.guardAhead(verb)
}

// hideSecrets keeps an AUTH command with an initial response out of the log of
// raw octets: it has to be known as one before it is read.
func (s *session) hideSecrets() error {
	if !s.events.log.On(syslog.Raw) {
		return nil
	}
	head, err := s.conn.Peek(4)
	if err != nil {
		return err
	}
	blank := head[0] == ' ' || head[0] == '\t' // no command, but perhaps meant as one
	s.conn.Secret(blank || bytes.EqualFold(head, []byte("AUTH"[:len(head)])))
	return nil
}

var (
	errLineLong  = errors.New("line too long")
	errLineOctet = errors.New("command line with a control character")
	errLineEnd   = errors.New("a line must end with CRLF") // RFC 5321 section 2.3.8
)

// split takes a command line apart. The verb comes in upper case.
func (s *session) split(line []byte) (verb, arg string, err error) {
	if i := bytes.IndexByte(line, ' '); i < 0 {
		verb = string(line)
	} else {
		verb, arg = string(line[:i]), strings.TrimRight(string(line[i+1:]), " ")
	}
	verb = strings.ToUpper(verb)
	s.events.command(verb, arg)
	if verb != "AUTH" && len(line)+2 > s.server.config.Limits.Line {
		return verb, "", errLineLong
	}
	if s.conn.BareLF() {
		return verb, "", errLineEnd
	}
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return verb, "", errLineOctet
		}
	}
	return verb, arg, nil
}

// farewell tells the client why the session ends, where it can still hear it.
func (s *session) farewell(err error) {
	host := s.server.config.Hostname
	switch {
	case errors.Is(err, errQuit):
	case errors.Is(err, errTooManyErrors):
		s.write(421, "4.7.0", host+" too many errors, closing the connection")
	case errors.Is(err, context.Canceled):
		s.write(421, "4.3.2", host+" is shutting down")
	case errors.Is(err, wire.ErrIdle) && s.mustSignIn():
		s.write(421, "4.7.0", host+" not signed in within the time allowed")
	case errors.Is(err, wire.ErrIdle):
		s.write(421, "4.4.2", host+" idle for too long")
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.write(421, "4.4.2", host+" the message comes too slowly")
	case errors.Is(err, wire.ErrEndless):
		s.write(421, "4.7.0", host+" line without an end")
	}
}

// source tells the queue who submits.
func (s *session) source() queue.Source {
	src := queue.Source{
		Protocol: s.protocol(s.mail),
		Module:   s.module(),
		Remote:   s.remote,
		Helo:     s.helo,
		Client:   s.client,
		Log:      s.events.log,
	}
	if s.user != nil {
		src.Account = &s.user.Account
	}
	if s.mail != nil {
		src.Size = s.mail.size
	}
	return src
}

// lmtp tells whether the session speaks LMTP (RFC 2033).
func (s *session) lmtp() bool { return s.server.config.Mode == LMTP }

func (s *session) module() string {
	if s.lmtp() {
		return "LMTP"
	}
	return "SMTP"
}

// protocol is the word for the Received field: RFC 3848, RFC 6531 section 4.3.
func (s *session) protocol(mail *transaction) string {
	word := "SMTP"
	switch {
	case mail != nil && mail.utf8:
		word = "UTF8" + s.module()
	case s.lmtp():
		word = "LMTP"
	case s.esmtp:
		word = "ESMTP"
	default:
		return word
	}
	if s.conn.TLS() != nil {
		word += "S"
	}
	if s.user != nil {
		word += "A"
	}
	return word
}

// gone tells whether an error means that the client is no longer there.
func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
