package imap

import (
	"strings"
	"testing"
)

func TestUTF7(t *testing.T) {
	for name, wire := range map[string]string{
		"INBOX":                "INBOX",
		"~peter/mail/台北/日本語":   "~peter/mail/&U,BTFw-/&ZeVnLIqe-", // RFC 3501 section 5.1.3
		"Hi Mom -☺-!":          "Hi Mom -&Jjo--!",
		"a&b":                  "a&-b",
		"&&":                   "&-&-",
		"ü":                    "&APw-",
		"a\tb":                 "a&AAk-b",
		"\U0001F600":           "&2D3eAA-",
		"x\U0001F600\u00e4&ö-": "x&2D3eAADk-&-&APY--",
		"":                     "",
	} {
		if got := string(appendUTF7(nil, name)); got != wire {
			t.Errorf("%q is written %q, want %q", name, got, wire)
		}
		if got, err := decodeUTF7([]byte(wire)); err != nil || got != name {
			t.Errorf("%q is read as %q, %v, want %q", wire, got, err, name)
		}
	}
}

func TestUTF7Refused(t *testing.T) {
	for _, wire := range []string{
		"&", "&U", "a&b", "&Jjo!", // no end
		"&Jjo", "&J-", "&JjoA-", "&Jjo=-", // not whole
		"&U,BTFw-&ZeVnLIqe-", // two runs that should be one
		"&AGE-",              // "a" needs no encoding
		"&2D0-", "&3gDYPQ-",  // half a surrogate pair, and a wrong one
		"&U/BTFw-",                  // "/" of the other base64
		"\xc3\xbc", "a\x00", "\x7f", // not printable US-ASCII
	} {
		if got, err := decodeUTF7([]byte(wire)); err == nil {
			t.Errorf("%q is read as %q", wire, got)
		}
	}
}

func TestCanonicalName(t *testing.T) {
	for name, want := range map[string]string{
		"inbox": "INBOX", "InBox/x": "INBOX/x", "inboxes": "inboxes", "a/inbox": "a/inbox",
		"~boss/inbox": "~boss/INBOX", "~boss/inbox/X": "~boss/INBOX/X", "~boss": "~boss", "~": "~", "": "",
	} {
		if got := canonicalName(name); got != want {
			t.Errorf("%q is canonically %q, want %q", name, got, want)
		}
	}
}

// TestPatternCost gives a pattern on which backtracking takes exponential time.
func TestPatternCost(t *testing.T) {
	p := newPattern(strings.Repeat("*a", 60) + "b")
	if p.match(strings.Repeat("a", 1000)) {
		t.Error("matched")
	}
	if !p.match(strings.Repeat("a", 999) + "b") {
		t.Error("not matched")
	}
}
