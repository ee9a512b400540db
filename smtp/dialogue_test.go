package smtp

import (
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"tripost/wire/wiretest"
)

// TestDialogues replays the conversations in testdata. A file is a txtar
// archive; its sections are:
//
//	setup                       one line each: see world.setup
//	zone                        the DNS; with it messages of strangers are judged
//	in ann@example.test/INBOX   a message that must be there in the end, in order,
//	                            LF standing for CRLF; "*" matches any text within
//	                            a line, "none" alone an empty mailbox
//	queue                       what must wait in the end: see world.queued
//	anything else               a conversation, replayed in order
//
// The lines of a conversation are those of wiretest.Script, in which "*" stands
// for any text within a line, and:
//
//	HI             takes the greeting and says EHLO, or LHLO in LMTP
//	SECURE         turns TLS on and says it again
//	IN ann@b       signs in
//	SEND joe@a ann@b   sends "Subject: test" from and to
func TestDialogues(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	must(t, err)
	if len(files) == 0 {
		t.Fatal("no dialogues in testdata")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			must(t, err)
			replay(t, archive)
		})
	}
}

func replay(t *testing.T, archive *txtar.Archive) {
	w := newWorld(t)
	started := false
	expect := map[string][]string{}
	for _, f := range archive.Files {
		text := string(f.Data)
		switch place, in := strings.CutPrefix(f.Name, "in "); {
		case f.Name == "setup":
			for line := range strings.Lines(text) {
				w.setup(strings.TrimSpace(line))
			}
		case f.Name == "zone":
			w.zone = text
		case in:
			expect[place] = append(expect[place], text)
		case f.Name == "queue":
			if got := w.queued(); !matches(text, got) {
				t.Errorf("queue:\n%swant:\n%s", got, text)
			}
		default:
			if !started {
				w.listen()
				started = true
			}
			talk(t, w, f.Name, text)
		}
	}
	for place, want := range expect {
		w.compare(place, want)
	}
}

// compare holds a mailbox against what is expected of it.
func (w *world) compare(place string, want []string) {
	w.t.Helper()
	got := w.mailbox(place)
	if len(want) == 1 && strings.TrimSpace(want[0]) == "none" {
		want = nil
	}
	if len(got) != len(want) {
		w.t.Errorf("%s holds %d messages, want %d:\n%s", place, len(got), len(want), strings.Join(got, "\n----\n"))
		return
	}
	for i := range want {
		if !matches(want[i], strings.ReplaceAll(got[i], "\r\n", "\n")) {
			w.t.Errorf("%s, message %d:\n%s\nwant:\n%s", place, i+1, got[i], want[i])
		}
	}
}

// matches compares with a pattern in which "*" is any text within a line.
func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`^` + strings.Join(parts, `[^\n]*`) + `$`).MatchString(text)
}

// talk holds a conversation with a world.
func talk(t *testing.T, w *world, name, text string) {
	t.Helper()
	w.script().Talk(t, name, text)
}

// script is how the conversations with a world are read.
func (w *world) script() *wiretest.Script {
	hello := "EHLO"
	if w.config.Mode == LMTP {
		hello = "LHLO"
	}
	return &wiretest.Script{
		Dial: func() net.Conn {
			nc, err := net.Dial("tcp", w.addr)
			must(w.t, err)
			return nc
		},
		Matches: matches,
		Verbs: map[string]func(*wiretest.Conversation, int, string){
			"HI": func(c *wiretest.Conversation, n int, _ string) {
				c.Each("S: 220 *", "C: "+hello+" pc7.client.test")
				skip(c, n)
			},
			"SECURE": func(c *wiretest.Conversation, n int, _ string) {
				c.Each("C: STARTTLS", "S: 220 *", "TLS", "C: "+hello+" pc7.client.test")
				skip(c, n)
			},
			"IN": func(c *wiretest.Conversation, _ int, name string) {
				c.Each(`C: AUTH PLAIN {base64:\x00`+name+`\x00`+password+`}`, "S: 235 2.7.0 *")
			},
			"SEND": func(c *wiretest.Conversation, _ int, addresses string) {
				from, to, _ := strings.Cut(addresses, " ")
				c.Each("C: MAIL FROM:<"+from+">", "S: 250 *", "C: RCPT TO:<"+to+">", "S: 250 *", "C: DATA", "S: 354 *",
					"C: Subject: test", "C:", "C: .", "S: 250 2.0.0 * message accepted for delivery")
			},
		},
	}
}

// skip reads a reply to its last line.
func skip(c *wiretest.Conversation, n int) {
	for {
		line := c.Next(n, "a reply")
		if len(line) < 4 {
			c.Fatalf("reply %q", line)
		}
		if line[3] == ' ' {
			return
		}
	}
}
