package message

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// feed writes pieces of a message to a scanner and returns the summary with the
// octets of memory that the scanner and it hold when all is read, and how many
// were allocated on the way.
func feed(l Limits, pieces func(write func(string))) (s *Summary, held, allocated uint64) {
	var before, after, end runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	scanner := NewScanner(l)
	pieces(func(p string) { scanner.Write([]byte(p)) })
	s = scanner.Finish()
	runtime.ReadMemStats(&after)
	runtime.GC()
	runtime.ReadMemStats(&end)
	runtime.KeepAlive(scanner)
	return s, end.HeapAlloc - min(before.HeapAlloc, end.HeapAlloc), after.TotalAlloc - before.TotalAlloc
}

// TestBombs sends what is meant to exhaust a mail server. Not parallel: it reads
// the memory of the process.
func TestBombs(t *testing.T) {
	const megabyte = 1 << 20
	tests := []struct {
		name   string
		parts  int // at most
		header int64
		pieces func(write func(string))
	}{
		{"10,000 multiparts in each other", 60, 0, func(write func(string)) {
			for i := range 10000 {
				write(fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i))
			}
			for i := range 10000 {
				write(fmt.Sprintf("--b%d--\r\n", 9999-i))
			}
		}},
		{"10,000 messages in each other", 60, 0, func(write func(string)) {
			write(strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 10000))
		}},
		{"10,000 digests in each other", 110, 0, func(write func(string)) {
			for i := range 10000 {
				write(fmt.Sprintf("Content-Type: multipart/digest; boundary=b%d\r\n\r\n--b%d\r\n\r\n", i, i))
			}
		}},
		{"100,000 parts", 1000, 0, func(write func(string)) {
			write("Content-Type: multipart/mixed; boundary=b\r\n\r\n")
			write(strings.Repeat("--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\nx\r\n", 100000))
		}},
		{"100,000 boundaries of an outer multipart", 1000, 0, func(write func(string)) {
			write("Content-Type: multipart/mixed; boundary=b\r\n\r\n")
			write(strings.Repeat("--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n", 100000))
		}},
		{"a header of 10 MB in many fields", 1, 10*megabyte + 2, func(write func(string)) {
			write(strings.Repeat("X: "+strings.Repeat("x", 11)+"\r\n", 10*megabyte/16))
			write("\r\n\r\n")
		}},
		{"a header of 10 MB in one line", 1, 10*megabyte + 15, func(write func(string)) {
			write("Subject: ab")
			write(strings.Repeat("x", 10*megabyte))
			write("\r\n\r\n")
		}},
		{"1 MB of parameters", 1, 0, func(write func(string)) {
			write("Content-Type: text/plain")
			for i := range 60000 {
				write(fmt.Sprintf(";\r\n x*%d=abcdefg", i))
			}
			write("\r\n\r\n")
		}},
		{"parameters in every part", 1000, 0, func(write func(string)) {
			write("Content-Type: multipart/mixed; boundary=b\r\n\r\n")
			part := "--b\r\nContent-Type: text/plain" + strings.Repeat(`; a="`+strings.Repeat("x", 100)+`"`, 50) + "\r\n\r\nx\r\n"
			write(strings.Repeat(part, 1000))
		}},
		{"addresses in every part", 1000, 0, func(write func(string)) {
			write("Content-Type: multipart/digest; boundary=b\r\n\r\n")
			write(strings.Repeat("--b\r\n\r\nFrom: "+strings.Repeat("a,", 4000)+"\r\n\r\nx\r\n", 1000))
		}},
		{"a million addresses", 1, 0, func(write func(string)) {
			write("To: ")
			write(strings.Repeat("a,", 1000000))
			write("\r\n\r\n")
		}},
		{"long boundaries at every level", 60, 0, func(write func(string)) {
			long := strings.Repeat("x", maxBoundary-8)
			for i := range 100 {
				write(fmt.Sprintf("Content-Type: multipart/mixed; boundary=%s%d\r\n\r\n--%s%d\r\n", long, i, long, i))
			}
			write("\r\n")
			for i := range 200 {
				write(fmt.Sprintf("--%sz%d\r\n", long, i))
			}
		}},
		{"100,000 references", 1, 0, func(write func(string)) {
			write("References: " + strings.Repeat("<a@b>", 100000) + "\r\n\r\n")
		}},
		{"unclosed quotes, comments and words", 1, 0, func(write func(string)) {
			write("From: " + strings.Repeat(`"(<@[`, 30000) + "\r\n")
			write("\r\n")
		}},
		{"encoded words without end", 1, 0, func(write func(string)) {
			write("Subject: " + strings.Repeat("=?a?q?", 40000) + "\r\n\r\n")
		}},
		{"a body without a line end", 1, 2, func(write func(string)) {
			write("\r\n")
			for range 16 {
				write(strings.Repeat("-", megabyte))
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, held, allocated := feed(Limits{}, test.pieces)
			var text bytes.Buffer
			test.pieces(func(p string) { text.WriteString(p) })
			if err := check(text.Bytes(), s); err != nil {
				t.Fatalf("%.2000v", err)
			}
			if len(s.Parts) > test.parts {
				t.Errorf("%d parts, want at most %d", len(s.Parts), test.parts)
			}
			if test.header > 0 && s.HeaderSize != test.header {
				t.Errorf("header of %d octets, want %d", s.HeaderSize, test.header)
			}
			if held > 5*megabyte {
				t.Errorf("%d octets held", held)
			}
			if record := len(s.Append(nil)); record > 3*megabyte {
				t.Errorf("a record of %d octets", record)
			}
			if allocated > uint64(text.Len())*4+32*megabyte {
				t.Errorf("%d octets allocated for a message of %d", allocated, text.Len())
			}
		})
	}
}

// TestPartsLimit: what lies beyond the limit of parts is one part of plain text.
func TestPartsLimit(t *testing.T) {
	t.Parallel()
	text := mime("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "one", "--b", "Content-Type: text/html", "", "two", "--b", "", "three", "--b--", "")
	s := scan(Limits{Parts: 3}, text)
	if err := check(text, s); err != nil {
		t.Fatal(err)
	}
	want := `M multipart/mixed` + "\n" + ` 1 text/plain "one"` + "\n" +
		` 2 text/plain "Content-Type: text/html\r\n\r\ntwo\r\n--b\r\n\r\nthree\r\n--b--\r\n"`
	if got := outline(text, s); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s = scan(Limits{Parts: 1}, text); len(s.Parts) != 1 || s.Parts[0].Type != "text/plain" {
		t.Errorf("with one part allowed: %+v", s.Parts)
	}
}

// TestDepthLimit: what is nested too deep is plain text.
func TestDepthLimit(t *testing.T) {
	t.Parallel()
	text := mime("Content-Type: message/rfc822", "", "Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: message/rfc822", "", "Subject: s", "", "deep", "--b--")
	for depth, want := range map[int]string{
		1: `M message/rfc822` + "\n" + ` 1 M text/plain "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: s\r\n\r\ndeep\r\n--b--"`,
		2: "M message/rfc822\n 1 M multipart/mixed\n" + ` 1.1 text/plain "Subject: s\r\n\r\ndeep"`,
		3: "M message/rfc822\n 1 M multipart/mixed\n 1.1 message/rfc822\n" + ` 1.1 M text/plain "deep"`,
	} {
		s := scan(Limits{Depth: depth}, text)
		if err := check(text, s); err != nil {
			t.Fatal(err)
		}
		if got := outline(text, s); got != want {
			t.Errorf("depth %d:\n%s\nwant\n%s", depth, got, want)
		}
	}
}

// TestHeaderLimit: fields beyond the limit are not looked at, and the body is
// where it is.
func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	text := mime("Subject: seen", "X: "+strings.Repeat("x", 100), "From: a@x.test", "", "body")
	s := scan(Limits{Header: 60}, text)
	if err := check(text, s); err != nil {
		t.Fatal(err)
	}
	if s.Subject != "seen" || s.From != "" || string(text[s.HeaderSize:]) != "body" {
		t.Errorf("subject %q, from %q, body %q", s.Subject, s.From, text[s.HeaderSize:])
	}
}

// TestReset: a scanner that has seen a large message does not keep its memory,
// and leaves nothing of it in the next.
func TestReset(t *testing.T) {
	s := NewScanner(Limits{})
	s.Write([]byte("Subject: " + strings.Repeat("x", 200000) + "\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\x00"))
	s.Finish()
	s.Reset()
	if n := cap(s.tree.header) + cap(s.tree.envelope) + cap(s.tree.details) + cap(s.partial.head); n > 4*keepBuffer {
		t.Errorf("%d octets kept", n)
	}
	small := mime("Subject: small", "", "text")
	s.Write(small)
	if got := s.Finish(); !sameSummary(got, scan(Limits{}, small)) {
		t.Errorf("after another message: %+v", got)
	}
}

// TestNoAllocationPerLine: bodies cost no memory, however they are cut.
func TestNoAllocationPerLine(t *testing.T) {
	s := NewScanner(Limits{})
	s.Write([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"))
	lines := []byte(strings.Repeat("--not a boundary\r\n.and a dot\r\nordinary\r\n", 100))
	s.Write(lines[:5])
	if n := testing.AllocsPerRun(10, func() {
		for i := 0; i < len(lines); i += 100 {
			s.Write(lines[i:min(len(lines), i+100)])
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestRecordDoesNotAllocate: reading a record costs no memory.
func TestRecordDoesNotAllocate(t *testing.T) {
	text := mail(t, "python-email/msg_02.txt")
	r := Record(scan(Limits{}, text).Append(nil))
	n := 0
	if a := testing.AllocsPerRun(10, func() {
		n += len(r.Envelope()) + len(r.BodyStructure()) + len(r.Body()) + len(r.Subject()) + len(r.Digest()) + int(r.Size())
		for id := range r.References() {
			n += len(id)
		}
	}); a > 0 {
		t.Errorf("%v allocations", a)
	}
}
