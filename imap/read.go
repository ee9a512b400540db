package imap

import (
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"tripost/syslog"
	"tripost/wire"
)

// command is one command as the client sent it.
type command struct {
	tag    string // "" while it is not known
	name   string // upper case; "UID FETCH" in two words
	uid    bool   // the UID form
	row    *row
	buf    []byte // its octets so far: lines without the last CRLF, literals in their place
	argsAt int    // where the arguments begin in buf
	args   parser

	pending   bool    // a literal was announced and neither read nor refused yet
	announced literal // that literal
}

// maxKept is the largest buffer of a command that is kept for the next one.
const maxKept = 4 << 10

var commandPool = sync.Pool{New: func() any { return new(command) }}

func newCommand() *command { return commandPool.Get().(*command) }

// release gives the command's memory back.
func (c *command) release() {
	buf := c.buf[:0]
	if cap(buf) > maxKept {
		buf = nil
	}
	*c = command{buf: buf}
	commandPool.Put(c)
}

// maxTag bounds a tag; clients use a handful of octets.
const maxTag = 64

// read reads one command with its literals into cmd. When it returns a refusal
// the rest of the command has been read and dropped; a connError ends the session.
func (s *session) read(cmd *command) error {
	head, err := s.c.Peek(maxTag)
	if err != nil {
		return broken(err)
	}
	cmd.buf = append(cmd.buf, head...)
	line, err := s.c.ReadLine(s.lineLimit())
	if errors.Is(err, wire.ErrLineTooLong) {
		return s.refuseLongLine(cmd)
	}
	if err != nil {
		return broken(err)
	}
	cmd.buf = append(cmd.buf[:0], line...)
	lit, at, more := literalTail(cmd.buf)
	if err := s.identify(cmd); err != nil {
		return s.drop(cmd, lit, more, err)
	}
	for more {
		if r := cmd.row; r.stream != nil && r.stream(cmd.buf[cmd.argsAt:at]) {
			cmd.announced, cmd.pending = lit, true
			break
		}
		if err := s.admit(cmd, lit); err != nil {
			return s.drop(cmd, lit, true, err)
		}
		start, err := s.readLiteral(cmd, lit)
		if err != nil {
			return err
		}
		lit, at, more = literalTail(cmd.buf[start:])
		at += start
	}
	cmd.args = parser{b: cmd.buf, i: cmd.argsAt, utf8: s.has(featureUTF8), uids: s.has(featureUIDOnly)}
	return nil
}

func (s *session) lineLimit() int {
	if s.state == notAuthenticated {
		return s.srv.cfg.Limits.EarlyLine
	}
	return s.srv.cfg.Limits.Line
}

func (s *session) commandLimit() int {
	if s.state == notAuthenticated {
		return s.srv.cfg.Limits.EarlyCommand
	}
	return s.srv.cfg.Limits.Command
}

// identify finds the tag and the command, and whether it is legal now.
func (s *session) identify(cmd *command) error {
	p := parser{b: cmd.buf}
	tag := p.run(classTag)
	if len(tag) == 0 || len(tag) > maxTag || !p.accept(' ') {
		return refuse(bad("A command begins with a tag and a space"))
	}
	cmd.tag = string(tag)
	cmd.name = p.word()
	if cmd.name == "UID" {
		cmd.uid = true
		p.space()
		cmd.name = "UID " + p.word()
	}
	if p.err != nil {
		return refuse(bad("A command name must follow the tag"))
	}
	cmd.row = s.srv.commands[cmd.name]
	cmd.argsAt = p.i
	return s.legal(cmd.name, cmd.row)
}

// admit refuses a literal that would pass a limit.
func (s *session) admit(cmd *command, lit literal) error {
	if s.state == notAuthenticated && lit.size > int64(s.srv.cfg.Limits.EarlyLiteral) {
		return refuse(badCode("TOOBIG", "Literal too long before sign-in"))
	}
	if lit.size > int64(s.commandLimit()-len(cmd.buf)) {
		return refuse(badCode("TOOBIG", "Command too long"))
	}
	return nil
}

// readLiteral reads an admitted literal and the line after it into the command,
// and says where that line begins.
func (s *session) readLiteral(cmd *command, lit literal) (start int, err error) {
	if !lit.plus {
		s.proceed("Ready for the literal")
	}
	cmd.buf = append(cmd.buf, "\r\n"...)
	start = len(cmd.buf) + int(lit.size)
	cmd.buf = slices.Grow(cmd.buf, int(lit.size))[:start]
	if _, err := io.ReadFull(s.c.Literal(lit.size), cmd.buf[start-int(lit.size):]); err != nil {
		return 0, broken(err)
	}
	line, err := s.readReply(cmd, s.lineLimit())
	if err != nil {
		return 0, err
	}
	if len(cmd.buf)+len(line) > s.commandLimit() {
		return 0, s.refuseLine(cmd, line, refuse(badCode("TOOBIG", "Command too long")))
	}
	cmd.buf = append(cmd.buf, line...)
	return start, nil
}

// readReply reads a line that a client sends within a command, after a continuation
// request.
func (s *session) readReply(cmd *command, limit int) ([]byte, error) {
	line, err := s.c.ReadLine(limit)
	if errors.Is(err, wire.ErrLineTooLong) {
		return nil, s.refuseLongLine(cmd)
	}
	return line, broken(err)
}

// refuseLine refuses such a line, and what a literal at its end announces.
func (s *session) refuseLine(cmd *command, line []byte, why error) error {
	lit, _, more := literalTail(line)
	return s.drop(cmd, lit, more, why)
}

// refuseLongLine refuses a command of which a line was too long, and a literal that
// the line announced at its end. If the tag is not known yet it is looked for in
// the head of the line.
func (s *session) refuseLongLine(cmd *command) error {
	if cmd.tag == "" {
		p := parser{b: cmd.buf}
		if tag := p.run(classTag); len(tag) > 0 && p.accept(' ') {
			cmd.tag = string(tag)
		}
	}
	return s.refuseLine(cmd, s.c.Tail(), refuse(badCode("TOOBIG", "Line too long")))
}

// drop reads what is left of a command that is refused because of why, so that
// nothing of it is taken for a command, and returns why. lit is the literal that
// has been announced, if more. A synchronising one will not come, now that there
// is no continuation; one that is on its way is dropped. Where that would be too
// much, the session ends.
func (s *session) drop(cmd *command, lit literal, more bool, why error) error {
	for more && lit.plus {
		if lit.size > s.drainLimit() {
			return s.endRefused(cmd, why)
		}
		if err := s.c.Literal(lit.size).Drain(); err != nil {
			return broken(err)
		}
		line, err := s.c.ReadLine(s.lineLimit())
		if errors.Is(err, wire.ErrLineTooLong) {
			line, err = s.c.Tail(), nil
		}
		if err != nil {
			return broken(err)
		}
		lit, _, more = literalTail(line)
	}
	return why
}

// drainLimit is the largest literal that is read to be dropped.
func (s *session) drainLimit() int64 {
	if s.state == notAuthenticated {
		return s.srv.cfg.Limits.EarlyDrain
	}
	return s.srv.cfg.Limits.Message
}

// endRefused answers a command whose literal is too long to be dropped, and ends
// the session.
func (s *session) endRefused(cmd *command, why error) error {
	if cmd.tag != "" {
		s.complete(cmd.tag, s.errorToResponse(why))
	}
	return &endError{"TOOBIG", "A literal that was not waited for is too long to be skipped"}
}

// receive passes the message literal on which the command waits to w, and reads
// the line after it, which becomes the rest of the arguments. When w fails, the
// literal is read to its end, and the error of w returned.
func (s *session) receive(cmd *command, w io.Writer) error {
	if !cmd.announced.plus {
		s.proceed("Ready for the message")
	}
	cmd.pending = false
	into := sink{w: w}
	_, err := s.c.Literal(cmd.announced.size).WriteTo(&into)
	if err != nil {
		return broken(err)
	}
	line, err := s.readReply(cmd, s.lineLimit())
	if err != nil {
		return err
	}
	cmd.buf = append(cmd.buf[:0], line...)
	cmd.args = parser{b: cmd.buf, utf8: s.has(featureUTF8), uids: s.has(featureUIDOnly)}
	if lit, _, more := literalTail(cmd.buf); more {
		cmd.announced, cmd.pending = lit, true
	}
	return into.err
}

// sink passes octets on until its writer fails, and drops the rest.
type sink struct {
	w   io.Writer
	err error
}

func (k *sink) Write(p []byte) (int, error) {
	if k.err == nil {
		_, k.err = k.w.Write(p)
	}
	return len(p), nil
}

// logCommand logs the command without literals, and without the arguments of
// those that hold a password. What is no command of ours is not logged.
func (s *session) logCommand(cmd *command) {
	if !s.log.On(syslog.Protocol) || cmd.row == nil {
		return
	}
	if cmd.row.secret {
		s.log.Log(syslog.Protocol, "cmd: "+cmd.tag+" "+cmd.name+" ***")
		return
	}
	line, _, more := strings.Cut(string(cmd.buf), "\r\n")
	if more {
		line += " ..."
	}
	s.log.Log(syslog.Protocol, "cmd: "+line)
}
