package history

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tripost/store"
)

// uids makes a set.
func uids(lo, hi store.UID) store.UIDSet { return store.UIDSet{{Lo: lo, Hi: hi}} }

// TestStory follows a message through all that can be done with it.
func TestStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.deliver(w.draft("other@x", 1), "INBOX")
	id := fmt.Sprint(w.deliver(w.draft("a@x", 1), "INBOX"))
	if got, want := w.tells(id), "received delivered INBOX/2:there"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	step := func(what string, fn func(context.Context, *store.View) error, mailbox, want string) {
		t.Helper()
		w.pass(time.Minute)
		v := w.open(mailbox)
		must(t, v.Load(w.ctx))
		if err := fn(w.ctx, v); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := w.tells("<a@x>"); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	inbox, work := store.MailboxRef{Account: w.ann, Name: "INBOX"}, store.MailboxRef{Account: w.ann, Name: "work"}
	step("flags of all", func(ctx context.Context, v *store.View) error {
		_, _, err := v.SetFlags(ctx, uids(1, 2), store.FlagsAdd, store.FlagSet{Keywords: []string{"$x"}}, 0)
		return err
	}, "INBOX", "received delivered flags INBOX/2:there")
	step("flags that it has", func(ctx context.Context, v *store.View) error {
		_, _, err := v.SetFlags(ctx, uids(1, 2), store.FlagsAdd, store.FlagSet{Keywords: []string{"$x"}}, 0)
		return err
	}, "INBOX", "received delivered flags INBOX/2:there")
	step("flags of another", func(ctx context.Context, v *store.View) error {
		_, _, err := v.SetFlags(ctx, uids(1, 1), store.FlagsAdd, store.FlagSet{System: store.FlagSeen}, 0)
		return err
	}, "INBOX", "received delivered flags INBOX/2:there")
	step("copy", func(ctx context.Context, v *store.View) error {
		_, err := v.Copy(ctx, uids(1, 2), work)
		return err
	}, "INBOX", "received delivered flags copied INBOX/2:there work/2:there")
	step("expunge", func(ctx context.Context, v *store.View) error {
		_, err := v.Expunge(ctx, uids(2, 2), true)
		return err
	}, "INBOX", "received delivered flags copied expunged INBOX/2:restorable work/2:there")
	step("move back", func(ctx context.Context, v *store.View) error {
		_, err := v.Move(ctx, uids(2, 2), inbox)
		return err
	}, "work", "received delivered flags copied expunged moved INBOX/2:restorable INBOX/3:there")
	step("read", func(_ context.Context, v *store.View) error {
		v.Read(3)
		return nil
	}, "INBOX", "received delivered flags copied expunged moved read INBOX/2:restorable INBOX/3:there")
	w.pass(23 * time.Hour)
	for x, err := range w.store.Expunged(w.ctx, w.ann) {
		must(t, err)
		_, err := w.store.Restore(w.ctx, w.ann, []store.Expunged{x})
		must(t, err)
	}
	if got, want := w.tells(id), "received delivered flags copied expunged moved read restored INBOX/4:there INBOX/3:there"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	must(t, w.store.Delete(w.ctx, w.user(), work))
	if _, err := w.Explain(w.ctx, "b@x", w.name); !errors.Is(err, ErrNotFound) {
		t.Errorf("another message: %v", err)
	}
}

// TestSentences looks at how a deletion is told.
func TestSentences(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	id := fmt.Sprint(w.deliver(w.draft("a@x", 1), "INBOX"))
	must(t, w.store.Update(w.ctx, func(tx *store.Tx) error {
		return w.Attempted(tx, 1, &Attempt{At: w.now, Host: "other.test", Via: "mx.other.test [192.0.2.9]", Security: "TLS 1.3",
			Outcomes: []Outcome{{"y@other.test", "deferred", "451 later"}}})
	}))
	v := w.open("INBOX")
	_, err := v.Expunge(w.ctx, uids(1, 1), true)
	must(t, err)
	all, err := w.Explain(w.ctx, id, w.name)
	must(t, err)
	want := []string{
		"received by SMTP from 198.51.100.9, SMTPI-000001: from <x@client.test>, 0 octets, queue id 1",
		"delivered to INBOX of ann@company.test",
		"deferred for <y@other.test> by mx.other.test [192.0.2.9], TLS 1.3: 451 later",
		"deleted from INBOX over IMAP from 192.0.2.7 by ann@company.test (Reader), IMAP-000001",
	}
	for i, e := range all[0].Events {
		if i >= len(want) || e.Text != want[i] {
			t.Errorf("event %d: %s", i, e.Text)
		}
	}
}

// TestSameMessageID tells of all messages with one Message-ID.
func TestSameMessageID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.deliver(w.draft("a@x", 1), "INBOX")
	w.deliver(w.draft("a@x", 1), "work")
	if got, want := w.tells("a@x"), "received delivered INBOX/1:there received delivered work/1:there"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestLateBody records a large message, whose number is taken as it is written,
// after the indexes have passed it.
func TestLateBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	large := w.draft("large@x", 1<<20)
	w.deliver(w.draft("small@x", 1), "INBOX")
	must(t, w.index(w.ctx, 0))
	id := w.deliver(large, "INBOX")
	for _, by := range []string{"large@x", fmt.Sprint(id), "small@x"} {
		if got := w.tells(by); !strings.HasPrefix(got, "received delivered INBOX/") {
			t.Errorf("%s: %s", by, got)
		}
	}
}

// TestPurge keeps what is known of a message while it is there, and for a time
// after.
func TestPurge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Keep: 10 * 24 * time.Hour})
	stays := fmt.Sprint(w.deliver(w.draft("stays@x", 1), "INBOX"))
	goes := fmt.Sprint(w.deliver(w.draft("goes@x", 1), "INBOX"))
	must(t, w.store.Update(w.ctx, func(tx *store.Tx) error {
		return w.Attempted(tx, 2, &Attempt{At: w.now, Outcomes: []Outcome{{"y@other.test", "failed", "550 no"}}})
	}))
	v := w.open("INBOX")
	must(t, v.Load(w.ctx))
	_, _, err := v.SetFlags(w.ctx, uids(1, 2), store.FlagsAdd, store.FlagSet{System: store.FlagSeen}, 0)
	must(t, err)
	w.pass(100 * 24 * time.Hour)
	_, err = v.Expunge(w.ctx, uids(2, 2), true)
	must(t, err)
	must(t, w.Purge(w.ctx))
	if got := w.tells(goes); !strings.Contains(got, "restorable") {
		t.Errorf("just expunged: %s", got)
	}
	w.pass(2 * 24 * time.Hour)
	must(t, w.store.Tidy(w.ctx)) // the trash forgets it
	must(t, w.Purge(w.ctx))
	if got, want := w.tells(goes), "received delivered failed flags expunged INBOX/2:gone"; got != want {
		t.Errorf("gone from the trash: %s, want %s", got, want)
	}
	w.pass(9 * 24 * time.Hour)
	must(t, w.Purge(w.ctx))
	if got := w.tells(goes); !strings.Contains(got, "gone") {
		t.Errorf("before its time: %s", got)
	}
	w.pass(2 * 24 * time.Hour)
	must(t, w.Purge(w.ctx))
	if got := w.tells(goes); !strings.Contains(got, "nothing is known") {
		t.Errorf("after its time: %s", got)
	}
	if got, want := w.tells(stays), "received delivered flags INBOX/1:there"; got != want {
		t.Errorf("what is there: %s, want %s", got, want)
	}
	if got := w.keys(); got != "BCMQX" {
		t.Errorf("records %s are left", got)
	}
	must(t, w.store.Delete(w.ctx, store.System(), store.MailboxRef{Account: w.ann, Name: "work"}))
}

// TestLimit keeps no more actions of a mailbox than it may have, the latest.
func TestLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Limit: 10})
	id := fmt.Sprint(w.deliver(w.draft("a@x", 1), "INBOX"))
	v := w.open("INBOX")
	must(t, v.Load(w.ctx))
	for i := range 25 {
		op := store.FlagsAdd
		if i%2 == 1 {
			op = store.FlagsRemove
		}
		_, _, err := v.SetFlags(w.ctx, uids(1, 1), op, store.FlagSet{System: store.FlagSeen}, 0)
		must(t, err)
	}
	if n := strings.Count(w.tells(id), "flags"); n != 25 { // all of one moment
		t.Errorf("%d changes of flags are told", n)
	}
	must(t, w.Purge(w.ctx))
	if n := strings.Count(w.tells(id), "flags"); n != 10 {
		t.Errorf("%d changes of flags are kept", n)
	}
}

// TestReads bounds what is collected, and writes it as few records.
func TestReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	id := fmt.Sprint(w.deliver(w.draft("a@x", 1), "INBOX"))
	v := w.open("INBOX")
	for u := range store.UID(5000) {
		v.Read(u + 1)
		v.Read(1)
		v.Read(2*u + 100_000) // no two of a range
	}
	anonymous, err := w.store.Open(w.ctx, store.System(), store.MailboxRef{Account: w.ann, Name: "INBOX"}, true)
	must(t, err)
	defer anonymous.Close()
	anonymous.Read(1)
	if got, want := w.tells(id), "received delivered read INBOX/1:there"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if n := strings.Count(w.keys(), "M"); n != 1 {
		t.Errorf("%d records", n)
	}
	by := w.user()
	for i := range store.AccountID(maxPending + 10) {
		w.reads.Note(&by, i, 1, "INBOX", 1)
	}
	if all, lost := w.reads.take(); len(all) != maxPending || lost < 10 {
		t.Errorf("%d collected, %d lost", len(all), lost)
	}
}

// TestRunWritesAtItsEnd keeps what was read when the server is stopped.
func TestRunWritesAtItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.deliver(w.draft("a@x", 1), "INBOX")
	w.open("INBOX").Read(1)
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	must(t, w.Run(ctx))
	if n := strings.Count(w.keys(), "M"); n != 1 {
		t.Errorf("%d records", n)
	}
}

// TestDamage does not stop the rest.
func TestDamage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.deliver(w.draft("a@x", 1), "INBOX")
	w.deliver(w.draft("b@x", 1), "INBOX")
	must(t, w.store.Update(w.ctx, func(tx *store.Tx) error {
		for it, err := range tx.Range(store.SpaceHistory, []byte{keyBody}, []byte{keyBody + 1}) {
			if err != nil {
				return err
			}
			tx.Put(store.SpaceHistory, append([]byte(nil), it.Key...), []byte{9, 9})
			return nil
		}
		return nil
	}))
	if got := w.tells("b@x"); got != "received delivered INBOX/2:there" {
		t.Error(got)
	}
	must(t, w.Purge(w.ctx))
}

// FuzzRecords reads any octets as each kind of record.
func FuzzRecords(f *testing.F) {
	o := &Origin{QueueID: 3, MessageID: "a@x", Bodies: []store.Body{1}, Places: []Place{{Recipient: "y@z", Host: "z"}}}
	a := &store.Action{Op: store.OpCopy, UIDs: uids(3, 9), Targets: uids(1, 7)}
	f.Add(o.encode())
	f.Add(encodeAction(a))
	f.Add((&Attempt{Outcomes: []Outcome{{"a", "b", "c"}}}).encode())
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := decodeOrigin(b); err == nil {
			if _, err := decodeOrigin(o.encode()); err != nil {
				t.Fatalf("an origin cannot be read again: %v", err)
			}
			tell := teller{origin: o, name: func(store.AccountID) string { return "" }}
			tell.arrival()
		}
		for op := store.OpAppend; op <= store.OpRead; op++ {
			key := actionKey(&store.Action{Op: op}, 1)
			if a, err := decodeAction(key, b); err == nil {
				a.uids.Contains(5)
				a.target(5)
				(&teller{name: func(store.AccountID) string { return "" }}).done(a)
			}
		}
		_, _ = decodeAttempt(attemptKey(1, 2), b)
	})
}

// TestTarget maps a copied message to its copy.
func TestTarget(t *testing.T) {
	t.Parallel()
	a := action{uids: store.UIDSet{{Lo: 2, Hi: 3}, {Lo: 7, Hi: 9}}, targets: store.UIDSet{{Lo: 20, Hi: 20}, {Lo: 30, Hi: 33}}}
	for from, want := range map[store.UID]store.UID{2: 20, 3: 30, 7: 31, 8: 32, 9: 33, 1: 0, 4: 0, 10: 0} {
		if got, _ := a.target(from); got != want {
			t.Errorf("%d came to lie at %d, want %d", from, got, want)
		}
	}
}
