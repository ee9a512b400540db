package pop

import "testing"

// A client that looks for new mail, lists it and leaves has changed nothing: no
// commit, and what is \Recent stays so for IMAP.
func TestPollWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.deliver("ann/INBOX", "one\r\n")
	before := w.store.Engine().Status().Updates
	c := w.signedIn("ann", annPassword)
	c.do("STAT")
	c.list("UIDL")
	c.do("TOP 1 0")
	c.rest()
	c.do("QUIT")
	c.nc.Close()
	w.stop()
	if n := w.store.Engine().Status().Updates - before; n != 0 {
		t.Errorf("the session made %d changes", n)
	}
	w.ctx = t.Context()
	if v := w.open("ann/INBOX"); v.Recent() != 1 {
		t.Errorf("%d messages are recent", v.Recent())
	}
}
