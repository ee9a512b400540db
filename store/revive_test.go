package store_test

import (
	"testing"

	"tripost/store"
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
}
