package message

import (
	"bytes"
	"io"
)

// DecodeTransfer returns a reader of what a part's content-transfer-encoding
// hides (RFC 2045 section 6). It reads base64 and quoted-printable tolerantly:
// what does not belong there is skipped or passed as it stands, never an error.
// The result is false, and the reader r itself, when the encoding is not known.
func DecodeTransfer(r io.Reader, encoding string) (io.Reader, bool) {
	switch asciiLower(encoding) {
	case "base64":
		return &decodingReader{r: r, in: make([]byte, transferChunk), d: new(base64Decoder)}, true
	case "quoted-printable":
		return &decodingReader{r: r, in: make([]byte, transferChunk), d: new(quotedPrintableDecoder)}, true
	case "", "7bit", "8bit", "binary":
		return r, true
	}
	return r, false
}

// transferChunk is how many encoded octets a decoder takes at a time.
const transferChunk = 4 << 10

// base64Decoder turns base64 into octets, a piece at a time.
type base64Decoder struct {
	bits  uint32
	count int // sextets in bits, 0 to 3
}

// base64Value gives the value of a base64 digit, or a value above 63.
func base64Value(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c - 'A'
	case 'a' <= c && c <= 'z':
		return c - 'a' + 26
	case '0' <= c && c <= '9':
		return c - '0' + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return 0xff
}

// decode appends what the digits of p stand for. Padding ends a run, and a new
// one may follow: some senders encode piece by piece. All else is skipped.
func (d *base64Decoder) decode(b, p []byte) []byte {
	for _, c := range p {
		v := base64Value(c)
		if v > 63 {
			if c == '=' {
				b = d.finish(b)
			}
			continue
		}
		d.bits = d.bits<<6 | uint32(v)
		d.count++
		if d.count == 4 {
			b = append(b, byte(d.bits>>16), byte(d.bits>>8), byte(d.bits))
			d.bits, d.count = 0, 0
		}
	}
	return b
}

// finish appends the octets of an incomplete group.
func (d *base64Decoder) finish(b []byte) []byte {
	switch d.count {
	case 2:
		b = append(b, byte(d.bits>>4))
	case 3:
		b = append(b, byte(d.bits>>10), byte(d.bits>>2))
	}
	d.bits, d.count = 0, 0
	return b
}

// appendBase64 decodes a whole text.
func appendBase64(b, text []byte) []byte {
	var d base64Decoder
	return d.finish(d.decode(b, text))
}

// decoder turns encoded octets into plain ones, a piece at a time.
type decoder interface {
	decode(b, p []byte) []byte // appends to b what p comes to
	finish(b []byte) []byte    // appends what was held back
}

// decodingReader reads what a decoder makes of r.
type decodingReader struct {
	r   io.Reader
	in  []byte
	out []byte
	pos int
	d   decoder
	err error
}

func (r *decodingReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.pos == len(r.out) {
		if r.err != nil {
			return 0, r.err
		}
		n, err := r.r.Read(r.in)
		r.out, r.pos = r.d.decode(r.out[:0], r.in[:n]), 0
		if err != nil {
			r.out, r.err = r.d.finish(r.out), err
		}
	}
	n := copy(p, r.out[r.pos:])
	r.pos += n
	return n, nil
}

// maxTrailingBlank bounds the white space held back until it is known whether
// the line ends after it. Encoded lines have at most 76 characters.
const maxTrailingBlank = 1000

// quotedPrintableDecoder turns quoted-printable text into octets, a piece at a
// time. RFC 2045 section 6.7: white space before a line end was added on the
// way and goes; "=" at a line's end joins the next. "=" before anything but two
// hexadecimal digits stands for itself.
type quotedPrintableDecoder struct {
	held []byte // what may change its meaning: "=", "=X", white space, CR
}

func (d *quotedPrintableDecoder) decode(b, p []byte) []byte {
	for _, c := range p {
		b = d.octet(b, c)
	}
	return b
}

func (d *quotedPrintableDecoder) octet(b []byte, c byte) []byte {
	if len(d.held) > 0 && d.held[0] == '=' {
		return d.escaped(b, c)
	}
	switch {
	case c == '\n':
		crlf := bytes.HasSuffix(d.held, []byte("\r"))
		d.held = d.held[:0]
		if crlf {
			b = append(b, '\r')
		}
		return append(b, '\n')
	case isBlank(c) || c == '\r':
		if len(d.held) == maxTrailingBlank {
			b = d.release(b)
		}
		d.held = append(d.held, c)
		return b
	case c == '=':
		b = d.release(b)
		d.held = append(d.held, c)
		return b
	}
	if len(d.held) > 0 {
		b = d.release(b)
	}
	return append(b, c)
}

// escaped goes on after a held "=".
func (d *quotedPrintableDecoder) escaped(b []byte, c byte) []byte {
	switch {
	case len(d.held) == 1 && isHex(c):
		d.held = append(d.held, c)
		return b
	case len(d.held) == 2 && isHex(d.held[1]) && isHex(c):
		b = append(b, unhex(d.held[1])<<4|unhex(c))
		d.held = d.held[:0]
		return b
	case c == '\n' && d.softBreak():
		d.held = d.held[:0]
		return b
	case (isBlank(c) || c == '\r') && d.softBreak() && len(d.held) < maxTrailingBlank:
		d.held = append(d.held, c)
		return b
	}
	b = d.release(b)
	return d.octet(b, c)
}

// softBreak reports whether only white space followed the held "=" so far. A
// digit can stand only right behind it, so the last octet tells.
func (d *quotedPrintableDecoder) softBreak() bool {
	return len(d.held) == 1 || isSpace(d.held[len(d.held)-1])
}

// release appends what was held as it stands.
func (d *quotedPrintableDecoder) release(b []byte) []byte {
	b = append(b, d.held...)
	d.held = d.held[:0]
	return b
}

// finish ends the text: white space at the very end goes, as before a line end.
func (d *quotedPrintableDecoder) finish(b []byte) []byte {
	if len(d.held) == 0 || onlyBlank(d.held) || d.held[0] == '=' && onlyBlank(d.held[1:]) {
		d.held = d.held[:0]
		return b
	}
	return d.release(b)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// unhex gives the value of a hexadecimal digit.
func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
