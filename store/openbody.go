package store

import (
	"context"
	"errors"
	"fmt"

	"tripost/store/engine"
)

// OpenBody opens the octets of the message with a sequence number, after making
// sure that it is still there and may still be read ([ErrNoMessage],
// [ErrNoRight], [ErrNoMailbox]). The view must be loaded. The body stays
// readable until it is closed, whatever happens to the message.
func (v *View) OpenBody(ctx context.Context, seq int) (engine.Body, error) {
	m := v.x.at(seq)
	if len(v.gone) > 0 && v.gone.Contains(m.UID) {
		return nil, v.lost(m.UID, ErrNoMessage)
	}
	if err := v.confirm(ctx, m.UID); err != nil {
		return nil, v.lost(m.UID, err)
	}
	b, err := v.s.engine.Open(ctx, m.Body)
	if errors.Is(err, engine.ErrNoBlob) {
		err = v.bodyless(ctx, m.UID)
	}
	if err != nil {
		return nil, v.lost(m.UID, err)
	}
	return b, nil
}

// OpenBodies opens the octets of several messages as OpenBody does, and calls fn
// with each in turn. Where nothing has touched the mailbox since the view was at the
// present, one transaction does for all.
func (v *View) OpenBodies(ctx context.Context, seqs []int, fn func(i int, b engine.Body, err error)) error {
	if len(seqs) > 0 && v.Changed() {
		if err := v.confirm(ctx, v.x.at(seqs[0]).UID); err != nil && !errors.Is(err, ErrNoMessage) {
			return fmt.Errorf("in %q: %w", v.box.Name, err)
		}
	}
	if v.Changed() || len(v.gone) > 0 {
		for i, seq := range seqs {
			b, err := v.OpenBody(ctx, seq)
			fn(i, b, err)
		}
		return nil
	}
	blobs := make([]Body, len(seqs))
	for i, seq := range seqs {
		blobs[i] = v.x.at(seq).Body
	}
	return v.s.engine.OpenAll(ctx, blobs, func(i int, b engine.Body, err error) {
		u := v.x.at(seqs[i]).UID
		if errors.Is(err, engine.ErrNoBlob) {
			err = v.bodyless(ctx, u)
		}
		if err != nil {
			fn(i, nil, v.lost(u, err))
			return
		}
		fn(i, b, nil)
	})
}

// bodyless tells why a message has no body: it was expunged since it was last
// seen, or else the store is damaged. A message that is still there must not be
// taken for expunged, or the numbers that client and view have would differ.
func (v *View) bodyless(ctx context.Context, u UID) error {
	err := v.s.engine.View(ctx, func(r engine.Reader) error {
		_, err := v.readNow(r, u)
		return err
	})
	if err == nil {
		err = fmt.Errorf("its body is lost: %w", engine.ErrDamaged)
	}
	return err
}

// confirm makes sure that a message is there and may be read. Where no commit
// has touched the mailbox since the view was at the present, that is known.
func (v *View) confirm(ctx context.Context, u UID) error {
	if !v.Changed() {
		return nil
	}
	seen := v.shared.changes.Load()
	present := false
	err := v.s.engine.View(ctx, func(r engine.Reader) error {
		if _, err := v.readNow(r, u); err != nil {
			return err
		}
		st, found, err := readState(r, v.key())
		present = found && st.HighestModSeq == v.state.HighestModSeq
		return err
	})
	if err == nil && present {
		v.seen = seen
	}
	return err
}

// lost words an error about a message, and remembers it when it is gone.
func (v *View) lost(u UID, err error) error {
	if errors.Is(err, ErrNoMessage) && v.x != nil && v.x.seq(u) > 0 {
		v.gone.Add(u, u)
	}
	return fmt.Errorf("message %d in %q: %w", u, v.box.Name, err)
}
