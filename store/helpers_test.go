package store_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/storetest"
)

// ctx is what tests call the store with: none of them is cancelled.
var ctx = context.Background()

const (
	seen    = store.FlagSeen
	flagged = store.FlagFlagged
	deleted = store.FlagDeleted
)

// newAccount makes an account and the identity of its owner.
func newAccount(t testing.TB, s *store.Store, name string) store.Identity {
	t.Helper()
	id := store.Identity{Name: name + "@company.test"}
	err := s.Update(ctx, func(tx *store.Tx) (err error) {
		id.Account, err = tx.CreateAccount()
		return err
	})
	if err != nil {
		t.Fatalf("creating account %s: %v", name, err)
	}
	return id
}

// open is a store with one account, and its owner.
func open(t testing.TB) (*store.Store, store.Identity) {
	t.Helper()
	s := storetest.New(t)
	return s, newAccount(t, s, "ann")
}

func box(id store.Identity, name string) store.MailboxRef {
	return store.MailboxRef{Account: id.Account, Name: name}
}

// mail returns a small message with a subject.
func mail(subject string) string {
	return "From: Bob <bob@other.test>\r\nTo: ann@company.test\r\nSubject: " + subject +
		"\r\nDate: Mon, 2 Mar 2026 10:00:00 +0000\r\n\r\nHello\r\n"
}

// appendTo appends a message and returns its UID.
func appendTo(t testing.TB, s *store.Store, id store.Identity, ref store.MailboxRef, text string, f store.FlagSet) store.UID {
	t.Helper()
	done, err := tryAppend(s, id, ref, text, f)
	if err != nil {
		t.Fatal(err)
	}
	return done.UID
}

func tryAppend(s *store.Store, id store.Identity, ref store.MailboxRef, text string, f store.FlagSet) (store.Appended, error) {
	d, err := s.Draft(ctx, int64(len(text)))
	if err != nil {
		return store.Appended{}, err
	}
	defer d.Close()
	if _, err := io.WriteString(d, text); err != nil {
		return store.Appended{}, err
	}
	return s.Append(ctx, id, ref, d, f, time.Time{})
}

// fill appends n messages in few transactions, all with one body.
func fill(t testing.TB, s *store.Store, id store.Identity, ref store.MailboxRef, n int) {
	t.Helper()
	d, err := s.Draft(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	io.WriteString(d, mail("one of many"))
	var body store.Body
	if err := s.Update(ctx, func(tx *store.Tx) (err error) {
		body, err = tx.Keep(d)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for n > 0 {
		chunk := min(n, 5000)
		if err := s.Update(ctx, func(tx *store.Tx) error {
			for range chunk {
				if _, err := tx.Append(id, ref, store.NewMessage{Body: body}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		n -= chunk
	}
	if err := s.Update(ctx, func(tx *store.Tx) error { return tx.Drop(body) }); err != nil {
		t.Fatal(err)
	}
}

// openView opens a mailbox and reads its messages.
func openView(t testing.TB, s *store.Store, id store.Identity, ref store.MailboxRef) *store.View {
	t.Helper()
	v := openOnly(t, s, id, ref)
	if err := v.Load(ctx); err != nil {
		t.Fatal(err)
	}
	return v
}

// openOnly opens a mailbox and reads nothing more.
func openOnly(t testing.TB, s *store.Store, id store.Identity, ref store.MailboxRef) *store.View {
	t.Helper()
	v, err := s.Open(ctx, id, ref, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func refresh(t testing.TB, v *store.View, hold bool) store.Changes {
	t.Helper()
	c, err := v.Refresh(ctx, hold)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// uids returns a set of single UIDs.
func uids(list ...store.UID) store.UIDSet {
	var s store.UIDSet
	for _, u := range list {
		s.Add(u, u)
	}
	return s
}

// span is the set of the UIDs lo to hi.
func span(lo, hi store.UID) store.UIDSet { return store.UIDSet{{Lo: lo, Hi: hi}} }

// show writes a view's messages as "uid[flags]", those gone with a '-'.
func show(v *store.View) string {
	var b strings.Builder
	for seq := 1; seq <= v.Len(); seq++ {
		m := v.At(seq)
		if seq > 1 {
			b.WriteByte(' ')
		}
		if v.Gone(seq) {
			b.WriteByte('-')
		}
		fmt.Fprintf(&b, "%d", m.UID)
		if names := flagNames(v.Keywords(), m.Flags); len(names) > 0 {
			fmt.Fprintf(&b, "[%s]", strings.Join(names, " "))
		}
	}
	return b.String()
}

func flagNames(keywords []string, f store.Flags) []string {
	var names []string
	for i, n := range []string{"S", "A", "F", "D", "T"} {
		if f&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	var kw []string
	for i, k := range keywords {
		if f&(1<<(store.FirstKeyword+i)) != 0 {
			kw = append(kw, k)
		}
	}
	slices.Sort(kw)
	return append(names, kw...)
}

// names lists an account's mailboxes: "/" behind directory-only ones.
func names(t testing.TB, s *store.Store, id store.Identity, a store.AccountID) string {
	t.Helper()
	list, err := s.Mailboxes(ctx, id, a)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range list {
		n := m.Name
		if !m.Selectable {
			n += "/"
		}
		out = append(out, n)
	}
	return strings.Join(out, " ")
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// splitACL reads "id rights|id rights".
func splitACL(acl string) (entries [][2]string) {
	for e := range strings.SplitSeq(acl, "|") {
		if id, rights, ok := strings.Cut(e, " "); ok {
			entries = append(entries, [2]string{id, rights})
		}
	}
	return entries
}
