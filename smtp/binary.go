package smtp

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"strings"

	"tripost/message"
)

// binaryMIME turns a message that was sent as BODY=BINARYMIME (RFC 3030 section 3)
// into one of lines, which POP can serve and every host can take: parts whose
// transfer encoding is binary become base64. Everything else passes octet for
// octet, and is held to the rules of all messages by what comes behind. It works
// in bounded memory: what it cannot know the structure of it passes as it is.
type binaryMIME struct {
	w io.Writer

	line   []byte // begin of the present line, as long as it may be a delimiter
	within bool   // of a line that is none
	owed   bool   // the CRLF before the present line, which may belong to a delimiter
	cr     bool   // a CR was the last octet

	header     []byte   // of the entity that begins, or nil
	inHeader   bool     //
	boundaries []string // of the multiparts that are open, "--" before them
	encoder    io.WriteCloser
	column     int // of the base64 line
}

const (
	maxEntityHeader = 256 << 10
	maxBoundaries   = 50
	// maxDelimiter is the longest line that can be a delimiter: 70 octets of a
	// boundary, and blanks (RFC 2046 section 5.1.1).
	maxDelimiter = 2 + 70 + 2 + 100
	// base64Line is the length of a line of base64 (RFC 2045 section 6.8).
	base64Line = 76
)

func newBinaryMIME(w io.Writer) *binaryMIME { return &binaryMIME{w: w, inHeader: true} }

// Write takes the next octets of the message, which may be cut anywhere.
func (b *binaryMIME) Write(p []byte) (int, error) {
	n := len(p)
	if b.cr && n > 0 {
		b.cr = false
		if p[0] == '\n' {
			p = p[1:]
			if err := b.endLine(); err != nil {
				return 0, err
			}
		} else if err := b.text(oneCR); err != nil {
			return 0, err
		}
	}
	for len(p) > 0 {
		i := bytes.Index(p, lineEnd)
		if i < 0 {
			if p[len(p)-1] == '\r' {
				b.cr, p = true, p[:len(p)-1]
			}
			if err := b.text(p); err != nil {
				return 0, err
			}
			break
		}
		if err := b.text(p[:i]); err != nil {
			return 0, err
		}
		if err := b.endLine(); err != nil {
			return 0, err
		}
		p = p[i+2:]
	}
	return n, nil
}

// text takes octets of the present line.
func (b *binaryMIME) text(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if !b.within {
		b.line = append(b.line, p[:min(len(p), maxDelimiter+1)]...)
		p = p[min(len(p), maxDelimiter+1):]
		if len(b.line) <= maxDelimiter {
			return nil
		}
		if err := b.noDelimiter(); err != nil {
			return err
		}
	}
	return b.content(p)
}

// noDelimiter passes on a line that was held back because it might have been one.
func (b *binaryMIME) noDelimiter() error {
	b.within = true
	if b.owed {
		b.owed = false
		if err := b.content(lineEnd); err != nil {
			return err
		}
	}
	held := b.line
	b.line = b.line[:0]
	return b.content(held)
}

// endLine comes behind each line.
func (b *binaryMIME) endLine() error {
	if !b.within {
		if depth, last, ok := b.delimiter(); ok {
			return b.part(depth, last)
		}
		if b.inHeader && len(b.line) == 0 {
			return b.endHeader()
		}
		if err := b.noDelimiter(); err != nil {
			return err
		}
	}
	b.within = false
	if b.inHeader {
		return b.content(lineEnd)
	}
	b.owed = true
	return nil
}

// delimiter tells whether the line is one, of which of the open multiparts, and
// whether it is the last one of that.
func (b *binaryMIME) delimiter() (depth int, last, ok bool) {
	line := strings.TrimRight(string(b.line), " \t")
	for depth := len(b.boundaries) - 1; depth >= 0; depth-- {
		rest, found := strings.CutPrefix(line, b.boundaries[depth])
		if found && (rest == "" || rest == "--") {
			return depth, rest == "--", true
		}
	}
	return 0, false, false
}

// part begins the next part of a multipart, or ends the last one.
func (b *binaryMIME) part(depth int, last bool) error {
	if b.inHeader { // of a part that has no body
		if err := b.flushHeader(b.header); err != nil {
			return err
		}
	}
	if err := b.endEncoding(); err != nil {
		return err
	}
	if b.owed {
		b.owed = false
		if _, err := b.w.Write(lineEnd); err != nil {
			return err
		}
	}
	_, err := b.w.Write(append(b.line, lineEnd...))
	b.line, b.inHeader = b.line[:0], !last
	if last {
		depth--
	}
	b.boundaries = b.boundaries[:depth+1]
	return err
}

// content takes octets of a header, or of what stands behind one.
func (b *binaryMIME) content(p []byte) error {
	switch {
	case b.inHeader && len(b.header)+len(p) <= maxEntityHeader:
		b.header = append(b.header, p...)
		return nil
	case b.inHeader: // too long to be looked at
		if err := b.flushHeader(b.header); err != nil {
			return err
		}
		b.inHeader = false
	}
	var err error
	if b.encoder != nil {
		_, err = b.encoder.Write(p)
	} else {
		_, err = b.w.Write(p)
	}
	return err
}

func (b *binaryMIME) flushHeader(header []byte) error {
	b.header = nil
	_, err := b.w.Write(header)
	return err
}

// endHeader comes with the empty line behind a header, which says how to go on.
func (b *binaryMIME) endHeader() error {
	fields := message.Fields(b.header)
	kind, encoding := "text/plain", -1
	var params map[string]string
	for i, f := range fields {
		switch {
		case f.Is("Content-Type"):
			if k, p, err := mime.ParseMediaType(f.Value()); err == nil {
				kind, params = k, p
			}
		case f.Is("Content-Transfer-Encoding") && strings.EqualFold(f.Value(), "binary"):
			encoding = i
		}
	}
	composite := strings.HasPrefix(kind, "multipart/") || strings.HasPrefix(kind, "message/")
	to := "base64"
	if composite {
		to = "8bit"
	}
	var out []byte
	for i, f := range fields {
		if i == encoding {
			out = append(out, "Content-Transfer-Encoding: "+to+"\r\n"...)
		} else {
			out = append(out, f.Raw...)
		}
	}
	b.inHeader = kind == "message/rfc822" || kind == "message/global"
	if err := b.flushHeader(append(out, lineEnd...)); err != nil {
		return err
	}
	if boundary := params["boundary"]; strings.HasPrefix(kind, "multipart/") && boundary != "" && len(b.boundaries) < maxBoundaries {
		b.boundaries = append(b.boundaries, "--"+boundary)
	}
	if encoding >= 0 && !composite {
		b.column = 0
		b.encoder = base64.NewEncoder(base64.StdEncoding, writerOfLines{b})
	}
	return nil
}

// endEncoding ends a part in base64.
func (b *binaryMIME) endEncoding() error {
	if b.encoder == nil {
		return nil
	}
	err := b.encoder.Close()
	b.encoder = nil
	if b.column > 0 && err == nil {
		b.owed = true // its last line has an end
	}
	return err
}

// Close ends the message.
func (b *binaryMIME) Close() error {
	if b.cr {
		if err := b.text(oneCR); err != nil {
			return err
		}
	}
	if !b.within && len(b.line) > 0 {
		if depth, last, ok := b.delimiter(); ok {
			return b.part(depth, last)
		}
		if err := b.noDelimiter(); err != nil {
			return err
		}
	}
	if b.owed {
		b.owed = false
		if err := b.content(lineEnd); err != nil {
			return err
		}
	}
	if b.inHeader {
		return b.flushHeader(b.header)
	}
	if err := b.endEncoding(); err != nil || !b.owed {
		return err
	}
	_, err := b.w.Write(lineEnd)
	return err
}

// writerOfLines breaks base64 into lines.
type writerOfLines struct{ b *binaryMIME }

func (w writerOfLines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if w.b.column == base64Line {
			w.b.column = 0
			if _, err := w.b.w.Write(lineEnd); err != nil {
				return 0, err
			}
		}
		take := min(len(p), base64Line-w.b.column)
		if _, err := w.b.w.Write(p[:take]); err != nil {
			return 0, err
		}
		w.b.column += take
		p = p[take:]
	}
	return n, nil
}
