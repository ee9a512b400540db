package e2e

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// longHostile is the variable that asks for the long form.
const longHostile = "TRIPOST_HOSTILE"

// TestHostile lets strangers and a mad user do what they can think of, one thing
// after the other, and looks whether the server has stayed within its memory all
// the time, has answered a user who was signed in meanwhile, and answers one who
// signs in then. The server is one without the race detector, whose memory says
// something. TRIPOST_HOSTILE multiplies the number of connections, and asks for
// answers in time: see answerFactor.
func TestHostile(t *testing.T) {
	t.Parallel()
	times := 1
	if n, err := strconv.Atoi(os.Getenv(longHostile)); err == nil && n > 0 {
		times = n
	}
	s := preparePlain(t, "log.level = 1\nsecurity.cleartext_login = \"always\"\nsecurity.sign_in_time = \"2m\"\nmessage.size = \"12M\"\n"+
		"security.proxies = [\""+proxyHost+"\"]\npop.channels = 5000\n")
	s.env = []string{"GOMAXPROCS=" + itoa(processors)}
	s.begin("ann", "mad", "many")
	h := &hostile{T: t, server: s, times: times}
	h.user = h.signedIn("ann")
	quiet := h.quiet()
	h.mad = h.signedIn("mad")
	for _, attack := range []struct {
		name string
		do   func()
	}{
		{"connections that say nothing", h.silence},
		{"handshakes that stop half way", h.halfHandshakes},
		{"lines without an end", h.endlessLines},
		{"literals that are announced", h.literals},
		{"mail that unfolds", h.mimeBombs},
		{"programs that explode", h.searchBombs},
		{"readers who do not read", h.slowReaders},
		{"messages that do not end", h.halfMessages},
		{"messages from a hundred sessions", h.appends},
		{"guesses from everywhere", h.guesses},
	} {
		h.forgetPeak()
		before := time.Now()
		answers := h.askMeanwhile(func() {
			attack.do()
			h.verdict(attack.name)
		})
		t.Logf("%s: %v, at most %d MiB, %d answers, median %v (quiet %v), worst %v", attack.name,
			time.Since(before).Round(time.Millisecond), h.peak()>>20, len(answers), median(answers), quiet, slices.Max(answers))
		if octets := h.peak(); octets > h.bound() {
			t.Errorf("%s: the server took %d MiB with %d connections", attack.name, octets>>20, h.connections)
		}
		h.inTime(attack.name, median(answers), quiet)
	}
}

// hostile is a server under attack.
type hostile struct {
	*testing.T
	server      *server
	times       int
	connections int // made so far by the attackers, most of them still there
	user, mad   *sortConn
}

// verdict signs in after an attack, whose connections are still there.
func (h *hostile) verdict(attack string) {
	h.Helper()
	fresh := h.signedIn("ann")
	if _, err := fresh.do("NOOP"); err != nil {
		h.Fatalf("%s: a user who comes: %v", attack, err)
	}
	fresh.Close()
}

func (h *hostile) signedIn(name string) *sortConn {
	h.Helper()
	l, err := dialLines(h.server.imap)
	if err != nil {
		h.Fatal(err)
	}
	l.SetDeadline(time.Now().Add(20 * time.Minute))
	h.Cleanup(func() { l.Close() })
	if _, err := l.line(); err != nil {
		h.Fatal(err)
	}
	c := &sortConn{lineConn: l}
	if _, err := c.do(fmt.Sprintf("LOGIN %s %q", address(name), password)); err != nil {
		h.Fatal(err)
	}
	return c
}

// from dials from an address of the loopback network: each n is another host.
func (h *hostile) from(n int, addr string) net.Conn {
	h.Helper()
	return h.fromHost(net.IPv4(127, 0, byte(1+n/250), byte(1+n%250)), addr)
}

func (h *hostile) fromHost(host net.IP, addr string) net.Conn {
	h.Helper()
	h.connections++
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: host}, Timeout: patience}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		h.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// crowd opens many connections to each protocol, sends the same to each, and
// keeps them open until the attack is judged.
func (h *hostile) crowd(each int, text string, addrs ...string) {
	h.Helper()
	for _, addr := range addrs {
		for n := range each * h.times {
			h.open(n, addr, text)
		}
	}
}

// open connects from another host, sends something, and stays until the end.
func (h *hostile) open(n int, addr, text string) {
	h.Helper()
	c := h.from(n, addr)
	h.Cleanup(func() { c.Close() })
	c.Write([]byte(text)) // who is refused has no use for it
}

func (h *hostile) silence() {
	h.crowd(100, "", h.server.pop, h.server.imap, h.server.smtp)
}

func (h *hostile) halfHandshakes() {
	// The begin of a ClientHello that announces 16 KiB.
	h.crowd(100, "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03", h.server.popTLS, h.server.imapTLS, h.server.submissionTLS)
}

func (h *hostile) endlessLines() {
	line := strings.Repeat("A", 1<<20)
	h.crowd(20, line, h.server.pop, h.server.imap, h.server.smtp, h.server.submission)
}

func (h *hostile) literals() {
	for _, command := range []string{
		"a LOGIN {4294967295}\r\n", "a LOGIN {4294967295+}\r\n", "a LOGIN {18446744073709551616}\r\n",
		"a APPEND INBOX {99999999999+}\r\n", strings.Repeat("a LOGIN {60000+}\r\n", 3),
	} {
		h.crowd(20, command+strings.Repeat("x", 60_000), h.server.imap)
	}
	for _, command := range []string{
		"APPEND INBOX {4294967295}", "APPEND INBOX {12582913}", "SEARCH SUBJECT {4294967295}", "STATUS {99999} (MESSAGES)",
	} {
		if lines, err := h.mad.do(command); err == nil {
			h.Errorf("%s: %q", command, lines)
		}
	}
}

// mimeBombs appends messages that are small to send and large to understand.
func (h *hostile) mimeBombs() {
	boundary := "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	var nested strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&nested, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", n, n)
	}
	for name, text := range map[string]string{
		"a field of 10 million octets": "Subject: " + strings.Repeat("a", 10_000_000) + "\r\n\r\nx\r\n",
		"a thousand levels":            nested.String() + "\r\nx\r\n",
		"a hundred thousand parts":     boundary + strings.Repeat("--b\r\n\r\n", 100_000),
		"a hundred thousand fields":    strings.Repeat("X-A: b\r\n", 100_000) + "\r\nx\r\n",
		"a hundred thousand addresses": "To: " + strings.Repeat("a@b.test,\r\n ", 100_000) + "c@b.test\r\n\r\nx\r\n",
		"parameters in pieces":         "Content-Type: text/plain" + strings.Repeat(";\r\n name*0*=utf-8''%41", 100_000) + "\r\n\r\nx\r\n",
		"messages in messages":         strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 10_000),
	} {
		if _, err := h.mad.do(fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(text), text)); err != nil {
			h.Errorf("%s: %v", name, err)
		}
	}
	for _, command := range []string{
		"SELECT INBOX", "FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)", "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (TO)] PREVIEW)",
		"SORT (SUBJECT FROM) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "SEARCH TEXT nothing",
		"FETCH 1:* (BODY.PEEK[1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1])",
	} {
		if _, err := h.mad.do(command); err != nil {
			h.Errorf("%s: %v", command, err)
		}
	}
}

// searchBombs sends what is short to write and long to do. Whether it is done or
// refused is the server's business; the session goes on.
func (h *hostile) searchBombs() {
	for n := range 30 {
		h.mad.do(fmt.Sprintf("CREATE %s%d", strings.Repeat("a", 100), n))
	}
	for _, command := range []string{
		"SEARCH " + strings.Repeat("OR ALL ", 5000) + "ALL", "SEARCH " + strings.Repeat("(", 5000) + "ALL" + strings.Repeat(")", 5000),
		"SEARCH " + strings.Repeat("NOT ", 10_000) + "ALL", "SEARCH " + strings.Repeat("BODY x ", 5000),
		"FETCH " + strings.Repeat("1:4294967295,", 4000) + "1 FLAGS", "UID FETCH 1:4294967295 FLAGS",
		`LIST "" "` + strings.Repeat("*a", 200) + `"`, `LIST "" "` + strings.Repeat("%*", 500) + `b"`,
		"FETCH 1 (" + strings.Repeat("BODY.PEEK[] ", 4000) + "FLAGS)",
		"STORE 1 +FLAGS (" + strings.TrimSpace(strings.Repeat("k1 ", 5000)) + ")",
	} {
		if _, err := h.mad.do(command); err == errKilled {
			h.Logf("%.40s ended the session", command)
			h.mad = h.signedIn("mad")
			h.mad.do("SELECT INBOX")
		}
	}
	if _, err := h.mad.do("NOOP"); err != nil {
		h.Error(err)
	}
}

// slowReaders ask for a large message again and again, and read nothing of it.
func (h *hostile) slowReaders() {
	for n := range 20 * h.times {
		h.open(n, h.server.imap, fmt.Sprintf("a LOGIN %s %q\r\nb SELECT INBOX\r\n", address("mad"), password)+
			strings.Repeat("c FETCH 1:* BODY.PEEK[]\r\n", 1+n%5))
	}
}

// halfMessages hand in large messages and stop before their end.
func (h *hostile) halfMessages() {
	part := strings.Repeat(strings.Repeat("x", 70)+"\r\n", 15_000)
	for n := range 20 * h.times {
		h.open(n, h.server.imap, fmt.Sprintf("a LOGIN %s %q\r\nb APPEND INBOX {12000000+}\r\n", address("mad"), password)+part)
		h.open(n, h.server.smtp, "EHLO x.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<"+address("ann")+">\r\nDATA\r\n"+part)
	}
}
