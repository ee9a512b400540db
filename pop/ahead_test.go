package pop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"tripost/store"
)

// aheadWorld has a mailbox with n messages that differ, and a session of it that
// only opens messages.
func aheadWorld(t *testing.T, n int) (*world, *session) {
	t.Helper()
	w := newWorld(t, true)
	for i := range n {
		w.deliver("ann/INBOX", numbered(i+1))
	}
	w.run()
	s := &session{Server: w.srv, drop: openMaildrop(w.open("ann/INBOX"))}
	must(t, s.drop.load(w.ctx))
	t.Cleanup(func() { s.ahead.close() })
	return w, s
}

func numbered(n int) string { return fmt.Sprintf("Subject: %d\r\n\r\nbody\r\n", n) }

// opens opens message n with so many commands waiting and compares the octets.
func (s *session) opens(w *world, n, commands int) {
	w.t.Helper()
	b, err := s.openBody(w.ctx, n, commands*shortRETR)
	must(w.t, err)
	defer b.Close()
	var got bytes.Buffer
	_, err = b.WriteTo(&got)
	must(w.t, err)
	if want := numbered(n); !strings.HasSuffix(got.String(), want) {
		w.t.Errorf("message %d is %q, want %q", n, got.String(), want)
	}
}

// opened checks how many bodies are open for commands to come.
func (s *session) opened(w *world, want int) {
	w.t.Helper()
	if got := len(s.ahead.bodies); got != want {
		w.t.Errorf("%d bodies are open ahead, want %d", got, want)
	}
}

func TestAhead(t *testing.T) {
	t.Parallel()
	w, s := aheadWorld(t, 40)
	s.opens(w, 1, 0) // nothing waits
	s.opened(w, 0)
	s.opens(w, 2, 3)
	s.opened(w, 3)
	for n := 3; n <= 5; n++ {
		s.opens(w, n, 0)
	}
	s.opened(w, 0)
	s.opens(w, 6, 1000)
	s.opened(w, aheadMost-1)
	s.opens(w, 8, 1000) // not in order
	s.opened(w, 0)
	s.drop.mark(12)
	s.opens(w, 9, 1000)
	s.opened(w, 2) // up to the one that is marked
	s.opens(w, 38, 0)
	s.opens(w, 39, 1000)
	s.opened(w, 1) // up to the last
	s.opens(w, 40, 1000)
	s.opens(w, 1, 1000)
	s.opened(w, 0)
}

// TestAheadRemoved: what another session removed is not sent, although its body
// was opened before.
func TestAheadRemoved(t *testing.T) {
	t.Parallel()
	w, s := aheadWorld(t, 10)
	s.opens(w, 1, 0)
	s.opens(w, 2, 1000)
	s.opened(w, 8)
	w.expunge("ann/INBOX", "4")
	s.opens(w, 3, 1000)
	if _, err := s.openBody(w.ctx, 4, 1000); !errors.Is(err, store.ErrNoMessage) {
		t.Errorf("opening a message that is gone: %v", err)
	}
	for n := 5; n <= 10; n++ {
		s.opens(w, n, 1000)
		s.opened(w, 0)
	}
}

// TestAheadPipelined asks for all messages in one write, one of them in between
// out of its order.
func TestAheadPipelined(t *testing.T) {
	t.Parallel()
	const n = 50
	w := newWorld(t, false)
	var request strings.Builder
	var asked []int
	for i := 1; i <= n; i++ {
		w.deliver("ann/INBOX", numbered(i))
		asked = append(asked, i)
		if i == n/2 {
			asked = append(asked, 3)
		}
	}
	for _, i := range asked {
		fmt.Fprintf(&request, "RETR %d\r\n", i)
	}
	c := w.signedIn("ann", annPassword)
	_, err := io.WriteString(c.nc, request.String())
	must(t, err)
	for _, i := range asked {
		var got bytes.Buffer
		for line := ""; line != ".\r\n"; got.WriteString(line) {
			line, err = c.r.ReadString('\n')
			must(t, err)
		}
		if want := numbered(i) + ".\r\n"; !strings.HasSuffix(got.String(), want) {
			t.Errorf("RETR %d is answered %q, want %q at the end", i, got.String(), want)
		}
	}
}
