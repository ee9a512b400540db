package queue

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// strain passes a message through a filter in pieces of some size.
func strain(msg string, piece int, complete bool) (string, error) {
	var out bytes.Buffer
	f := &filter{
		w: &out, individual: []byte("X-Real-To"), maxHops: 3, complete: complete,
		missing: func(date, id bool) []byte {
			var b []byte
			if date {
				b = append(b, "Date: now\r\n"...)
			}
			if id {
				b = append(b, "Message-ID: <1@x>\r\n"...)
			}
			return b
		},
	}
	for len(msg) > 0 {
		n := min(piece, len(msg))
		if _, err := f.Write([]byte(msg[:n])); err != nil {
			return out.String(), err
		}
		msg = msg[n:]
	}
	err := f.Close()
	return out.String(), err
}

func TestFilter(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3*maxHead)
	for _, c := range []struct{ name, in, want string }{
		{"plain", "A: b\r\n\r\nbody", "A: b\r\n\r\nbody"},
		{"empty", "", ""},
		{"no body", "A: b\r\n", "A: b\r\n"},
		{"no line end", "A: b", "A: b"},
		{"no header", "\r\nbody\r\n", "\r\nbody\r\n"},
		{"return-path", "Return-Path: <x>\r\nA: b\r\n\r\n", "A: b\r\n\r\n"},
		{"any case and blanks", "A: b\r\nRETURN-path \t: <x>\r\n\r\n", "A: b\r\n\r\n"},
		{"folded", "X-Real-To: a,\r\n b,\r\n\tc\r\nA: b\r\n d\r\n\r\n", "A: b\r\n d\r\n\r\n"},
		{"at the end", "A: b\r\nX-Real-To: a", "A: b\r\n"},
		{"longer name", "X-Real-To-All: a\r\n\r\n", "X-Real-To-All: a\r\n\r\n"},
		{"shorter name", "X-Real: a\r\n\r\n", "X-Real: a\r\n\r\n"},
		{"in the body", "A: b\r\n\r\nReturn-Path: x\r\n", "A: b\r\n\r\nReturn-Path: x\r\n"},
		{"garbage", "From x\r\nA: b\r\nReturn-Path: y\r\nno colon\r\n\r\n", "From x\r\nA: b\r\nno colon\r\n\r\n"},
		{"long lines", long + "\r\nReturn-Path: " + long + "\r\n " + long + "\r\nA: b\r\n\r\n", long + "\r\nA: b\r\n\r\n"},
		{"begins folded", " x\r\nA: b\r\n\r\n", "x\r\nA: b\r\n\r\n"},
		{"begins with a tab", "\tx", "x"},
		{"begins with a blank line", "  \r\nA: b\r\n", "\r\nA: b\r\n"},
		{"bare ends", "A: b\nReturn-Path: x\nC: d\n\nReturn-Path: y\n", "A: b\nC: d\n\nReturn-Path: y\n"},
		{"lone CR", "\rA: b\r\n\r", "\rA: b\r\n\r"},
	} {
		for piece := 1; piece <= len(c.in)+1; piece += 1 + piece/7 {
			got, err := strain(c.in, piece, false)
			if err != nil || got != c.want {
				t.Errorf("%s in pieces of %d: %q and %v, want %q", c.name, piece, got, err, c.want)
			}
		}
	}
}

func TestFilterCompletes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"A: b\r\n\r\nx", "Date: now\r\nMessage-ID: <1@x>\r\nA: b\r\n\r\nx"},
		{"date: z\r\n\r\nx", "Message-ID: <1@x>\r\ndate: z\r\n\r\nx"},
		{"message-id: z\r\nDATE : y\r\n\r\nx", "message-id: z\r\nDATE : y\r\n\r\nx"},
		{"\r\nbody", "Date: now\r\nMessage-ID: <1@x>\r\n\r\nbody"},
		{"", "Date: now\r\nMessage-ID: <1@x>\r\n"},
		{"A: b\r\n", "Date: now\r\nMessage-ID: <1@x>\r\nA: b\r\n"},
		{"A: b", "Date: now\r\nMessage-ID: <1@x>\r\nA: b"},
		{"A: b\r\nX-Real-To: z\r\n\r\n", "Date: now\r\nMessage-ID: <1@x>\r\nA: b\r\n\r\n"},
		{strings.Repeat("x", holdAt) + "\r\nA: b\r\n\r\n", strings.Repeat("x", holdAt) + "\r\nA: b\r\n\r\n"}, // too long to be held
	} {
		for piece := 1; piece <= len(c.in)+1; piece += 1 + piece/7 {
			if got, err := strain(c.in, piece, true); err != nil || got != c.want {
				t.Errorf("%.50q in pieces of %d: %.90q and %v, want %.90q", c.in, piece, got, err, c.want)
			}
		}
	}
}

func TestFilterLoop(t *testing.T) {
	t.Parallel()
	hop := "Received: x\r\n"
	if _, err := strain(strings.Repeat(hop, 3)+"\r\n"+hop, 5, false); err != nil {
		t.Errorf("three hops: %v", err)
	}
	if _, err := strain(strings.Repeat(hop, 4), 5, false); !errors.Is(err, ErrLoop) {
		t.Errorf("four hops: %v", err)
	}
}

// A header without an end passes whole, in bounded memory.
func TestFilterEndless(t *testing.T) {
	t.Parallel()
	for _, line := range []string{strings.Repeat("x", 100) + "\r\n", "x", "a: b\r\n"} {
		msg := strings.Repeat(line, 3*maxHeader/len(line))
		got, err := strain(msg, 32<<10, true)
		if err != nil || got != msg {
			t.Errorf("%d octets of %q: %d octets and %v", len(msg), line, len(got), err)
		}
	}
}

// FuzzFilter: what comes out does not depend on how the message was cut up, and
// nothing but the fields that are ours and blanks at the begin is missing.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		"", "A: b\r\n\r\nbody", "Return-Path: <x>\r\n", "X-Real-To: a\r\n b\r\nC: d\r\n\r\n",
		"\r\n\r\n", "Received: 1\r\nReceived: 2\r\nReceived: 3\r\nReceived: 4\r\n", "\n", "a\n b\n\nc", " ", " a: b\r\n",
	} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, msg string, piece int) {
		if piece < 1 {
			piece = 1
		}
		got, err := strain(msg, piece, false)
		whole, wholeErr := strain(msg, len(msg)+1, false)
		if err == nil && got != whole || (err == nil) != (wholeErr == nil) {
			t.Fatalf("in pieces of %d: %q and %v, whole: %q and %v", piece, got, err, whole, wholeErr)
		}
		lower := strings.ToLower(msg)
		if err == nil && got != strings.TrimLeft(msg, " \t") && !strings.Contains(lower, "return-path") && !strings.Contains(lower, "x-real-to") {
			t.Fatalf("%q became %q", msg, got)
		}
		again, err := strain(whole, len(whole)+1, false)
		if wholeErr == nil && (err != nil || again != whole) {
			t.Fatalf("filtered again %q became %q", whole, again)
		}
	})
}

// What claims to be our own word about a message is taken out, however it is
// written; what others say of it stays.
func TestFilterTakesOutForgedResults(t *testing.T) {
	t.Parallel()
	forged := []string{
		"Authentication-Results: mail.example.test; dkim=pass\r\n",
		"authentication-results :  MAIL.example.TEST 1; dkim=pass\r\n",
		"Authentication-Results:\r\n mail.example.test; dkim=pass\r\n",
		"Authentication-Results: (a (b\\) mail.x) c)\r\n\t\"mail.example.test\";\r\n spf=pass\r\n",
		"Authentication-Results: mail.example.test.\r\n",
		"Authentication-Results: x" + strings.Repeat("y", 2*maxResults) + "\r\n more\r\n",
		"X-Screen: mail.example.test; score=0\r\n",
		"X-Spam-Flag: NO\r\n",
	}
	honest := []string{
		"Authentication-Results: mx.client.test; dkim=pass\r\n",
		"Authentication-Results: (mail.example.test) mx.client.test; x=mail.example.test\r\n",
		"Authentication-Results: mail.example.test.evil.test; dkim=pass\r\n",
		"Authentication-Results:\r\n",
		"Authentication-Results-X: mail.example.test\r\n",
	}
	for _, piece := range []int{1, 7, 1 << 20} {
		for _, field := range forged {
			if piece == 1 && len(field) > maxResults {
				continue
			}
			for _, form := range []string{"%sA: b\r\n\r\nx", "A: b\r\n%s\r\nx", "A: b\r\n%s"} {
				want := strings.Replace(form, "%s", "", 1)
				if got := strainResults(t, strings.Replace(form, "%s", field, 1), piece); got != want {
					t.Errorf("%.60q in pieces of %d left %q", field, piece, got)
				}
			}
		}
		for _, field := range honest {
			msg := "A: b\r\n" + field + "C: d\r\n\r\nx"
			if got := strainResults(t, msg, piece); got != msg {
				t.Errorf("%q in pieces of %d became %q", msg, piece, got)
			}
		}
	}
}

func strainResults(t *testing.T, msg string, piece int) string {
	t.Helper()
	var out bytes.Buffer
	f := &filter{w: &out, maxHops: 3, results: "mail.example.test"}
	for len(msg) > 0 {
		n := min(piece, len(msg))
		_, err := f.Write([]byte(msg[:n]))
		must(t, err)
		msg = msg[n:]
	}
	must(t, f.Close())
	return out.String()
}
