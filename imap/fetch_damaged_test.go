package imap

import (
	"fmt"
	"strings"
	"testing"
)

// TestFetchDamaged fetches messages of which one has a damaged summary: the others
// are given, and the client is told.
func TestFetchDamaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	for i := range 5 {
		w.deliver("ann/INBOX", fmt.Sprintf("Subject: message %d\r\n\r\ntext\r\n", i+1))
	}
	w.do("spoil ann/INBOX 2")
	c := w.connect("ann")
	c.do("SELECT INBOX")
	for _, items := range []string{"ENVELOPE", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "(BODYSTRUCTURE BODY.PEEK[])", "(EMAILID THREADID)"} {
		responses, done := c.try("FETCH 1:* " + items)
		if done.word(0) != "NO" || done.word(1) != "CORRUPTION" {
			t.Errorf("%s: completion %v", items, done)
		}
		if got := strings.Join(fetchedNumbers(responses), " "); got != "1 3 4 5" {
			t.Errorf("%s: of 5 messages were told %s", items, got)
		}
	}
	c.do("FETCH 2 (UID FLAGS BODY.PEEK[])") // its octets are whole
	w.do("mend")
}
