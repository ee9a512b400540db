package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"tripost/store"
)

func entry(name, value string) store.MetadataEntry {
	return store.MetadataEntry{Name: name, Value: []byte(value)}
}

func metadataOf(t *testing.T, s *store.Store, id store.Identity, ref store.MailboxRef) []string {
	t.Helper()
	list, err := s.Metadata(ctx, id, ref)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name+"="+string(e.Value))
	}
	return names
}

// TestMetadata: shared entries are everybody's who may read, private ones each
// user's own; they move with the mailbox and go with it.
func TestMetadata(t *testing.T) {
	s, ann := open(t)
	bob := newAccount(t, s, "bob")
	ref := box(ann, "lists/info")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Create(ctx, ann, ref, store.CreateOptions{}))
	must(s.SetMetadata(ctx, ann, ref, []store.MetadataEntry{entry("/private/comment", "mine"), entry("/shared/comment", "ours")}))
	if _, err := s.Metadata(ctx, bob, ref); !errors.Is(err, store.ErrNoMailbox) {
		t.Errorf("who may not know of it: %v", err)
	}
	must(s.SetACL(ctx, ann, ref, store.ACLEntry{ID: "anyone", Rights: store.RightLookup}, store.RightsReplace))
	if _, err := s.Metadata(ctx, bob, ref); !errors.Is(err, store.ErrNoRight) {
		t.Errorf("who may not read: %v", err)
	}
	must(s.SetACL(ctx, ann, ref, store.ACLEntry{ID: "anyone", Rights: store.RightLookup | store.RightRead}, store.RightsReplace))
	must(s.SetMetadata(ctx, bob, ref, []store.MetadataEntry{entry("/private/comment", "bob's"), entry("/private/color", "")}))
	err := s.SetMetadata(ctx, bob, ref, []store.MetadataEntry{entry("/private/comment", "no"), entry("/shared/comment", "no")})
	if !errors.Is(err, store.ErrNoRight) {
		t.Errorf("shared without the right to write: %v", err)
	}
	if got := metadataOf(t, s, bob, ref); !slices.Equal(got, []string{"/private/color=", "/private/comment=bob's", "/shared/comment=ours"}) {
		t.Errorf("bob sees %q", got)
	}
	must(s.Rename(ctx, ann, box(ann, "lists"), "archive"))
	ref = box(ann, "archive/info")
	if got := metadataOf(t, s, ann, ref); !slices.Equal(got, []string{"/private/comment=mine", "/shared/comment=ours"}) {
		t.Errorf("ann sees %q", got)
	}
	must(s.SetMetadata(ctx, ann, ref, []store.MetadataEntry{{Name: "/private/comment"}, {Name: "/private/none"}}))
	must(s.SetMetadata(ctx, ann, box(ann, "archive"), []store.MetadataEntry{entry("/shared/comment", "a directory")}))
	must(s.Delete(ctx, ann, ref))
	must(s.Create(ctx, ann, ref, store.CreateOptions{}))
	if got := metadataOf(t, s, ann, ref); len(got) > 0 {
		t.Errorf("a new mailbox of the name has %q", got)
	}
	must(s.Delete(ctx, ann, ref))
	must(s.Delete(ctx, ann, box(ann, "archive")))
	must(s.Update(ctx, func(tx *store.Tx) error { return tx.RemoveAccount(bob.Account) }))
}

// TestMetadataLimits: names, values and all of an account's metadata are bounded.
func TestMetadataLimits(t *testing.T) {
	s, ann := open(t)
	inbox, server := box(ann, "INBOX"), store.MailboxRef{}
	for _, name := range []string{"", "/private", "/private/", "/shared/x/", "/other/x", "private/x", "/private/" + string(bytes.Repeat([]byte("x"), store.MaxMetadataName))} {
		if err := s.SetMetadata(ctx, ann, inbox, []store.MetadataEntry{entry(name, "x")}); !errors.Is(err, store.ErrBadMetadata) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	large := bytes.Repeat([]byte("x"), store.MaxMetadataValue)
	if err := s.SetMetadata(ctx, ann, inbox, []store.MetadataEntry{{Name: "/private/x", Value: append(large, 'x')}}); !errors.Is(err, store.ErrMetadataValue) {
		t.Errorf("a large value: %v", err)
	}
	if err := s.SetMetadata(ctx, ann, server, []store.MetadataEntry{entry("/shared/comment", "x")}); !errors.Is(err, store.ErrNoRight) {
		t.Errorf("a shared entry of the server: %v", err)
	}
	var err error
	n := 0
	for ; err == nil; n++ {
		err = s.SetMetadata(ctx, ann, server, []store.MetadataEntry{{Name: fmt.Sprintf("/private/x%d", n), Value: large}})
	}
	if !errors.Is(err, store.ErrMetadataFull) || n < 100 || n > 130 {
		t.Errorf("after %d large ones: %v", n, err)
	}
	if err := s.SetMetadata(ctx, ann, server, []store.MetadataEntry{{Name: "/private/x1"}, {Name: "/private/y", Value: large}}); err != nil {
		t.Errorf("one in the place of another: %v", err)
	}
	if list, err := s.Metadata(ctx, ann, server); err != nil || len(list) != n-1 {
		t.Errorf("%d entries of the server, %v", len(list), err)
	}
}

// TestMetadataOfRenamedInbox: both INBOX and what it held have its entries afterwards,
// as far as there is room for them.
func TestMetadataOfRenamedInbox(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, store.Inbox)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.SetMetadata(ctx, ann, inbox, []store.MetadataEntry{entry("/private/comment", "mine"), entry("/shared/comment", "ours")}))
	want := metadataOf(t, s, ann, inbox)
	must(s.Rename(ctx, ann, inbox, "old"))
	must(s.SetMetadata(ctx, ann, box(ann, "old"), []store.MetadataEntry{entry("/private/comment", "changed")}))
	if got := metadataOf(t, s, ann, inbox); !slices.Equal(got, want) {
		t.Errorf("INBOX has %q, want %q", got, want)
	}
	for i := range 90 {
		must(s.SetMetadata(ctx, ann, inbox, []store.MetadataEntry{{Name: fmt.Sprintf("/private/%d", i), Value: make([]byte, store.MaxMetadataValue)}}))
	}
	must(s.Rename(ctx, ann, inbox, "older"))
	if old, now := len(metadataOf(t, s, ann, box(ann, "older"))), len(metadataOf(t, s, ann, inbox)); old != 92 || now == 0 || now >= old {
		t.Errorf("%d entries went along and %d stay", old, now)
	}
}
