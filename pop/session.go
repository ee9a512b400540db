package pop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"tripost/accounts"
	"tripost/syslog"
	"tripost/wire"
)

// session is one connection from greeting to close. One goroutine runs it.
type session struct {
	*Server
	conn *wire.Conn
	log  *syslog.Logger

	state   state
	texts   *phrases // in the language of the replies
	stamp   string   // of the greeting, for APOP; "": none
	unicode bool     // headers in UTF-8 are sent as they are
	name    string   // of the last USER that no PASS has followed
	failed  int      // sign-ins
	faults  int      // lines that were no command

	in     *accounts.SignedIn // set in the transaction state
	drop   *maildrop          // likewise
	policy Policy             // likewise
	seen   seenMarks
	ahead  *ahead // nil: no message was opened
	count  counts
}

// counts is what the closing line in the log says.
type counts struct {
	retrieved, top, deleted, submitted int
	octets                             int64 // of messages sent to the client, as stored
}

// How a session can end without anything being wrong.
var (
	errQuit     = errors.New("quit")
	errShutdown = errors.New("server is shutting down")
	errAbuse    = errors.New("too many errors")
)

// run is the session. Whatever ends it, the marks of messages that went out
// whole are recorded, and nothing but QUIT removes messages.
func (s *session) run(ctx context.Context) {
	defer s.leave()
	s.restart()
	next := s.greet
	answer := func() error {
		now := next
		next = s.answer
		return now(ctx)
	}
	err := s.conn.Converse(ctx, answer)
	for err == nil {
		if err = s.waitInput(ctx); err == nil {
			err = s.conn.Converse(ctx, answer)
		}
	}
	s.recordSeen(ctx)
	s.logClosing(err)
}

// greet writes the greeting, with a stamp at its end where APOP is offered.
func (s *session) greet(ctx context.Context) error {
	s.stamp = s.newStamp(ctx)
	if s.stamp == "" {
		return s.ok(sayGreeting, s.Hostname, s.Product)
	}
	return s.data(english[sayGreeting]+" %s", s.Hostname, s.Product, s.stamp)
}

// restart puts the session into the AUTHORIZATION state as if it had just begun
// (RFC 2595 section 4, after STLS).
func (s *session) restart() {
	s.state = authorization
	s.name, s.unicode = "", false
	s.texts = languages()[0].texts
	s.conn.Secret(true)
	s.extend()
}

// extend gives the client time for an attempt to sign in, however it spends it.
func (s *session) extend() {
	s.conn.SetReadTimeout(s.SignIn)
	s.conn.SetDeadline(time.Now().Add(s.SignIn))
}

// leave gives back what the session holds.
func (s *session) leave() {
	s.seen.stop()
	if s.drop != nil {
		s.drop.view.Close()
	}
}

// answer reads and runs commands until the next one has not been received whole.
// Replies go out when that is so, or when many have come together.
func (s *session) answer(ctx context.Context) error {
	defer func() { s.ahead.close() }()
	for {
		if s.log.On(syslog.Raw) {
			s.conn.Secret(s.state == authorization || mayHoldSecret(s.waitingLine()))
		}
		line, err := s.conn.ReadLine(s.longestLine())
		switch {
		case errors.Is(err, wire.ErrLineTooLong):
			err = s.fault(sayLineTooLong)
		case err != nil:
			err = fmt.Errorf("read a command: %w", err)
		default:
			err = s.dispatch(ctx, line)
		}
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return s.shutdown()
		case s.seen.due():
			err = s.settle(ctx)
		}
		if err != nil || s.waitingLine() == nil {
			return err
		}
	}
}

// longestLine is how much of a line is read. Before sign-in any line may turn
// out to be an AUTH, so dispatch checks the others.
func (s *session) longestLine() int {
	if s.state == authorization {
		return max(s.Limits.Line, s.Limits.AuthLine)
	}
	return s.Limits.Line
}

// dispatch runs one command line.
func (s *session) dispatch(ctx context.Context, line []byte) error {
	verb, arg := split(line)
	cmd := s.commands[verb]
	s.logCommand(verb, arg, cmd != nil)
	const lineEnd = 2
	switch {
	case len(line)+lineEnd > s.Limits.Line && verb != "AUTH":
		return s.fault(sayLineTooLong)
	case bytes.IndexByte(line, 0) >= 0:
		return s.fault(sayNUL)
	case cmd == nil:
		return s.fault(sayUnknownCommand)
	case cmd.in&s.state == 0 && s.state == authorization:
		return s.no(codeNone, saySignInFirst, verb)
	case cmd.in&s.state == 0:
		return s.no(codeNone, saySignedIn, verb)
	}
	arg, ok := cmd.check(arg)
	if !ok && cmd.usage == "" {
		return s.no(codeNone, sayNoArgument, verb)
	}
	if !ok {
		return s.no(codeNone, sayUsage, verb, cmd.usage)
	}
	return cmd.run(s, ctx, arg)
}

// fault answers a line that is no command. Who sends many of them speaks some
// other protocol, or looks for holes.
func (s *session) fault(reason phrase) error {
	s.faults++
	if s.faults >= s.Limits.Faults {
		s.no(codeNone, sayTooManyErrors, reason)
		return errAbuse
	}
	return s.no(codeNone, reason)
}

// waitingLine returns the next command if it has been received whole.
func (s *session) waitingLine() []byte {
	n := s.conn.Buffered()
	if n == 0 {
		return nil
	}
	b, err := s.conn.Peek(n)
	i := bytes.IndexByte(b, '\n')
	if err != nil || i < 0 {
		return nil
	}
	return b[:i+1]
}

// mayHoldSecret reports whether a line is one that the log must not show. Of a
// line that is not there yet nothing is known, so it may.
func mayHoldSecret(line []byte) bool {
	verb, _ := split(line)
	return line == nil || verb == "PASS" || verb == "APOP" || verb == "AUTH"
}

// waitInput sends what has been answered and waits for input. Messages that have
// thereby reached the client are marked Seen soon, whether it goes on or not:
// the wait is broken off for that.
func (s *session) waitInput(ctx context.Context) error {
	if ctx.Err() != nil {
		return s.shutdown()
	}
	if err := s.conn.Flush(); err != nil {
		s.seen.forget()
		return fmt.Errorf("send a reply: %w", err)
	}
	record := func() error {
		s.recordSeen(ctx)
		return nil
	}
	if s.conn.Buffered() > 0 { // the beginning of a line, whose rest may be long in coming
		return wire.Apart(record)
	}
	for {
		err := s.conn.WaitInput(ctx, nil)
		switch {
		case errors.Is(err, wire.ErrWoken):
			wire.Apart(record)
		case err != nil && ctx.Err() != nil:
			return s.shutdown()
		case err != nil:
			return fmt.Errorf("wait for a command: %w", err)
		default:
			return nil
		}
	}
}

// shutdown says goodbye between two commands. No UPDATE state is entered.
func (s *session) shutdown() error {
	s.no(codeTemporary, sayShutdown)
	return errShutdown
}

// noop does nothing.
//
// RFC 1939 section 5, NOOP.
func (s *session) noop(context.Context, string) error { return s.ok(sayNothingDone) }
