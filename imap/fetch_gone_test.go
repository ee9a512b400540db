package imap

import (
	"fmt"
	"testing"
	"time"
)

// TestFetchGone fetches messages of which one has been removed for good, while it
// keeps its number in this session: the others are given.
func TestFetchGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	for i := range 5 {
		w.deliver("ann/INBOX", fmt.Sprintf("Subject: message %d\r\n\r\ntext\r\n", i+1))
	}
	for _, items := range []string{"ENVELOPE", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "(BODYSTRUCTURE BODY.PEEK[])"} {
		c := w.connect("ann")
		c.do("SELECT INBOX")
		n := len(c.do("FETCH 1:* FLAGS"))
		v := w.open("ann/INBOX")
		_, err := v.Expunge(w.ctx, uids(t, fmt.Sprint(v.At(2).UID)), true)
		must(t, err)
		v.Close()
		w.later.Add(int64(100 * time.Hour))
		must(t, w.store.Tidy(w.ctx))
		responses, done := c.try("FETCH 1:* " + items)
		if done.word(0) != "NO" || done.word(1) != "EXPUNGEISSUED" {
			t.Errorf("%s: completion %v", items, done)
		}
		told := fetchedNumbers(responses)
		if len(told) != n-1 || told[0] != "1" || told[1] != "3" {
			t.Errorf("%s: of %d messages were told %v", items, n, told)
		}
	}
}

// fetchedNumbers returns the sequence numbers of the FETCH responses.
func fetchedNumbers(responses []response) (told []string) {
	for _, r := range responses {
		if r.word(1) == "FETCH" {
			told = append(told, r.word(0))
		}
	}
	return told
}
