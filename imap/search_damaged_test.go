package imap

import (
	"strings"
	"testing"

	"tripost/syslog"
)

// TestSearchDamagedLogged has each search that passes over a damaged message say so
// in the log, once. What clients are told is in the dialogue search-damaged.
func TestSearchDamagedLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	log := w.logTo(syslog.Failure)
	for range 3 {
		w.deliver("ann/INBOX", "Subject: message\r\n\r\ntext\r\n")
	}
	w.do("spoil ann/INBOX 2")
	c := w.connect("ann")
	c.do("SELECT INBOX")
	c.do("SEARCH RETURN (MIN MAX) SUBJECT message")
	c.do("ESEARCH IN (SELECTED PERSONAL) BODY text")
	c.do("SORT (SUBJECT FROM) UTF-8 ALL")
	c.do("SEARCH UID 1:*")
	w.do("mend")
	c.do("SEARCH SUBJECT message")
	w.cancel()
	text := log()
	if n := strings.Count(text, `search passes over message 2 of "INBOX": its record: `); n != 3 {
		t.Errorf("logged %d times, by three commands:\n%s", n, text)
	}
}
