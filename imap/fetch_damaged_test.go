package imap

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"tripost/store/engine"
)

// TestFetchDamaged fetches messages of which one has a damaged summary: the others
// are given, and the client is told.
func TestFetchDamaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	for i := range 5 {
		w.deliver("ann/INBOX", fmt.Sprintf("Subject: message %d\r\n\r\ntext\r\n", i+1))
	}
	body := w.open("ann/INBOX").At(2).Body
	key := binary.BigEndian.AppendUint64([]byte{'P'}, uint64(body))
	var whole []byte
	put := func(value func() []byte) {
		t.Helper()
		must(t, w.store.Engine().Update(w.ctx, func(tx engine.Tx) error {
			kept, err := tx.Get(key)
			whole = append([]byte(nil), kept...)
			tx.Put(key, value())
			return err
		}))
	}
	put(func() []byte { return whole[:1:1] })
	before := whole
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
	put(func() []byte { return before })
}
