// Package convert brings a message into a form that older hosts take: without
// octets above 127, without lines of more than 998 octets, without NUL (RFC 6152
// section 3, RFC 3030 section 3). Only the transfer encoding of parts changes;
// who decodes them gets the same octets. Signatures over the message break, so
// it is signed afterwards.
package convert

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"

	"tripost/message"
)

// ErrStructure is returned for a message whose parts cannot be told apart: it
// has more of them, or is nested deeper, than is looked at.
var ErrStructure = errors.New("the structure of the message is too large to convert it")

// maxLine is the longest line of a message, without its end: RFC 5322 section
// 2.1.1.
const maxLine = 998

// SevenBit writes a message of so many octets in the form for older hosts. Lines
// end with CRLF. Octets above 127 outside of any part, where nobody shows them,
// become question marks; those in header fields stay, for they have no form
// without a loss.
func SevenBit(w io.Writer, src io.ReaderAt, size int64, limits message.Limits) error {
	scanner := message.NewScanner(limits)
	if _, err := io.Copy(scanner, io.NewSectionReader(src, 0, size)); err != nil {
		return fmt.Errorf("read the message: %w", err)
	}
	c := &converter{w: w, src: src, parts: scanner.Finish().Parts}
	if c.parts == nil || full(len(c.parts), limits) {
		return ErrStructure
	}
	for i := range c.parts {
		if err := c.part(i); err != nil {
			return err
		}
	}
	return c.between(size)
}

// full tells that there may be parts which were not looked at.
func full(n int, l message.Limits) bool {
	most := l.Parts
	if most <= 0 {
		most = 1000
	}
	return n >= most
}

type converter struct {
	w     io.Writer
	src   io.ReaderAt
	parts []message.Part
	done  int64 // octets of the source
}

// part writes one part: a leaf whole, of others what stands before their parts.
func (c *converter) part(i int) error {
	p := &c.parts[i]
	if err := c.between(p.Header); err != nil {
		return err
	}
	head := make([]byte, p.Body-p.Header)
	if _, err := c.src.ReadAt(head, p.Header); err != nil && err != io.EOF {
		return fmt.Errorf("read the message: %w", err)
	}
	c.done = p.Body
	if !c.leaf(i) {
		if p.Encoding != "8bit" && p.Encoding != "binary" {
			return c.write(head)
		}
		return c.write(rewrite(head, "", false))
	}
	needs, err := c.needs(p)
	if err != nil {
		return err
	}
	if !needs {
		if err := c.write(head); err != nil {
			return err
		}
		return c.between(p.End)
	}
	encoding := "base64"
	if strings.HasPrefix(p.Type, "text/") && p.Encoding != "binary" {
		encoding = "quoted-printable"
	}
	if err := c.write(rewrite(head, encoding, i == 0)); err != nil {
		return err
	}
	c.done = p.End
	return c.encode(io.NewSectionReader(c.src, p.Body, p.End-p.Body), encoding, i == 0)
}

// leaf tells a part that has none of its own.
func (c *converter) leaf(i int) bool {
	p := &c.parts[i]
	inside := i+1 < len(c.parts) && c.parts[i+1].Message && c.parts[i+1].Header == p.Body
	return !p.Multipart && !inside
}

// needs looks whether a part's octets have to be encoded. What claims to be
// encoded already is left to c.between.
func (c *converter) needs(p *message.Part) (bool, error) {
	if p.Encoding != "7bit" && p.Encoding != "8bit" && p.Encoding != "binary" {
		return false, nil
	}
	line, last := 0, byte('\n')
	r := io.NewSectionReader(c.src, p.Body, p.End-p.Body)
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		for _, b := range buf[:n] {
			line++
			if b == '\n' {
				line = 0
			}
			if b >= 0x80 || b == 0 || line > maxLine+1 || (b == '\n') != (last == '\r') && (b == '\n' || last == '\r') {
				return true, nil
			}
			last = b
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read the message: %w", err)
		}
	}
}

// encode writes the octets of a part in an encoding. Before a boundary comes a
// line end that is not theirs; the last part of all has none behind it.
func (c *converter) encode(r io.Reader, encoding string, last bool) error {
	if encoding == "quoted-printable" {
		q := quotedprintable.NewWriter(c.w)
		if _, err := io.Copy(q, r); err != nil {
			return err
		}
		return q.Close()
	}
	lines := &lineWriter{w: c.w}
	b := base64.NewEncoder(base64.StdEncoding, lines)
	if _, err := io.Copy(b, r); err != nil {
		return err
	}
	if err := b.Close(); err != nil || !last {
		return err
	}
	return c.write([]byte("\r\n"))
}

// between passes on what stands outside of parts, up to a place.
func (c *converter) between(end int64) error {
	r := io.NewSectionReader(c.src, c.done, end-c.done)
	c.done = end
	buf := make([]byte, 4<<10)
	for {
		n, err := r.Read(buf)
		for i, b := range buf[:n] {
			if b >= 0x80 || b == 0 {
				buf[i] = '?'
			}
		}
		if werr := c.write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the message: %w", err)
		}
	}
}

func (c *converter) write(b []byte) error {
	_, err := c.w.Write(b)
	return err
}

// rewrite gives a header another transfer encoding, or with "" none. The header
// of a whole message that says nothing of MIME says it then.
func rewrite(head []byte, encoding string, whole bool) []byte {
	out := make([]byte, 0, len(head)+128)
	version, kind, used := false, false, 0
	for _, f := range message.Fields(head) {
		used += len(f.Raw)
		version = version || f.Is("MIME-Version")
		kind = kind || f.Is("Content-Type")
		if !f.Is("Content-Transfer-Encoding") {
			out = append(out, f.Raw...)
		}
	}
	if n := len(out); n > 0 && !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, "\r\n"...)
	}
	if encoding != "" {
		if whole && !version {
			out = append(out, "MIME-Version: 1.0\r\n"...)
		}
		if whole && !kind {
			out = append(out, "Content-Type: text/plain; charset=unknown-8bit\r\n"...) // RFC 1428
		}
		out = append(out, "Content-Transfer-Encoding: "+encoding+"\r\n"...)
	}
	if used == len(head) && encoding != "" {
		return append(out, "\r\n"...) // it ended without an empty line
	}
	return append(out, head[used:]...)
}

// lineWriter cuts base64 into lines: RFC 2045 section 6.8.
type lineWriter struct {
	w    io.Writer
	used int
}

const base64Line = 76

func (l *lineWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if l.used == base64Line {
			if _, err := io.WriteString(l.w, "\r\n"); err != nil {
				return 0, err
			}
			l.used = 0
		}
		n := min(len(p), base64Line-l.used)
		if _, err := l.w.Write(p[:n]); err != nil {
			return 0, err
		}
		l.used += n
		p = p[n:]
	}
	return total, nil
}
