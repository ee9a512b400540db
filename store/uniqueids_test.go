package store_test

import (
	"fmt"
	"strings"
	"testing"

	"tripost/store"
	"tripost/store/engine"
)

// keepAs appends messages with unique-ids of their own.
func keepAs(t *testing.T, s *store.Store, id store.Identity, ref store.MailboxRef, ids ...string) {
	t.Helper()
	var list []store.Upload
	for _, unique := range ids {
		up := uploads(t, s, 0, mail(unique))
		up[0].UniqueID = unique
		list = append(list, up...)
	}
	if _, err := s.AppendAll(ctx, id, ref, list); err != nil {
		t.Fatal(err)
	}
}

// uniqueIDs lists the unique-ids of a mailbox; V stands for its UIDVALIDITY.
func uniqueIDs(t *testing.T, s *store.Store, id store.Identity, ref store.MailboxRef) string {
	t.Helper()
	v, err := s.OpenQuietly(ctx, id, ref)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	return viewIDs(t, v)
}

func viewIDs(t *testing.T, v *store.View) string {
	t.Helper()
	if err := v.Load(ctx); err != nil {
		t.Fatal(err)
	}
	var list []string
	for seq := 1; seq <= v.Len(); seq++ {
		list = append(list, string(v.AppendUniqueID(nil, v.At(seq).UID)))
	}
	return strings.ReplaceAll(strings.Join(list, " "), fmt.Sprint(v.State().UIDValidity)+".", "V.")
}

// TestUniqueIDsKept keeps the unique-ids that can be kept: the others are the
// ordinary ones.
func TestUniqueIDsKept(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	_, st, err := s.Mailbox(ctx, ann, inbox)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 70)
	own := fmt.Sprintf("%d.900", st.UIDValidity)
	keepAs(t, s, ann, inbox, "a", "", "a", long, long+"x", "with space", "bell\a", "ü", "!~", own, own+".1", "1.2")
	equal(t, "unique-ids", uniqueIDs(t, s, ann, inbox), "a V.2 V.3 "+long+" V.5 V.6 V.7 V.8 !~ V.10 V.11 1.2")
}

// TestUniqueIDsFollowMessages keeps unique-ids through what becomes of messages
// and their mailbox.
func TestUniqueIDsFollowMessages(t *testing.T) {
	s, ann := open(t)
	inbox, other := box(ann, "INBOX"), box(ann, "other")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Create(ctx, ann, other, store.CreateOptions{}))
	keepAs(t, s, ann, inbox, "a", "", "b", "c")
	v := openView(t, s, ann, inbox)
	_, err := v.Copy(ctx, span(1, 2), other)
	must(err)
	_, err = v.Copy(ctx, span(1, 1), inbox)
	must(err)
	_, err = v.Move(ctx, span(3, 3), other)
	must(err)
	equal(t, "after copies and a move", uniqueIDs(t, s, ann, inbox), "a V.2 c V.5")
	equal(t, "in the other", uniqueIDs(t, s, ann, other), "V.1 V.2 V.3")

	session, err := s.OpenQuietly(ctx, ann, inbox)
	must(err)
	defer session.Close()
	_, err = v.Expunge(ctx, span(1, 2), true)
	must(err)
	equal(t, "for who opened it before", viewIDs(t, session), "a V.2 c V.5")
	equal(t, "after an expunge", uniqueIDs(t, s, ann, inbox), "c V.5")
	restoreAll(t, s, ann.Account)
	equal(t, "restored", uniqueIDs(t, s, ann, inbox), "c V.5 a V.7")

	// Another message has taken the unique-id while it was away.
	_, err = v.Expunge(ctx, span(4, 4), true)
	must(err)
	keepAs(t, s, ann, inbox, "c", "b")
	restoreAll(t, s, ann.Account)
	equal(t, "restored too late", uniqueIDs(t, s, ann, inbox), "V.5 a V.7 c b V.10")

	must(s.Rename(ctx, ann, inbox, "old"))
	equal(t, "renamed", uniqueIDs(t, s, ann, box(ann, "old")), "V.5 a V.7 c b V.10")
	equal(t, "a new INBOX", uniqueIDs(t, s, ann, inbox), "")
	must(s.Delete(ctx, ann, box(ann, "old")))
	must(s.Tidy(ctx))
	restoreAll(t, s, ann.Account)
	equal(t, "restored with their mailbox", uniqueIDs(t, s, ann, box(ann, "old")), "V.1 a V.3 c b V.6")
	must(s.SkipAhead(ctx))
	equal(t, "from an older copy", uniqueIDs(t, s, ann, box(ann, "old")), "V.1 a V.3 c b V.6")
}

// restoreAll puts back all that an account can restore.
func restoreAll(t *testing.T, s *store.Store, a store.AccountID) {
	t.Helper()
	var list []store.Expunged
	for x, err := range s.Expunged(ctx, a) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, x)
	}
	if _, err := s.Restore(ctx, a, list); err != nil {
		t.Fatal(err)
	}
}

// TestUniqueIDsOfAPart shows an individual the unique-ids of what is for it.
func TestUniqueIDsOfAPart(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	list := uploads(t, s, 0, "X-Real-To: jim\r\n\r\n", "X-Real-To: joe\r\n\r\n", "X-Real-To: jim\r\n\r\n")
	for i := range list {
		list[i].UniqueID = fmt.Sprint("id-", i)
	}
	if _, err := s.AppendAll(ctx, ann, inbox, list); err != nil {
		t.Fatal(err)
	}
	v, err := s.OpenIndividual(ctx, ann, inbox, "jim", false)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	equal(t, "jim's", viewIDs(t, v), "id-0 id-2")
}

// TestAppendUniqueIDAllocates asks for unique-ids of both kinds without memory for
// each.
func TestAppendUniqueIDAllocates(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	keepAs(t, s, ann, inbox, "a", "", "b")
	v, err := s.OpenQuietly(ctx, ann, inbox)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	line := make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() {
		for u := store.UID(1); u <= 3; u++ {
			line = v.AppendUniqueID(line[:0], u)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestCheckUniqueIDs finds unique-ids that do not agree with their messages.
func TestCheckUniqueIDs(t *testing.T) {
	t.Parallel()
	s, e := damaged(t, store.Options{})
	ann := newAccount(t, s, "ann")
	keepAs(t, s, ann, box(ann, "INBOX"), "a", "b")
	part := []byte{'A', 0, 0, 0, 0, 0, 0, 0, byte(ann.Account), 0x10, 0, 0, 0, 1}
	first := append(append([]byte(nil), part...), 6, 0, 0, 0, 1)
	holder := append(append([]byte(nil), part...), 7, 'a')
	for _, c := range []struct {
		key, value []byte
		faults     int
	}{
		{first, nil, 1},                                     // not there, though the index and the state tell of it
		{first, []byte{1, 1, 'b'}, 1},                       // what another has
		{first, []byte{1, 1, 0}, 1},                         // not a unique-id
		{first, []byte{1, 1, 'a'}, 0},                       // as it was
		{holder, []byte{1, 2}, 1},                           // of another message
		{holder, nil, 2},                                    // not there: message and number
		{holder, []byte{1, 1}, 0},                           // as it was
		{append(part, 6, 0, 0, 0, 9), []byte{1, 1, 'a'}, 3}, // of no message, and one too many
	} {
		err := e.Update(ctx, func(tx engine.Tx) error {
			if tx.Delete(c.key); c.value != nil {
				tx.Put(c.key, c.value)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var faults []string
		_, err = s.Check(ctx, nil, func(f engine.Fault) { faults = append(faults, f.Text) })
		if err != nil || len(faults) != c.faults {
			t.Errorf("key %x = %x: faults %q, %v; want %d", c.key, c.value, faults, err, c.faults)
		}
	}
}
