package main

import (
	"testing"

	"tripost/admin"
)

func TestStateOfItems(t *testing.T) {
	t.Parallel()
	held, waits := admin.QueueRecipient{Status: "held"}, admin.QueueRecipient{Status: "451 4.7.1 later"}
	for _, c := range []struct {
		item admin.QueueItem
		want string
	}{
		{admin.QueueItem{LastError: "451 4.7.1 later", Recipients: []admin.QueueRecipient{waits}}, "451 4.7.1 later"},
		{admin.QueueItem{Held: true, Recipients: []admin.QueueRecipient{held, held}}, "held"},
		{admin.QueueItem{Held: true, Recipients: []admin.QueueRecipient{held, waits, waits}}, "held for 1 of 3"},
	} {
		if got := state(c.item); got != c.want {
			t.Errorf("%+v: %q, want %q", c.item, got, c.want)
		}
	}
}
