package wire

import (
	"bytes"
	"io"
)

// dotWriter writes dot-terminated data: a POP3 multi-line response, mail data
// of SMTP and LMTP.
type dotWriter struct {
	c     *Conn
	state lineState
	reply func() // writes what goes before the data; nil: it has
	plain bool   // the data need no stuffing
}

// lineState tells where in a line the octets written so far end.
type lineState uint8

const (
	atBegin lineState = iota // nothing was written
	afterCRLF
	afterLF // a bare one
	afterCR
	within
)

// after returns the state when p, which is not empty, has been written too.
func (s lineState) after(p []byte) lineState {
	last := p[len(p)-1]
	if last == '\r' {
		return afterCR
	}
	if last != '\n' {
		return within
	}
	if len(p) > 1 && p[len(p)-2] == '\r' || len(p) == 1 && s == afterCR {
		return afterCRLF
	}
	return afterLF
}

func (s lineState) beginsLine() bool { return s == atBegin || s == afterCRLF || s == afterLF }

// DotWriter returns a writer of dot-terminated data. It doubles a dot at the
// very begin, after CRLF, and after a bare LF too, since there are readers that
// take that for a line end. Close ends the data, completing the last line with
// CRLF if need be; it flushes nothing. One such writer can be in use at a time.
func (c *Conn) DotWriter() io.WriteCloser {
	c.Opaque(true)
	d := &c.moving().dot
	*d = dotWriter{c: c}
	return d
}

func (d *dotWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, d.c.werr
	}
	d.begin()
	if d.plain {
		d.state = d.state.after(p)
		return d.c.Write(p)
	}
	if d.state.beginsLine() && p[0] == '.' {
		d.c.WriteString(".")
	}
	rest := p
	for {
		i := bytes.Index(rest, lfDot)
		if i < 0 {
			break
		}
		d.c.Write(rest[:i+1])
		d.c.WriteString(".")
		rest = rest[i+1:]
	}
	d.state = d.state.after(p)
	if _, err := d.c.Write(rest); err != nil {
		return 0, err
	}
	return len(p), nil
}

var lfDot = []byte("\n.")

// Close ends the data.
func (d *dotWriter) Close() error {
	end := ".\r\n"
	if d.state != atBegin && d.state != afterCRLF {
		end = "\r\n.\r\n"
	}
	d.c.Opaque(false)
	_, err := d.c.WriteString(end)
	return err
}

// begin gives the reply that stands before the data, if that is still to come.
func (d *dotWriter) begin() {
	if d.reply != nil {
		d.reply()
		d.reply = nil
		d.c.Opaque(true)
	}
}

// DotCopy writes from as dot-terminated data, after reply, which writes what goes
// before them. Where from fails before its first octet, begun is false and nothing
// was written: the peer can still be told. Without stuff the caller vouches that
// no line begins with a dot, and nothing is looked at.
func (c *Conn) DotCopy(reply func(), from io.WriterTo, stuff bool) (begun bool, err error) {
	d := &c.moving().dot
	*d = dotWriter{c: c, reply: reply, plain: !stuff}
	if _, err := from.WriteTo(d); err != nil {
		c.Opaque(false)
		return d.reply == nil, err
	}
	d.begin()
	return true, d.Close()
}
