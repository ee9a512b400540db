package e2e

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
)

// proxyHost is the host that may say for whom it connects.
const proxyHost = "127.0.200.1"

// appends has a hundred sessions hand in a message each at the same time, whole:
// of 2 MB, in the long form of the largest size that is taken.
func (h *hostile) appends() {
	h.Helper()
	size := 2_000_000
	if h.times > 1 {
		size = 12_000_000
	}
	text := "Subject: large\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", size/72)
	var all sync.WaitGroup
	for n := range 100 {
		c := h.from(n, h.server.imap)
		all.Go(func() {
			defer c.Close()
			fmt.Fprintf(c, "a LOGIN %s %q\r\nb APPEND INBOX {%d+}\r\n%s\r\n", address("many"), password, len(text), text)
			if line, err := lineWith(c, "b "); err != nil || !strings.HasPrefix(line, "b OK") && !strings.HasPrefix(line, "b NO [LIMIT]") {
				h.Errorf("APPEND of session %d: %q, %v", n, line, err)
			}
		})
	}
	all.Wait()
}

// lineWith reads lines to one that begins so.
func lineWith(c net.Conn, prefix string) (string, error) {
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil || strings.HasPrefix(line, prefix) {
			return line, err
		}
	}
}

// guess connects for a client and tries a password by POP. It returns the answer
// that comes.
func (h *hostile) guess(client, text string) func() (string, error) {
	h.Helper()
	c := h.fromHost(net.ParseIP(proxyHost), h.server.pop)
	h.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "PROXY TCP4 %s 198.51.100.1 4711 110\r\nUSER %s\r\nPASS %s\r\n", client, address("ann"), text)
	return func() (string, error) {
		in := bufio.NewReader(c)
		for _, want := range []string{"+OK", "+OK"} {
			if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
				return line, fmt.Errorf("before the password: %v", err)
			}
		}
		return in.ReadString('\n')
	}
}

// guesses tries passwords from many hosts and, again and again, from one, which
// is made to wait. While they wait the owner, who is elsewhere, gets in; none of
// them does.
func (h *hostile) guesses() {
	h.Helper()
	var all []func() (string, error)
	for n := range 40 * h.times {
		all = append(all, h.guess(fmt.Sprintf("192.0.2.%d", 1+n%200), fmt.Sprint("guess", n)))
	}
	for n := range 30 {
		all = append(all, h.guess("203.0.113.7", fmt.Sprint("stubborn", n)))
	}
	line, err := h.guess("198.51.100.77", password)()
	if err != nil || !strings.HasPrefix(line, "+OK") && !strings.HasPrefix(line, "-ERR [SYS/TEMP] ALERT: ") {
		h.Errorf("the owner: %q, %v", line, err)
	}
	for n, answer := range all {
		if line, err := answer(); err != nil || !strings.HasPrefix(line, "-ERR [AUTH]") {
			h.Errorf("guess %d: %q, %v", n, line, err)
		}
	}
}
