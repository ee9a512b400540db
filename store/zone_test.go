package store_test

import (
	"testing"
	"time"

	"tripost/store"
	"tripost/store/storetest"
)

// TestZones has internal dates in several zones, also of messages that are restored.
func TestZones(t *testing.T) {
	s := storetest.Open(t, t.TempDir(), store.Options{Undelete: time.Hour})
	ann := newAccount(t, s, "ann")
	inbox := box(ann, "INBOX")
	at := time.Unix(1_800_000_000, 0)
	offsets := []int{0, 2 * 3600, -3600 * 7 / 2, 14 * 3600, -12 * 3600, 5*3600 + 45*60, 7 * 60, 100 * 3600}
	list := uploads(t, s, 0)
	for _, offset := range offsets {
		list = append(list, uploads(t, s, 0, mail("x"))...)
		list[len(list)-1].Date = at.In(time.FixedZone("", offset))
	}
	if _, err := s.AppendAll(ctx, ann, inbox, list); err != nil {
		t.Fatal(err)
	}
	look := func(v *store.View) {
		t.Helper()
		for i, offset := range offsets {
			if i > 5 {
				offset = 0 // nobody's zone
			}
			m := v.At(i + 1)
			equal(t, "time", m.Date, at.Unix())
			equal(t, "zone", m.Zone.Seconds(), int64(offset))
			_, told := at.In(m.Zone.Location()).Zone()
			equal(t, "location", told, offset)
		}
	}
	v := openView(t, s, ann, inbox)
	look(v)
	if _, err := v.Expunge(ctx, span(1, 100), true); err != nil {
		t.Fatal(err)
	}
	items, _ := trash(t, s, ann.Account)
	if _, err := s.Restore(ctx, ann.Account, items); err != nil {
		t.Fatal(err)
	}
	look(openView(t, s, ann, inbox))
}
