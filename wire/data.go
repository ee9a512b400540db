package wire

import (
	"bytes"
	"io"
)

// DataReader reads mail data: lines up to one that holds a single dot, dots at
// the begin of lines un-stuffed (RFC 5321 section 4.5.2, RFC 1939 section 3).
// What it yields is lines ended by CRLF, and can be sent anywhere as it is.
type DataReader struct {
	c     *Conn
	max   int64
	size  int64 // octets of data so far, un-stuffed
	begin bool  // at the begin of a line: nothing or a CRLF stands before
	ended bool
	wrong problem
	fatal error  // the connection failed
	rest  []byte // what next yielded and Read has not copied yet
}

// problem is what is wrong with the data, as a set of bits. The same data has
// the same problems however the network cuts it up.
type problem uint8

const (
	bareCR problem = 1 << iota
	bareLF
	nul
	tooLong
)

func (p problem) err() error {
	switch {
	case p&bareCR != 0:
		return ErrBareCR
	case p&bareLF != 0:
		return ErrBareLF
	case p&nul != 0:
		return ErrNUL
	case p&tooLong != 0:
		return ErrDataTooLong
	}
	return nil
}

// Data returns a reader of mail data of at most max octets, counted without
// stuffed dots and without the final dot line. It is valid until the next
// ReadLine, which drains what is left of it.
//
// The only end is <CRLF>.<CRLF>. A bare CR, a bare LF, a NUL or too much data
// makes the reader fail with ErrBareCR, ErrBareLF, ErrNUL or ErrDataTooLong,
// but only when the end has been read; some data may have been yielded before.
func (c *Conn) Data(max int64) *DataReader {
	d := &c.moving().data
	*d = DataReader{c: c, max: max, begin: true}
	c.body = d
	c.line = nil
	return d
}

// Read yields data, io.EOF after sound data, and the error of the data if there
// is one. It returns io.ErrUnexpectedEOF when the peer closed the connection.
func (d *DataReader) Read(p []byte) (int, error) {
	for len(d.rest) == 0 {
		if err := d.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// WriteTo writes the data to w, without a copy in between. An error of w leaves
// the rest of the data unread: see Drain.
func (d *DataReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if len(d.rest) > 0 {
			n, err := w.Write(d.rest)
			total += int64(n)
			d.rest = d.rest[n:]
			if err != nil {
				return total, err
			}
		}
		switch err := d.advance(); err {
		case nil:
		case io.EOF:
			return total, nil
		default:
			return total, err
		}
	}
}

// Drain reads on to the end of the data, dropping it, and returns the error
// that the data itself would have given, or that of the connection.
func (d *DataReader) Drain() error {
	for {
		d.rest = nil
		switch err := d.advance(); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// advance puts the next piece of the data into d.rest, or returns why there is
// none: io.EOF after the end of sound data.
func (d *DataReader) advance() error {
	for !d.ended {
		if d.fatal != nil {
			return d.fatal
		}
		piece, err := d.next()
		if err != nil {
			d.fatal = unexpected(err)
			return d.fatal
		}
		if len(piece) > 0 && d.wrong == 0 {
			d.rest = piece
			return nil
		}
	}
	if err := d.wrong.err(); err != nil {
		return err
	}
	return io.EOF
}

// next consumes and returns a piece of data from the buffer, asking the network
// if need be. The piece is empty when the end was reached, or when a stuffed
// dot was dropped.
func (d *DataReader) next() ([]byte, error) {
	for {
		in := d.c.in[d.c.r:d.c.w]
		if d.begin && undecided(in) || len(in) == 0 {
			if err := d.c.fill(nil); err != nil {
				return nil, err
			}
			continue
		}
		if d.begin && in[0] == '.' {
			d.dotLine(in)
			return nil, nil
		}
		if n := d.scan(in); n > 0 {
			d.c.r += n
			return in[:n], nil
		}
		if err := d.c.fill(nil); err != nil { // a CR, and what follows it counts
			return nil, err
		}
	}
}

// undecided reports whether the begin of a line may yet become the end of data.
func undecided(in []byte) bool {
	return len(in) < 3 && string(in) == ".\r\n"[:len(in)]
}

// dotLine consumes the final line, or else a stuffed dot.
func (d *DataReader) dotLine(in []byte) {
	d.begin = false
	if !bytes.HasPrefix(in, []byte(".\r\n")) {
		d.c.r++
		return
	}
	d.c.r += 3
	d.ended = true
	d.c.body = nil
	d.c.logBody("data", d.size)
}

// scan returns how many octets of in are data that can be passed on: up to the
// next line that begins with a dot, or all but a final CR. It notes what is
// wrong with them.
func (d *DataReader) scan(in []byte) int {
	n, lines := 0, 0
	d.begin = false
	for n < len(in) {
		i := bytes.IndexByte(in[n:], '\n')
		if i < 0 {
			n, d.begin = len(in), false
			if in[n-1] == '\r' {
				n--
			}
			break
		}
		n += i + 1
		if i == 0 || in[n-2] != '\r' {
			d.wrong |= bareLF
			d.begin = false
			continue
		}
		lines++
		d.begin = true
		if n < len(in) && in[n] == '.' {
			break
		}
	}
	d.check(in[:n], lines)
	return n
}

// check notes what is wrong with a run of octets that holds so many CRLFs.
func (d *DataReader) check(p []byte, lines int) {
	if bytes.Count(p, cr) != lines {
		d.wrong |= bareCR
	}
	if bytes.IndexByte(p, 0) >= 0 {
		d.wrong |= nul
	}
	if d.size += int64(len(p)); d.size > d.max {
		d.wrong |= tooLong
	}
}

var cr = []byte{'\r'}
