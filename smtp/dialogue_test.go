package smtp

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
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
// The lines of a conversation:
//
//	C: text        is sent as a line
//	C+ "text"      is sent as it is: a Go string
//	S: text        must be the next line received; "*" stands for any text
//	EOF            the server must close the connection
//	TLS            the client does a TLS handshake
//	HI             takes the greeting and says EHLO, or LHLO in LMTP
//	SECURE         turns TLS on and says it again
//	IN ann@b       signs in
//	SEND joe@a ann@b   sends "Subject: test" from and to
//	# text         a remark
//
// In what is sent, {base64:...} encodes a Go string and {100*x} repeats.
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

// conversation is the client's end of one connection.
type conversation struct {
	t     *testing.T
	name  string
	line  int
	hello string // EHLO or LHLO
	nc    net.Conn
	r     *bufio.Reader
}

// patience is how long a test waits for the server before it fails.
const patience = 2 * time.Minute

// dial begins a conversation; the test's end closes it.
func dial(t *testing.T, w *world, name string) *conversation {
	t.Helper()
	nc, err := net.Dial("tcp", w.addr)
	must(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	must(t, nc.SetDeadline(time.Now().Add(patience)))
	c := &conversation{t: t, name: name, hello: "EHLO", nc: nc, r: bufio.NewReader(nc)}
	if w.config.Mode == LMTP {
		c.hello = "LHLO"
	}
	return c
}

func talk(t *testing.T, w *world, name, text string) {
	t.Helper()
	c := dial(t, w, name)
	defer c.nc.Close()
	for line := range strings.Lines(text) {
		c.line++
		c.do(strings.TrimSuffix(line, "\n"))
	}
}

func (c *conversation) fatalf(format string, args ...any) {
	c.t.Helper()
	c.t.Fatalf("%s:%d: "+format, append([]any{c.name, c.line}, args...)...)
}

func (c *conversation) do(line string) {
	c.t.Helper()
	mark, rest, _ := strings.Cut(line, " ")
	switch mark {
	case "#", "":
	case "C:":
		c.send(c.expand(rest) + "\r\n")
	case "C+":
		text, err := strconv.Unquote(c.expand(rest))
		if err != nil {
			c.fatalf("%q: %v", line, err)
		}
		c.send(text)
	case "S:":
		got, err := c.r.ReadString('\n')
		if err != nil {
			c.fatalf("want %q, got %q and %v", rest, got, err)
		}
		if text, whole := strings.CutSuffix(got, "\r\n"); !whole || !matches(rest, text) {
			c.fatalf("got %q, want %q", got, rest)
		}
	case "EOF":
		if got, err := c.r.ReadString('\n'); err != io.EOF {
			c.fatalf("want the end, got %q and %v", got, err)
		}
	case "TLS":
		c.handshake()
	case "HI":
		c.each("S: 220 *", "C: "+c.hello+" pc7.client.test")
		c.skip()
	case "SECURE":
		c.each("C: STARTTLS", "S: 220 *", "TLS", "C: "+c.hello+" pc7.client.test")
		c.skip()
	case "IN":
		c.each(`C: AUTH PLAIN {base64:\x00`+rest+`\x00`+password+`}`, "S: 235 2.7.0 *")
	case "SEND":
		from, to, _ := strings.Cut(rest, " ")
		c.each("C: MAIL FROM:<"+from+">", "S: 250 *", "C: RCPT TO:<"+to+">", "S: 250 *", "C: DATA", "S: 354 *",
			"C: Subject: test", "C:", "C: .", "S: 250 2.0.0 * message accepted for delivery")
	default:
		c.fatalf("%q is no line of a conversation", line)
	}
}

func (c *conversation) each(lines ...string) {
	c.t.Helper()
	for _, line := range lines {
		c.do(line)
	}
}

// skip reads a reply to its last line.
func (c *conversation) skip() {
	c.t.Helper()
	for {
		line, err := c.r.ReadString('\n')
		if err != nil || len(line) < 4 {
			c.fatalf("reply %q: %v", line, err)
		}
		if line[3] == ' ' {
			return
		}
	}
}

func (c *conversation) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, text); err != nil {
		c.fatalf("send: %v", err)
	}
}

func (c *conversation) handshake() {
	c.t.Helper()
	if n := c.r.Buffered(); n > 0 {
		c.fatalf("%d octets before the handshake", n)
	}
	secure := tls.Client(c.nc, &tls.Config{InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		c.fatalf("handshake: %v", err)
	}
	c.nc, c.r = secure, bufio.NewReader(secure)
}

var (
	base64Form = regexp.MustCompile(`\{base64:([^}]*)\}`)
	repeatForm = regexp.MustCompile(`\{(\d+)\*([^}]*)\}`)
)

// expand puts in what {base64:...} and {100*x} stand for.
func (c *conversation) expand(s string) string {
	c.t.Helper()
	s = base64Form.ReplaceAllStringFunc(s, func(form string) string {
		text, err := strconv.Unquote(`"` + base64Form.FindStringSubmatch(form)[1] + `"`)
		if err != nil {
			c.fatalf("%s: %v", form, err)
		}
		return base64.StdEncoding.EncodeToString([]byte(text))
	})
	return repeatForm.ReplaceAllStringFunc(s, func(form string) string {
		m := repeatForm.FindStringSubmatch(form)
		n, err := strconv.Atoi(m[1])
		must(c.t, err)
		return strings.Repeat(m[2], n)
	})
}
