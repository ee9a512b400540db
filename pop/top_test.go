package pop

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// The head of a message is the same however its octets come, and lines end with
// LF, with or without CR.
func TestHead(t *testing.T) {
	tests := []struct {
		message string
		lines   int64
		want    string
	}{
		{"", 3, ""},
		{"a\r\n", 0, "a\r\n"},
		{"a\r\n\r\nb\r\nc\r\n", 0, "a\r\n\r\n"},
		{"a\r\n\r\nb\r\nc\r\n", 1, "a\r\n\r\nb\r\n"},
		{"a\r\n\r\nb\r\nc\r\n", 2, "a\r\n\r\nb\r\nc\r\n"},
		{"a\r\n\r\nb\r\nc\r\n", 3, "a\r\n\r\nb\r\nc\r\n"},
		{"a\r\n\r\nb\r\nc", 2, "a\r\n\r\nb\r\nc"},
		{"a\n\nb\nc\n", 1, "a\n\nb\n"},
		{"\r\nb\r\nc\r\n", 1, "\r\nb\r\n"},
		{"\nb\nc\n", 1, "\nb\n"},
		{"a\r\n\r\r\nb\r\n\r\nc\r\n", 0, "a\r\n\r\r\nb\r\n\r\n"},
		{"a\r\n\r", 0, "a\r\n\r"},
		{"a\r\n \r\nb\r\n\r\n", 0, "a\r\n \r\nb\r\n\r\n"},
		{"a\r\n\r\n\r\n\r\nb\r\n", 2, "a\r\n\r\n\r\n\r\n"},
	}
	for _, test := range tests {
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(test.message), "octets": iotest.OneByteReader(strings.NewReader(test.message)),
			"with its end": iotest.DataErrReader(strings.NewReader(test.message)),
		} {
			var out bytes.Buffer
			h := headReader{from: r, lines: test.lines}
			n, err := h.WriteTo(&out)
			if err != nil || out.String() != test.want || n != int64(len(test.want)) {
				t.Errorf("%q, %d lines, %s: %q, %d octets, %v", test.message, test.lines, name, out.String(), n, err)
			}
		}
	}
}

func TestSplit(t *testing.T) {
	for _, test := range []struct{ line, verb, arg string }{
		{"", "", ""}, {"   ", "", ""}, {"stat", "STAT", ""}, {"PASS  a b ", "PASS", " a b "}, {"\tTop 1 2", "TOP", "1 2"},
		{"RETR\t1", "RETR", "1"}, {"muchtoolongforaverb x", "muchtoolongforaverb", "x"}, {"\xffé x", "\xffé", "x"},
	} {
		if verb, arg := split([]byte(test.line)); verb != test.verb || arg != test.arg {
			t.Errorf("%q: %q and %q", test.line, verb, arg)
		}
	}
}
