package store

import (
	"context"
	"fmt"
	"slices"

	"tripost/store/engine"
)

// Overview is a mailbox with its counters, as far as the identity may read it, and
// where that was asked for the entries of metadata that it may see.
type Overview struct {
	Mailbox
	State    State
	Metadata []MetadataEntry
}

// Overview returns what [Store.Mailboxes] returns, each with its counters, all of
// one moment.
func (s *Store) Overview(ctx context.Context, id Identity, a AccountID, metadata bool) ([]Overview, error) {
	var list []Overview
	err := s.engine.View(ctx, func(r engine.Reader) error {
		return eachMailbox(r, a, func(k boxKey, m *mailbox) error {
			rights, err := gate(&id, a, m, RightLookup)
			if err != nil {
				return nil // not to be known of
			}
			o := Overview{Mailbox: m.describe(k, rights)}
			if rights&RightRead != 0 {
				err = o.read(r, &id, k, metadata)
			}
			list = append(list, o)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("looking over account %d: %w", a, err)
	}
	slices.SortFunc(list, func(a, b Overview) int { return inboxFirst(a.Name, b.Name) })
	for i := range list {
		list[i].Children = i+1 < len(list) && within(list[i+1].Name, list[i].Name)
	}
	return list, nil
}

// read fills in what needs the right to read.
func (o *Overview) read(r engine.Reader, id *Identity, k boxKey, metadata bool) error {
	if o.Selectable {
		st, err := readWholeState(r, k)
		if err != nil {
			return err
		}
		o.State = st.State
	}
	if !metadata {
		return nil
	}
	own, err := readMetadata(r, k, id.Account, privateMetadata)
	if err != nil {
		return err
	}
	shared, err := readMetadata(r, k, 0, sharedMetadata)
	o.Metadata = append(own, shared...)
	return err
}

// WatchAccount calls wake after commits that may have changed anything in an
// account: its mailboxes, what they hold, subscriptions, metadata. Calls may be
// merged or come without need. wake must not block. After stop has returned, it is
// not called again.
func (s *Store) WatchAccount(a AccountID, wake func()) (stop func()) {
	return s.engine.Watch(accountKey(a), wake)
}
