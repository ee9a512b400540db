package e2e

import (
	"strings"
	"testing"
)

// TestHold empties a mailbox by POP: its owner is told at the next sign-in, and
// the messages can be restored in their order.
func TestHold(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann")
	s.run("account", "set", address("ann"), "pop_hold=2:50")
	s.deliver("ann", 4)
	pop := signInPOP(t, s, address("ann"))
	for i := 1; i <= 3; i++ {
		pop.send("DELE %d", i)
		pop.want("+OK")
	}
	pop.send("QUIT")
	pop.want("+OK")
	s.wantSubjects(t, "ann", "INBOX", "letter 4")

	pop = dialText(t, s.pop)
	pop.want("+OK")
	pop.send("USER %s", address("ann"))
	pop.want("+OK")
	pop.send("PASS %s", password)
	if line := pop.want("-ERR [SYS/TEMP]"); !strings.Contains(line, "3 of 4 messages were removed from INBOX") {
		t.Errorf("sign-in says %q", line)
	}
	s.run("undelete", "restore", address("ann"))
	s.wantSubjects(t, "ann", "INBOX", "letter 4", "letter 1", "letter 2", "letter 3")
}
