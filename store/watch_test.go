package store_test

import (
	"testing"

	"tripost/store"
)

// TestWatchAfterChanged wakes sessions of one mailbox: whoever is woken must
// find that something has changed, or it goes back to sleep and misses it.
func TestWatchAfterChanged(t *testing.T) {
	t.Parallel()
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	missed := 0
	var views []*store.View
	for range 8 {
		v := openView(t, s, ann, inbox)
		defer v.Watch(func() {
			if !v.Changed() {
				missed++
			}
		})()
		views = append(views, v)
	}
	for range 50 {
		for _, v := range views {
			refresh(t, v, false)
			if v.Changed() {
				t.Fatal("changed although nothing was committed")
			}
		}
		appendTo(t, s, ann, inbox, mail("new"), store.FlagSet{})
	}
	if missed > 0 {
		t.Errorf("%d of %d wakes came before the change could be seen", missed, 50*len(views))
	}
}
