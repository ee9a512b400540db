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
