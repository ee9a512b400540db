package store_test

import (
	"testing"

	"tripost/store"
)

// TestOverview: all mailboxes of one moment, as far as who asks may know and read.
func TestOverview(t *testing.T) {
	s, ann := open(t)
	bob := newAccount(t, s, "bob")
	woken := 0
	stop := s.WatchAccount(ann.Account, func() { woken++ })
	for _, name := range []string{"read", "read/below", "seen", "hidden"} {
		if err := s.Create(ctx, ann, box(ann, name), store.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, rights := range map[string]store.Rights{"read": store.RightLookup | store.RightRead, "seen": store.RightLookup} {
		if err := s.SetACL(ctx, ann, box(ann, name), store.ACLEntry{ID: "anyone", Rights: rights}, store.RightsReplace); err != nil {
			t.Fatal(err)
		}
		appendTo(t, s, ann, box(ann, name), mail("one"), store.FlagSet{})
	}
	if err := s.SetMetadata(ctx, ann, box(ann, "read"), []store.MetadataEntry{entry("/shared/x", "1"), entry("/private/x", "2")}); err != nil {
		t.Fatal(err)
	}
	before := woken
	if err := s.Subscribe(ctx, ann.Account, "read", true); err != nil {
		t.Fatal(err)
	}
	if before == 0 || woken == before {
		t.Errorf("woken %d times, %d before the last change", woken, before)
	}
	stop()
	got, err := s.Overview(ctx, bob, ann.Account, true)
	if err != nil || len(got) != 2 || got[0].Name != "read" || got[1].Name != "seen" {
		t.Fatalf("bob sees %+v, %v", got, err)
	}
	if got[0].State.Exists != 1 || len(got[0].Metadata) != 1 || got[0].Children || got[1].State.Exists != 0 || got[1].Metadata != nil {
		t.Errorf("bob sees %+v", got)
	}
	own, err := s.Overview(ctx, ann, ann.Account, false)
	if err != nil || len(own) != 5 || own[0].Name != "INBOX" || own[3].State.Exists != 0 || !own[2].Children || own[2].Metadata != nil {
		t.Errorf("ann sees %+v, %v", own, err)
	}
}
