package search

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"tripost/store"
)

// TestColumnsFollowTheMailbox sorts a mailbox again and again while messages come
// and go: what is read is what is new, and columns do not grow for ever.
func TestColumnsFollowTheMailbox(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Columns = NewColumns(1 << 20)
	subjects := map[store.UID]string{}
	for round := range 12 {
		for i := range 30 {
			subject := fmt.Sprintf("%c %d", 'a'+(round*7+i*5)%26, i%4)
			w.deliver("Subject: "+subject+"\r\n\r\n", 1000, 0)
			subjects[store.UID(len(subjects)+1)] = subject
		}
		v, err := w.store.Open(w.ctx, w.id, w.box, false)
		must(t, err)
		must(t, v.Load(w.ctx))
		seqs := w.find(v, &Key{Kind: All}, false)
		want := slices.Clone(seqs)
		slices.SortStableFunc(want, func(a, b int) int {
			return strings.Compare(subjects[v.At(a).UID], subjects[v.At(b).UID])
		})
		for range 2 {
			got, err := New(v, &Key{Kind: All}, o).Sort(w.ctx, slices.Clone(seqs), []Criterion{{Key: BySubject}})
			must(t, err)
			if !slices.Equal(got, want) {
				t.Fatalf("round %d: %v, want %v", round, got, want)
			}
		}
		if n := len(o.Columns.only(t).uids); n > 2*v.Len()+64+30 {
			t.Errorf("a column of %d messages for a mailbox of %d", n, v.Len())
		}
		_, err = v.Expunge(w.ctx, store.UIDSet{{Lo: 1, Hi: store.UID(len(subjects) - 10)}}, true)
		must(t, err)
		v.Close()
	}
}

// only returns the one column that there is.
func (c *Columns) only(t *testing.T) *column {
	t.Helper()
	if c.used.Len() != 1 || len(c.all) != 1 || c.held != c.used.Front().Value.(*column).octets {
		t.Fatalf("%d columns, %d by key, %d octets", c.used.Len(), len(c.all), c.held)
	}
	return c.used.Front().Value.(*column)
}

// TestColumnsLetGo keeps what was used last within the room.
func TestColumnsLetGo(t *testing.T) {
	t.Parallel()
	one := func(id store.MailboxID, messages int) *column {
		c := &column{key: columnKey{mailbox: id}}
		var uids []store.UID
		for u := range messages {
			uids = append(uids, store.UID(u+1))
		}
		return c.with(uids, make([][]byte, messages))
	}
	c := NewColumns(10 * columnOverhead)
	c.put(one(1, 4))
	c.put(one(2, 4))
	c.get(columnKey{mailbox: 1})
	c.put(one(3, 4))
	c.put(one(4, 11)) // more than there is room
	for id, want := range map[store.MailboxID]int{1: 4, 2: 0, 3: 4, 4: 0} {
		if n := len(c.get(columnKey{mailbox: id}).uids); n != want {
			t.Errorf("column %d has %d messages, want %d", id, n, want)
		}
	}
	if c.held != 8*columnOverhead {
		t.Errorf("%d octets are held", c.held)
	}
}

// TestColumnsShared has several sort one mailbox at a time, each other messages.
func TestColumnsShared(t *testing.T) {
	w := newWorld(t)
	for i := range 200 {
		w.deliver(fmt.Sprintf("Subject: %d\r\n\r\n", 200-i), 1000, 0)
	}
	o := w.options()
	o.Columns = NewColumns(1 << 20)
	v := w.open()
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			var seqs []int
			for seq := 100 + g; seq >= 2; seq -= 2 {
				seqs = append(seqs, seq)
			}
			slices.Reverse(seqs)
			for range 5 {
				got, err := New(v, &Key{Kind: All}, o).Sort(w.ctx, slices.Clone(seqs), []Criterion{{Key: ByDate}, {Key: BySubject}})
				if err != nil || len(got) != len(seqs) || !slices.IsSortedFunc(got, func(a, b int) int {
					return strings.Compare(fmt.Sprint(201-a), fmt.Sprint(201-b))
				}) {
					t.Errorf("%v, %v", got, err)
				}
			}
		})
	}
	all.Wait()
}
