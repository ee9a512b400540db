package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"tripost/store"
)

// TestManySessionsAtOnce lets sessions of all kinds loose on two mailboxes.
// Each keeps the list that a client would keep, and compares it with its view.
// In the end all views agree, and the store's check is clean.
func TestManySessionsAtOnce(t *testing.T) {
	s, ann := open(t)
	bob := newAccount(t, s, "bob")
	refs := []store.MailboxRef{box(ann, "INBOX"), box(bob, "INBOX")}
	for _, id := range []store.Identity{ann, bob} {
		setACL(t, s, id, box(id, "INBOX"), "anyone lrswid")
		fill(t, s, id, box(id, "INBOX"), 300)
	}
	var work sync.WaitGroup
	for n := range 12 {
		work.Go(func() {
			r := rand.New(rand.NewPCG(uint64(n), 5))
			who := []store.Identity{ann, bob}[n%2]
			switch {
			case n < 3:
				for range 40 {
					if _, err := tryAppend(s, store.System(), refs[r.IntN(2)], mail("new"), store.FlagSet{}); err != nil {
						t.Error(err)
					}
				}
			case n == 3:
				for i := range 20 {
					name := fmt.Sprint("made", i%3)
					err := s.Create(ctx, ann, box(ann, name), store.CreateOptions{})
					if err == nil || errors.Is(err, store.ErrMailboxExists) {
						err = s.Delete(ctx, ann, box(ann, name))
					}
					if err != nil {
						t.Error(err)
					}
				}
			default:
				session(t, s, who, refs, r)
			}
		})
	}
	work.Wait()
	for i, ref := range refs {
		v, err := s.Open(ctx, []store.Identity{ann, bob}[i], ref, true)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		if err := v.Load(ctx); err != nil {
			t.Fatal(err)
		}
		equal(t, "messages", v.Len(), int(v.State().Exists))
	}
}

func session(t *testing.T, s *store.Store, who store.Identity, refs []store.MailboxRef, r *rand.Rand) {
	v, err := s.Open(ctx, who, refs[r.IntN(2)], false)
	if err != nil {
		t.Error(err)
		return
	}
	defer v.Close()
	if err := v.Load(ctx); err != nil {
		t.Error(err)
		return
	}
	var known []store.UID
	for seq := 1; seq <= v.Len(); seq++ {
		known = append(known, v.At(seq).UID)
	}
	for range 60 {
		u := store.UID(1 + r.IntN(int(v.State().UIDNext)))
		set := span(u, u+store.UID(r.IntN(4)))
		switch r.IntN(6) {
		case 0, 1:
			_, _, err = v.SetFlags(ctx, set, store.FlagOp(r.IntN(3)), store.FlagSet{System: store.Flags(r.IntN(32)), Keywords: []string{"k"}}, 0)
		case 2:
			_, err = v.Expunge(ctx, set, r.IntN(2) == 0)
		case 3:
			_, err = v.Copy(ctx, set, refs[r.IntN(2)])
		case 4:
			_, err = v.Move(ctx, set, refs[r.IntN(2)])
		default:
			if v.Len() > 0 {
				err = readBody(v, 1+r.IntN(v.Len()))
			}
		}
		if err != nil {
			t.Error(err)
			return
		}
		hold := r.IntN(3) == 0
		ch, err := v.Refresh(ctx, hold)
		if err != nil {
			t.Error(err)
			return
		}
		for _, seq := range ch.Expunged {
			known = slices.Delete(known, seq-1, seq)
		}
		for seq := 1; seq <= v.Len(); seq++ {
			if seq > len(known) {
				known = append(known, v.At(seq).UID)
			} else if known[seq-1] != v.At(seq).UID {
				t.Errorf("message %d is %d, the client knows %d", seq, v.At(seq).UID, known[seq-1])
				return
			}
		}
		if len(known) != v.Len() {
			t.Errorf("%d messages, the client knows %d", v.Len(), len(known))
			return
		}
		if !hold && v.Len() != int(v.State().Exists) {
			t.Errorf("%d messages, the state says %d", v.Len(), v.State().Exists)
			return
		}
	}
}

// readBody reads a message as it must be, whole, or finds it gone.
func readBody(v *store.View, seq int) error {
	b, err := v.OpenBody(ctx, seq)
	if errors.Is(err, store.ErrNoMessage) {
		return nil
	}
	if err != nil {
		return err
	}
	defer b.Close()
	if m := v.At(seq); b.Size() != m.Size {
		return fmt.Errorf("message %d has %d octets, its body %d", m.UID, m.Size, b.Size())
	}
	return nil
}

// Who acts on an answer is not ahead of those who watch.
func TestWatchersHearInTime(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	v := openView(t, s, ann, inbox)
	refresh(t, v, false)
	var wakes atomic.Int64
	stop := v.Watch(func() { wakes.Add(1) })
	for n := range 50 {
		appendTo(t, s, store.System(), inbox, mail("x"), store.FlagSet{})
		if !v.Changed() || wakes.Load() < int64(n+1) {
			t.Fatalf("append %d: changed %t, %d wake-ups", n, v.Changed(), wakes.Load())
		}
		if ch := refresh(t, v, false); !ch.Exists {
			t.Fatalf("append %d is not seen", n)
		}
	}
	other := box(ann, "other")
	if err := s.Create(ctx, ann, other, store.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	before := wakes.Load()
	appendTo(t, s, ann, other, mail("x"), store.FlagSet{})
	equal(t, "changed by another mailbox", v.Changed(), false)
	equal(t, "woken by another mailbox", wakes.Load(), before)
	setACL(t, s, ann, inbox, "anyone l")
	equal(t, "changed by the ACL", v.Changed(), true)
	stop()
	before = wakes.Load()
	appendTo(t, s, ann, inbox, mail("x"), store.FlagSet{})
	equal(t, "woken after stop", wakes.Load(), before)
}
