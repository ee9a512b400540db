package pop

import (
	"testing"

	"tripost/store"
	"tripost/wire"
)

// A listing costs nothing per line but the line, also where a message was imported
// with its unique-id.
func TestListingAllocations(t *testing.T) {
	w := newWorld(t, false)
	w.fill("ann/INBOX", "Subject: x\r\n\r\nbody\r\n", 5000)
	d, err := w.store.Draft(w.ctx, 0)
	must(t, err)
	defer d.Close()
	_, err = w.store.AppendAll(w.ctx, store.System(), w.mailbox("ann/INBOX"), []store.Upload{{Draft: d, UniqueID: "an-id"}})
	must(t, err)
	v, err := w.store.OpenQuietly(w.ctx, store.System(), w.mailbox("ann/INBOX"))
	must(t, err)
	defer v.Close()
	w.run()
	s := &session{Server: w.srv, texts: &english, conn: wire.NewConn(&discardConn{}, wire.Config{}), drop: openMaildrop(v)}
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
