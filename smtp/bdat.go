package smtp

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"tripost/wire"
)

// bdat takes a chunk of the message: RFC 3030 section 2. The first one of a
// transaction runs the whole message, whose reader goes on to the next chunks
// (see chunks); those come here too, and are only noted.
//
// The octets of a chunk follow the command at once, so they are read whatever
// becomes of it. Where their number cannot be known the session ends.
func (s *session) bdat(arg string) error {
	size, last, ok := parseChunk(arg)
	if !ok {
		return s.refuseChunk()
	}
	chunk := s.conn.Literal(size)
	switch {
	case s.chunks != nil:
		s.chunks.begin(chunk, last)
		return nil
	case s.state() != stRcpt:
		return s.skipChunk(chunk)
	}
	defer s.conn.SetReadTimeout(s.server.config.Timeouts.Command)
	mail := s.mail
	s.mail = nil
	c := &chunks{s: s, check: lineCheck{max: s.server.config.Limits.MessageSize}}
	if mail.binary {
		c.binary = newBinaryMIME(&c.check)
	}
	c.begin(chunk, last)
	s.chunks = c
	out := s.submit(mail, c)
	defer c.pace.end()
	if c.broken != nil {
		return c.end()
	}
	s.chunks = nil
	if err := c.chunk.Drain(); err != nil {
		return err
	}
	s.lame = out.err != nil // the chunks that follow are refused with this one
	if !c.last {            // the end was not reached, so there is one reply in LMTP too
		s.events.messageRefused(mail.from, replyTo(out.err), out.err)
		r := replyTo(out.err)
		return s.refuse(r.code, r.enhanced, r.text)
	}
	return s.answer(mail, out)
}

// parseChunk reads the argument of BDAT: a size, and LAST perhaps.
func parseChunk(arg string) (size int64, last, ok bool) {
	number, word, more := strings.Cut(arg, " ")
	n, err := strconv.ParseUint(number, 10, 62)
	if err != nil || number[0] == '+' || more && !strings.EqualFold(word, "LAST") {
		return 0, false, false
	}
	return int64(n), more, true
}

// refuseChunk ends the session: what follows is a chunk of unknown length, which
// must not run as commands.
func (s *session) refuseChunk() error {
	s.events.ahead("BDAT")
	s.write(421, "5.5.4", s.server.config.Hostname+" BDAT needs a number of octets, and LAST perhaps")
	return errQuit
}

// skipChunk reads a chunk that belongs to no message, and refuses it.
func (s *session) skipChunk(chunk *wire.LiteralReader) error {
	if err := chunk.Drain(); err != nil {
		return err
	}
	text := outOfOrder(s.state(), "BDAT")
	if s.lame {
		s.write(503, "5.5.1", text)
		return nil
	}
	return s.refuse(503, "5.5.1", text)
}

// chunks reads the body of a message from BDAT commands. At the end of a chunk
// that is not the last it replies to it and runs the commands that come, up to
// the next BDAT, or to one that ends the transaction.
type chunks struct {
	s      *session
	chunk  *wire.LiteralReader
	pace   *pace // of the chunk
	last   bool
	fresh  bool        // a chunk has begun that nothing was read of
	taken  int64       // octets of all chunks
	broken error       // the session is over, or the transaction is
	binary *binaryMIME // what makes lines of it, before check; nil: it is lines
	check  lineCheck

	ready bytes.Buffer // of readBinary: what was made and not read
	over  bool         // the last chunk was read
}

// errAbandoned is why a message that was begun has no end: the client ended the
// mail transaction, and has its reply to that.
var errAbandoned = errors.New("mail transaction ended by the client")

func (c *chunks) begin(chunk *wire.LiteralReader, last bool) {
	c.chunk, c.last, c.fresh = chunk, last, true
	c.s.conn.SetReadTimeout(c.s.server.config.Timeouts.Data)
	if c.pace = c.s.pace(&c.check); c.binary != nil {
		c.pace.w = c.binary
	}
}

// end is what remains to be done when the transaction or the session is over.
func (c *chunks) end() error {
	if errors.Is(c.broken, errAbandoned) {
		return nil
	}
	return c.broken
}

// WriteTo writes the body to w, without a copy in between.
func (c *chunks) WriteTo(w io.Writer) (int64, error) {
	c.check.w = w
	var total int64
	for {
		n, err := c.chunk.WriteTo(c.pace)
		total += n
		c.taken += n
		if err != nil {
			return total, c.fail(err)
		}
		ended, err := c.next()
		if err != nil {
			return total, err
		}
		if ended {
			return total, c.fail(c.check.complete())
		}
	}
}

// fail tells the errors of the connection from those of who takes the body.
func (c *chunks) fail(err error) error {
	if err != nil && c.check.failed == nil && !faultOfData(err) {
		c.broken = err
	}
	return err
}

// Read is for those who cannot take the body from WriteTo.
func (c *chunks) Read(p []byte) (int, error) {
	if len(p) < len(lineEnd) {
		return 0, io.ErrShortBuffer
	}
	if c.binary != nil {
		return c.readBinary(p)
	}
	for {
		n, err := c.chunk.Read(p)
		if n > 0 {
			c.taken += int64(n)
			c.pace.note(n)
			c.check.note(p[:n])
			return n, nil
		}
		if err != io.EOF {
			return 0, c.fail(err)
		}
		ended, err := c.next()
		switch {
		case err != nil:
			return 0, err
		case ended && c.check.open():
			c.check.note(lineEnd)
			return copy(p, lineEnd), nil
		case ended:
			return 0, io.EOF
		}
	}
}

// readBinary is Read where what is passed on is not what comes: it passes through
// a buffer.
func (c *chunks) readBinary(p []byte) (int, error) {
	c.check.w = &c.ready
	piece := make([]byte, 32<<10)
	for c.ready.Len() == 0 {
		n, err := c.chunk.Read(piece)
		c.taken += int64(n)
		if _, werr := c.pace.Write(piece[:n]); werr != nil {
			return 0, c.fail(werr)
		}
		switch {
		case err == nil:
			continue
		case err != io.EOF:
			return 0, c.fail(err)
		case c.over:
			return 0, io.EOF
		}
		if c.over, err = c.next(); err == nil && c.over {
			err = c.check.complete()
		}
		if err != nil {
			return 0, err
		}
	}
	return c.ready.Read(p)
}

// next goes on to the next chunk, or tells that there was the last one. An error
// is what is wrong with the body so far, or why there is no more of it.
func (c *chunks) next() (ended bool, err error) {
	c.pace.end()
	if c.last && c.binary != nil {
		if err := c.binary.Close(); err != nil {
			return true, c.fail(err)
		}
	}
	if err := c.check.err(c.last); err != nil || c.last {
		return true, err
	}
	s := c.s
	s.conn.SetReadTimeout(s.server.config.Timeouts.Command)
	s.write(250, "2.0.0", strconv.FormatInt(c.taken, 10)+" octets received")
	for c.fresh = false; !c.fresh; {
		err := s.step()
		switch {
		case err == io.EOF:
			err = io.ErrUnexpectedEOF // the end of the connection is not that of the message
		case err == nil && s.chunks != c:
			err = errAbandoned
		}
		if err != nil {
			s.chunks = nil
			c.broken = err
			return false, err
		}
	}
	return false, nil
}
