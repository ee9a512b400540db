package message

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// check holds a summary against the message it was made from: whatever the
// message is like, these are true.
func check(text []byte, s *Summary) error {
	if s.Size != int64(len(text)) || s.Digest != sha256.Sum256(text) {
		return errors.New("size or digest is wrong")
	}
	lines := int64(bytes.Count(text, []byte("\n")))
	if len(text) > 0 && text[len(text)-1] != '\n' {
		lines++
	}
	if s.Lines != lines || s.BodyLines > lines || s.HeaderSize > s.Size {
		return fmt.Errorf("%d lines, %d in the body, header of %d octets", s.Lines, s.BodyLines, s.HeaderSize)
	}
	dots := bytes.HasPrefix(text, []byte(".")) || bytes.Contains(text, []byte("\n."))
	bare := bytes.Count(text, []byte("\n")) != bytes.Count(text, []byte("\r\n"))
	if s.Dots != dots || s.BareLF != bare || s.NUL != (bytes.IndexByte(text, 0) >= 0) ||
		s.EightBit != slices.ContainsFunc(text, func(c byte) bool { return c >= 0x80 }) ||
		s.NoFinalCRLF != (len(text) > 0 && !bytes.HasSuffix(text, []byte("\r\n"))) {
		return errors.New("a mark is wrong")
	}
	for _, p := range s.Parts {
		if hasEightBit(text[p.Header:p.Body]) && !s.HeaderEightBit || s.HeaderEightBit && !s.EightBit {
			return errors.New("the mark of 8-bit headers is wrong")
		}
	}
	if err := checkValues(s); err != nil {
		return err
	}
	for _, decoded := range []string{s.Subject, s.From, s.To, s.Cc, s.Bcc, s.FromDisplay, s.ToDisplay, s.FromMailbox} {
		if len(decoded) > maxText || !utf8.ValidString(decoded) || bytes.ContainsAny([]byte(decoded), "\x00\r\n") {
			return fmt.Errorf("decoded field %q", decoded)
		}
	}
	if err := checkParts(s); err != nil {
		return err
	}
	return checkRecord(s)
}

func checkValues(s *Summary) error {
	envelope, err := parseValue(s.Envelope)
	if err == nil {
		err = checkEnvelope(envelope)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.Envelope, err)
	}
	for _, text := range [][]byte{s.BodyStructure, s.Body} {
		body, err := parseValue(text)
		var rest []Part
		if err == nil {
			rest, err = checkBody(body, s.Parts, &text[0] == &s.BodyStructure[0])
		}
		if err == nil && len(rest) > 0 {
			err = fmt.Errorf("%d parts not in the structure", len(rest))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}

// checkParts checks that parts lie inside their parents, one after the other.
func checkParts(s *Summary) error {
	top := s.Parts[0]
	if len(top.Path) != 0 || !top.Message || top.Header != 0 || top.Body != s.HeaderSize || top.End != s.Size {
		return fmt.Errorf("the message is %+v", top)
	}
	open := []Part{top} // the parts that the next one may lie in
	for _, p := range s.Parts[1:] {
		if p.Header > p.Body || p.Body > p.End {
			return fmt.Errorf("part %+v has its places in disorder", p)
		}
		from := int64(0) // where the next part of the innermost open one may begin
		for len(open) > 0 && !contains(open[len(open)-1], p) {
			from = open[len(open)-1].End
			open = open[:len(open)-1]
		}
		if len(open) == 0 || p.Header < from {
			return fmt.Errorf("part %+v lies in no other, or behind one after it", p)
		}
		open = append(open, p)
	}
	return nil
}

// contains reports whether inner may be a part of outer, by place and by number.
func contains(outer, inner Part) bool {
	mayHold := outer.Multipart || outer.Type == "message/rfc822" || outer.Type == "message/global"
	return mayHold && inner.Header >= outer.Body && inner.End <= outer.End &&
		bytes.HasPrefix(pathBytes(inner.Path), pathBytes(outer.Path))
}

func pathBytes(path []uint16) []byte {
	var b []byte
	for _, n := range path {
		b = append(b, byte(n>>8), byte(n))
	}
	return b
}

// checkRecord checks that the encoding holds all of the summary.
func checkRecord(s *Summary) error {
	r := Record(s.Append(nil))
	if !r.Valid() {
		return errors.New("the record is not valid")
	}
	var references []string
	for id := range r.References() {
		references = append(references, string(id))
	}
	back := Summary{
		Size: r.Size(), HeaderSize: r.HeaderSize(), Lines: r.Lines(), BodyLines: r.BodyLines(),
		Dots: r.Dots(), EightBit: r.EightBit(), NUL: r.NUL(), BareLF: r.BareLF(), NoFinalCRLF: r.NoFinalCRLF(), HeaderEightBit: r.HeaderEightBit(), International: r.International(),
		Digest: [32]byte(r.Digest()), Envelope: r.Envelope(), BodyStructure: r.BodyStructure(), Body: r.Body(),
		Parts: r.Parts(), Subject: string(r.Subject()), From: string(r.From()), To: string(r.To()),
		Cc: string(r.Cc()), Bcc: string(r.Bcc()), FromMailbox: string(r.FromMailbox()),
		ToMailbox: string(r.ToMailbox()), CcMailbox: string(r.CcMailbox()), FromDisplay: string(r.FromDisplay()),
		ToDisplay: string(r.ToDisplay()), Date: r.Date(), Zone: r.Zone(), MessageID: string(r.MessageID()),
		InReplyTo: string(r.InReplyTo()), References: references,
		FieldNames: FieldNames(r[len(r)-fieldNamesSize:]),
	}
	if !sameSummary(s, &back) {
		return fmt.Errorf("the record gives %+v for %+v", back, *s)
	}
	for _, p := range s.Parts {
		if got, ok := r.Part(p.Path, p.Message); !ok || !samePart(got, p) {
			return fmt.Errorf("part %v is %+v in the record", p, got)
		}
	}
	return nil
}

// sameSummary compares two summaries; empty and nil slices are the same.
func sameSummary(a, b *Summary) bool {
	if !slices.EqualFunc(a.Parts, b.Parts, samePart) || !slices.Equal(a.References, b.References) {
		return false
	}
	x, y := *a, *b
	x.Parts, y.Parts, x.References, y.References = nil, nil, nil, nil
	return reflect.DeepEqual(x, y)
}

func samePart(a, b Part) bool {
	if !slices.Equal(a.Path, b.Path) {
		return false
	}
	a.Path, b.Path = nil, nil
	return reflect.DeepEqual(a, b)
}

func TestScannerCorpus(t *testing.T) {
	t.Parallel()
	whole, cut := NewScanner(Limits{}), NewScanner(Limits{})
	random := rand.New(rand.NewPCG(1, 2))
	for _, f := range corpus(t) {
		for _, text := range [][]byte{f.text, bytes.ReplaceAll(f.text, []byte("\r\n"), []byte("\n"))} {
			whole.Reset()
			whole.Write(text)
			s := whole.Finish()
			if err := check(text, s); err != nil {
				t.Errorf("%s: %v", f.name, err)
				continue
			}
			cut.Reset()
			for rest := text; len(rest) > 0; {
				n := min(len(rest), 1+random.IntN(200))
				cut.Write(rest[:n])
				rest = rest[n:]
			}
			if c := cut.Finish(); !sameSummary(s, c) {
				t.Errorf("%s: cut into pieces it gives\n%+v\nin one piece\n%+v", f.name, c, s)
			}
		}
	}
}

func FuzzScanner(f *testing.F) {
	for _, name := range goldenMails {
		f.Add(mail(f, name), uint16(7))
	}
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\r\n\r\n.\r\n--b--"), uint16(1))
	f.Add([]byte("\r\n"), uint16(3))
	f.Add([]byte("\x00\r"), uint16(3))
	f.Add([]byte("Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\n"), uint16(3))
	f.Add([]byte("From: a:b@c,d;\nTo: \"\nCc: (\nReferences: <<a>>\n\n"), uint16(3))
	whole, cut := NewScanner(Limits{}), NewScanner(Limits{})
	tight := NewScanner(Limits{Header: 200, Parts: 4, Depth: 3})
	f.Fuzz(func(t *testing.T, text []byte, seed uint16) {
		for _, pair := range [][2]*Scanner{{whole, cut}, {tight, tight}} {
			pair[0].Reset()
			pair[0].Write(text)
			s := pair[0].Finish()
			if err := check(text, s); err != nil {
				t.Fatal(err)
			}
			pair[1].Reset()
			random := rand.New(rand.NewPCG(uint64(seed), 0))
			for rest := text; len(rest) > 0; {
				n := min(len(rest), 1+random.IntN(40))
				pair[1].Write(rest[:n])
				rest = rest[n:]
			}
			if c := pair[1].Finish(); !sameSummary(s, c) {
				t.Fatalf("cut into pieces it gives\n%+v\nin one piece\n%+v", c, s)
			}
		}
	})
}

// TestKeptField takes the values of one field from the message's own header.
func TestKeptField(t *testing.T) {
	text := "X-Real-To: jim,\r\n\tkate\r\nSubject: x\r\nx-real-to:lee\r\nContent-Type: message/rfc822\r\n\r\nX-Real-To: inner\r\n\r\nX-Real-To: body\r\n"
	if got := scan(Limits{Keep: "X-Real-To"}, []byte(text)).Kept; !slices.Equal(got, []string{"jim,\tkate", "lee"}) {
		t.Errorf("%q", got)
	}
	if got := scan(Limits{}, []byte(text)).Kept; got != nil {
		t.Errorf("nothing is to be kept: %q", got)
	}
	s := NewScanner(Limits{Keep: "To"})
	for _, text := range []string{"To: a\r\n\r\n", "From: b\r\n\r\n", strings.Repeat("To: a\r\n", 300)} {
		s.Reset()
		s.Write([]byte(text))
		want := min(strings.Count(text, "To: a"), maxKept)
		if got := s.Finish().Kept; len(got) != want {
			t.Errorf("%d values of %.20q, want %d", len(got), text, want)
		}
	}
}
