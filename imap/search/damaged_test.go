package search

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"tripost/store"
	"tripost/store/engine"
)

// faultyBox is a mailbox of which some bodies cannot be opened, or not be read.
type faultyBox struct {
	*store.View
	unopened, unread, short []int
}

func (b faultyBox) OpenBodies(ctx context.Context, seqs []int, fn func(int, engine.Body, error)) error {
	return b.View.OpenBodies(ctx, seqs, func(i int, body engine.Body, err error) {
		switch seq := seqs[i]; {
		case err != nil:
		case slices.Contains(b.unopened, seq):
			body.Close()
			body, err = nil, fmt.Errorf("opening: %w", engine.ErrDamaged)
		case slices.Contains(b.unread, seq):
			body = faultyBody{body, engine.ErrDamaged}
		case slices.Contains(b.short, seq):
			body = faultyBody{body, io.EOF}
		}
		fn(i, body, err)
	})
}

type faultyBody struct {
	engine.Body
	err error
}

func (b faultyBody) ReadAt([]byte, int64) (int, error) { return 0, b.err }

// TestDamagedOctets searches messages of which some have octets that cannot be read:
// those do not match and are told of, the others are found.
func TestDamagedOctets(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		text := "text\r\n"
		if i%2 == 0 {
			text = strings.Repeat("no such thing\r\n", 2*wholeSize/15) + text
		}
		w.deliver("Subject: x\r\nX-Some: y\r\n\r\n"+text, 0, 0)
	}
	box := faultyBox{w.open(), []int{3, 4}, []int{7, 8}, []int{11, 12}}
	bad := []int{3, 4, 7, 8, 11, 12}
	for _, test := range []struct {
		key  *Key
		want func(seq int) bool
	}{
		{&Key{Kind: Body, Text: "text"}, func(seq int) bool { return !slices.Contains(bad, seq) }},
		{Negated(&Key{Kind: Text, Text: "none"}), func(seq int) bool { return !slices.Contains(bad, seq) }},
		{&Key{Kind: Field, Field: "x-some", Text: "none"}, func(int) bool { return false }},
	} {
		var told, want, got []int
		o := w.options()
		o.Damaged = func(u store.UID, err error) {
			if !isDamage(err) {
				t.Errorf("message %d: %v", u, err)
			}
			told = append(told, int(u))
		}
		root := &Key{Kind: And, Keys: []*Key{test.key}}
		must(t, New(box, root, o).Run(w.ctx, false, func(seq int) bool { got = append(got, seq); return true }))
		for seq := 1; seq <= 20; seq++ {
			if test.want(seq) {
				want = append(want, seq)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("found %v, want %v", got, want)
		}
		if slices.Sort(told); !slices.Equal(told, bad) {
			t.Errorf("told of %v, want %v", told, bad)
		}
	}
}
