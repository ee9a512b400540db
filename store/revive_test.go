package store_test

import (
	"testing"

	"tripost/store"
	"tripost/store/storetest"
)

// TestReviveEmptyAccount removes an account without messages and makes it again:
// the store's check at the end of the test finds its numbers in order.
func TestReviveEmptyAccount(t *testing.T) {
	t.Parallel()
	s, ann := open(t)
	inbox := box(ann, store.Inbox)
	if err := s.SetMetadata(ctx, ann, inbox, []store.MetadataEntry{entry("/private/comment", "mine")}); err != nil {
		t.Fatal(err)
	}
	_, before, err := s.Mailbox(ctx, ann, inbox)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func(*store.Tx) error{
		func(tx *store.Tx) error { return tx.RemoveAccount(ann.Account) },
		func(tx *store.Tx) error { return tx.ReviveAccount(ann.Account) },
	} {
		if err := s.Update(ctx, step); err != nil {
			t.Fatal(err)
		}
	}
	_, after, err := s.Mailbox(ctx, ann, inbox)
	if err != nil {
		t.Fatal(err)
	}
	if after.UIDValidity == before.UIDValidity || after.HighestModSeq <= before.HighestModSeq {
		t.Errorf("%+v became %+v", before, after)
	}
	if list, err := s.Metadata(ctx, ann, inbox); err != nil || len(list) != 1 || string(list[0].Value) != "mine" {
		t.Errorf("%q, %v", list, err)
	}
}

// TestRemovedMetadata removes an account with annotations of its own and of others,
// in mailboxes and of the server: they are there again when it is made again, and
// gone when it is forgotten, which the store's check at the end looks at.
func TestRemovedMetadata(t *testing.T) {
	t.Parallel()
	s, ann := open(t)
	bob := newAccount(t, s, "bob")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	places := []store.MailboxRef{box(ann, "INBOX"), box(ann, "z/deep"), box(ann, "z"), {}}
	must(s.Create(ctx, ann, box(ann, "z/deep"), store.CreateOptions{}))
	must(s.SetACL(ctx, ann, box(ann, "z/deep"), store.ACLEntry{ID: "bob@company.test", Rights: store.RightLookup | store.RightRead}, store.RightsReplace))
	for _, at := range places {
		must(s.SetMetadata(ctx, ann, at, []store.MetadataEntry{entry("/private/comment", "ann at "+at.Name)}))
	}
	must(s.SetMetadata(ctx, bob, places[1], []store.MetadataEntry{entry("/private/comment", "bob's")}))
	update := func(step func(*store.Tx) error) {
		t.Helper()
		must(s.Update(ctx, step))
	}
	for range 2 { // the numbers of mailboxes are others each time
		update(func(tx *store.Tx) error { return tx.RemoveAccount(ann.Account) })
		must(s.Tidy(ctx))
		storetest.Check(t, s)
		update(func(tx *store.Tx) error { return tx.ReviveAccount(ann.Account) })
		for _, at := range places {
			list, err := s.Metadata(ctx, ann, at)
			if err != nil || len(list) != 1 || string(list[0].Value) != "ann at "+at.Name {
				t.Errorf("%q: %q, %v", at.Name, list, err)
			}
		}
		if list, err := s.Metadata(ctx, bob, places[1]); err != nil || len(list) != 1 || string(list[0].Value) != "bob's" {
			t.Errorf("%q, %v", list, err)
		}
	}
	update(func(tx *store.Tx) error { return tx.RemoveAccount(ann.Account) })
	update(func(tx *store.Tx) error { return tx.ForgetAccount(ann.Account) })
	if res := storetest.Check(t, s); res.Metadata != 0 {
		t.Errorf("%d entries are left", res.Metadata)
	}
}
