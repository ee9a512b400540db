package store_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/engine"
	"tripost/store/engine/local"
	"tripost/store/storetest"
)

// to is a message for individuals of a shared account.
func to(field, subject string) string {
	if field == "" {
		return mail(subject)
	}
	return "X-Real-To: " + field + "\r\n" + mail(subject)
}

// part opens what a mailbox has for one individual.
func part(t testing.TB, s *store.Store, id store.Identity, ref store.MailboxRef, name string) *store.View {
	t.Helper()
	v, err := s.OpenIndividual(ctx, id, ref, name, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// TestIndividualNames holds what a field lists against the names that are shown
// the message.
func TestIndividualNames(t *testing.T) {
	s, ann := open(t)
	for i, c := range []struct{ field, name, want string }{
		{"jim", "jim", "1"},
		{"JIM", "jim", "1"},
		{"jim", "Jim", "1"},
		{"jim@club.test", "jim", "1"},
		{"jim@club.test", "jim@CLUB.test", "1"},
		{"kate, jim , lee", "jim", "1"},
		{"<jim@club.test>", "jim", "1"},
		{"kate,\r\n\tjim", "jim", "1"},
		{"kate\r\nx-real-to: jim", "jim", "1"},
		{"jim\r\nX-Real-To: jim", "jim", "1"},
		{"STRASSE, K", "\u212a", "1"}, // KELVIN SIGN is another case of k
		{"jérôme", "JÉRÔME", "1"},
		{"jimmy", "jim", ""},
		{"x@jim", "jim", ""},
		{"jim jim", "jim", ""},
		{"", "jim", ""},
		{"jim", "", ""},
		{"j\x00m", "j\x00m", ""},
		{"j\xffm", "j\xffm", ""},
		{strings.Repeat("x", 256), strings.Repeat("x", 256), ""},
		{strings.Repeat("x", 255), strings.Repeat("X", 255), "1"},
		{"x\r\nSubject: y\r\n\r\nX-Real-To: jim", "jim", ""}, // in the body
	} {
		ref := box(ann, fmt.Sprint("case", i))
		if err := s.Create(ctx, ann, ref, store.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		appendTo(t, s, ann, ref, "X-Real-To: "+c.field+"\r\n\r\nHello\r\n", store.FlagSet{})
		if got := show(part(t, s, ann, ref, c.name)); got != c.want {
			t.Errorf("%q of %q is shown %q, want %q", c.name, c.field, got, c.want)
		}
	}
}

// TestIndividualView follows one part of a mailbox through all that can happen
// to its messages.
func TestIndividualView(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	for i, field := range []string{"jim", "kate", "jim, kate", "", "jim@club.test", "kate"} {
		appendTo(t, s, ann, inbox, to(field, fmt.Sprint(i)), store.FlagSet{})
	}
	jim := part(t, s, ann, inbox, "Jim")
	equal(t, "jim's", show(jim), "1 3 5")
	st := jim.State()
	equal(t, "counters", fmt.Sprint(st.Exists, st.Unseen, st.Deleted, jim.Recent(), st.UIDNext), "3 3 0 3 7")
	var octets int64
	for seq := 1; seq <= jim.Len(); seq++ {
		octets += jim.At(seq).Size
	}
	equal(t, "octets", st.Octets, octets)

	whole := openView(t, s, ann, inbox)
	_, _, err := whole.SetFlags(ctx, span(1, 6), store.FlagsAdd, store.FlagSet{System: seen, Keywords: []string{"work"}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := whole.Expunge(ctx, span(2, 3), true); err != nil {
		t.Fatal(err)
	}
	appendTo(t, s, ann, inbox, to("jim", "new"), store.FlagSet{System: flagged})
	appendTo(t, s, ann, inbox, to("lee", "new"), store.FlagSet{})
	c := refresh(t, jim, true)
	equal(t, "while an expunge is held back", show(jim), "1[S work] -3 5[S work] 7[F]")
	equal(t, "pending", c.Pending, true)
	equal(t, "exists", jim.State().Exists, 3)
	c = refresh(t, jim, false)
	equal(t, "after", show(jim), "1[S work] 5[S work] 7[F]")
	equal(t, "expunged", fmt.Sprint(c.Expunged, c.ExpungedUIDs), "[2] 3")
	equal(t, "unseen", jim.State().Unseen, 1)

	// What is not the part's is not there for it.
	seqs, _, err := jim.SetFlags(ctx, span(1, 9), store.FlagsAdd, store.FlagSet{System: deleted}, 0)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "marked", fmt.Sprint(seqs, jim.State().Deleted), "[1 2 3] 3")
	if _, err := jim.Detail(ctx, 4); !errors.Is(err, store.ErrNoMessage) {
		t.Errorf("another's message: %v", err)
	}
	if err := s.Create(ctx, ann, box(ann, "kept"), store.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	res, err := jim.Copy(ctx, span(1, 9), box(ann, "kept"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "copied", res.Source.String(), "1,5,7")
	equal(t, "the copies", show(part(t, s, ann, box(ann, "kept"), "jim")), "1[S D work] 2[S D work] 3[F D]")
	equal(t, "of somebody else", show(part(t, s, ann, box(ann, "kept"), "kate")), "")

	refresh(t, whole, false)
	if _, _, err := whole.SetFlags(ctx, span(1, 9), store.FlagsAdd, store.FlagSet{System: deleted}, 0); err != nil {
		t.Fatal(err)
	}
	gone, err := jim.Expunge(ctx, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "expunged", gone.String(), "1,5,7")
	refresh(t, whole, false)
	equal(t, "left to others", show(whole), "4[S D work] 6[S D work] 8[D]")
	if gone, err := jim.Expunge(ctx, span(4, 8), true); err != nil || len(gone) > 0 {
		t.Errorf("expunged %v of others, %v", gone, err)
	}

	// Restored, moved, and gone with the mailbox.
	var lost []store.Expunged
	for x, err := range s.Expunged(ctx, ann.Account) {
		if err != nil {
			t.Fatal(err)
		}
		lost = append(lost, x)
	}
	if _, err := s.Restore(ctx, ann.Account, lost); err != nil {
		t.Fatal(err)
	}
	jim = part(t, s, ann, inbox, "jim")
	equal(t, "restored", show(jim), "9[S work] 11[S work] 12[S work] 13[F]")
	if _, err := jim.Move(ctx, span(1, 11), box(ann, "kept")); err != nil {
		t.Fatal(err)
	}
	refresh(t, jim, false)
	equal(t, "moved", show(jim), "12[S work] 13[F]")
	equal(t, "to", part(t, s, ann, box(ann, "kept"), "jim").Len(), 5)
	if err := s.Delete(ctx, ann, box(ann, "kept")); err != nil {
		t.Fatal(err)
	}
}

// TestIndividualsFilled opens a store of the schema before there were indexes.
func TestIndividualsFilled(t *testing.T) {
	dir := t.TempDir()
	now := func() time.Time { return time.Unix(1_800_000_000, 0) }
	e, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(ctx, e, store.Options{IndividualField: "X-None", Undelete: time.Hour, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	ann := newAccount(t, s, "ann")
	inbox := box(ann, "INBOX")
	for range 3 {
		appendTo(t, s, ann, inbox, to("jim", "x"), store.FlagSet{})
		fill(t, s, ann, inbox, 600)
	}
	v, err := s.Open(ctx, ann, inbox, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Expunge(ctx, span(1, 1), true); err != nil {
		t.Fatal(err)
	}
	v.Close()
	v, err = s.OpenIndividual(ctx, ann, inbox, "jim", true)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "before", show(v), "")
	v.Close()
	if err := e.Update(ctx, func(tx engine.Tx) error {
		tx.Put([]byte{'S', 0}, binary.AppendUvarint([]byte{1}, 1))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = storetest.Open(t, dir, store.Options{Undelete: time.Hour, Now: now})
	equal(t, "filled", show(part(t, s, ann, inbox, "jim")), "602 1203")
	for x, err := range s.Expunged(ctx, ann.Account) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Restore(ctx, ann.Account, []store.Expunged{x}); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "what was expunged before", show(part(t, s, ann, inbox, "jim")), "602 1203 1804")
}

// TestIndividualsRemoved removes a mailbox where nothing is kept for restoring: no
// index of an individual is left of it. The check of the store looks at that.
func TestIndividualsRemoved(t *testing.T) {
	s := storetest.Open(t, t.TempDir(), store.Options{})
	ann := newAccount(t, s, "ann")
	ref := box(ann, "club")
	if err := s.Create(ctx, ann, ref, store.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	appendTo(t, s, ann, ref, to("jim, kate", "x"), store.FlagSet{})
	if err := s.Delete(ctx, ann, ref); err != nil {
		t.Fatal(err)
	}
	storetest.Check(t, s)
}

// BenchmarkOpenIndividual opens and reads what is for one of the people who share
// a mailbox of 100,000 messages, and for comparison a mailbox that holds just that.
func BenchmarkOpenIndividual(b *testing.B) {
	s := benchStore(b)
	ann := newAccount(b, s, "ann")
	fill(b, s, ann, box(ann, "INBOX"), 100_000)
	if err := s.Create(ctx, ann, box(ann, "alone"), store.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	v := openView(b, s, ann, box(ann, "INBOX"))
	for _, n := range []int{10, 100, 1000} {
		name := fmt.Sprint("jim", n)
		alone := box(ann, fmt.Sprint("alone", n))
		if err := s.Create(ctx, ann, alone, store.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
		for i := range n {
			appendTo(b, s, ann, alone, to(name, "x"), store.FlagSet{})
			appendTo(b, s, ann, box(ann, "INBOX"), to(name, "x"), store.FlagSet{})
			if i%10 == 0 {
				if _, err := v.Copy(ctx, span(1, 100), box(ann, "INBOX")); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.Run(fmt.Sprintf("part/%d", n), func(b *testing.B) {
			for b.Loop() {
				v, err := s.OpenIndividual(ctx, ann, box(ann, "INBOX"), name, false)
				if err != nil || v.Len() != n {
					b.Fatal(v, err)
				}
				v.Close()
			}
		})
		b.Run(fmt.Sprintf("alone/%d", n), func(b *testing.B) {
			for b.Loop() {
				v, err := s.OpenQuietly(ctx, ann, alone)
				if err == nil {
					err = v.Load(ctx)
				}
				if err != nil || v.Len() != n {
					b.Fatal(v, err)
				}
				v.Close()
			}
		})
	}
}
