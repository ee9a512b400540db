package pop

import (
	"testing"

	"tripost/wire"
)

// A listing costs nothing per line but the line.
func TestListingAllocations(t *testing.T) {
	w := newWorld(t, false)
	w.fill("ann/INBOX", "Subject: x\r\n\r\nbody\r\n", 5000)
	w.run()
	s := &session{Server: w.srv, texts: &english, conn: wire.NewConn(&discardConn{}, wire.Config{}), drop: openMaildrop(w.open("ann/INBOX"))}
	for name, command := range map[string]func() error{
		"LIST": func() error { return s.list(w.ctx, "") },
		"UIDL": func() error { return s.uidl(w.ctx, "") },
	} {
		if n := testing.AllocsPerRun(10, func() { command() }); n > 20 {
			t.Errorf("%s of 5000 messages allocates %v times", name, n)
		}
	}
}

// discardConn takes everything.
type discardConn struct{ scriptConn }

func (*discardConn) Write(p []byte) (int, error) { return len(p), nil }
