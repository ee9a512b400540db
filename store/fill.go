package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"tripost/message"
	"tripost/store/engine"
)

// fillChunk is how many bodies or messages one step of a filling looks at.
const fillChunk = 1000

// fillIndividuals makes the indexes of individuals for what came before there
// were any, with the names of the field as it is called now. It reads the header
// of each message once, and may be cut short and run again.
func (s *Store) fillIndividuals(ctx context.Context) error {
	for next, more := Body(0), true; more; {
		var err error
		if next, more, err = s.fillBodies(ctx, next); err != nil {
			return err
		}
	}
	any := false
	err := s.engine.View(ctx, func(r engine.Reader) error {
		for _, err := range r.Range([]byte{spaceNames}, []byte{spaceNames + 1}) {
			any = err == nil
			return err
		}
		return nil
	})
	if err != nil || !any {
		return err
	}
	return s.eachAccount(ctx, func(a AccountID) error { return s.fillAccount(ctx, a) })
}

// fillBodies notes the individuals of some bodies from lo on.
func (s *Store) fillBodies(ctx context.Context, lo Body) (next Body, more bool, err error) {
	type unread struct {
		body   Body
		header int64
	}
	var page []unread
	err = s.engine.View(ctx, func(r engine.Reader) error {
		for item, err := range r.Range(summaryKey(lo), []byte{spaceSummaries + 1}) {
			if err != nil {
				return err
			}
			b := Body(binary.BigEndian.Uint64(item.Key[1:]))
			if more = len(page) == fillChunk; more {
				next = b
				break
			}
			page = append(page, unread{b, message.Record(item.Value).HeaderSize()})
		}
		return nil
	})
	if err != nil {
		return 0, false, err
	}
	found := map[Body][]byte{}
	for _, u := range page {
		names, err := s.namesIn(ctx, u.body, u.header)
		if err != nil {
			return 0, false, fmt.Errorf("header of body %d: %w", u.body, err)
		}
		if len(names) > 0 {
			found[u.body] = appendNames(names)
		}
	}
	if len(found) == 0 {
		return next, more, nil
	}
	return next, more, s.engine.Update(ctx, func(tx engine.Tx) error {
		for b, names := range found {
			tx.Put(namesKey(b), names)
		}
		return nil
	})
}

// namesIn reads the individuals in the header of a body. One that is lost or
// damaged has none.
func (s *Store) namesIn(ctx context.Context, b Body, header int64) ([]string, error) {
	body, err := s.engine.Open(ctx, b)
	if errors.Is(err, engine.ErrNoBlob) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer body.Close()
	most := int64(s.o.Limits.Header)
	if most <= 0 {
		most = 256 << 10
	}
	text := make([]byte, min(header, most, body.Size()))
	if _, err := body.ReadAt(text, 0); err != nil {
		if errors.Is(err, engine.ErrDamaged) {
			return nil, nil
		}
		return nil, err
	}
	var values []string
	for _, f := range message.Fields(text) {
		if f.Is(s.o.IndividualField) {
			values = append(values, f.Value())
		}
	}
	return individualNames(values), nil
}

// fillAccount fills the indexes of an account's mailboxes.
func (s *Store) fillAccount(ctx context.Context, a AccountID) error {
	var boxes []boxKey
	err := s.engine.View(ctx, func(r engine.Reader) error {
		return eachMailbox(r, a, func(k boxKey, _ *mailbox) error {
			boxes = append(boxes, k)
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, k := range boxes {
		for next := UID(1); next != 0; {
			err := s.Update(ctx, func(tx *Tx) (err error) {
				next, err = tx.fillSome(k, next)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// fillSome enters some messages of a mailbox from UID lo on into its index, and
// returns where to go on, 0 at the end.
func (tx *Tx) fillSome(k boxKey, lo UID) (next UID, err error) {
	var found []entry
	n := 0
	from, to := messageRange(k.account, k.mailbox, lo, ^UID(0))
	for item, err := range tx.r.Range(from, to) {
		if err != nil {
			return 0, err
		}
		if n++; n > fillChunk {
			next = uidOf(item.Key)
			break
		}
		var e entry
		if err := e.decode(uidOf(item.Key), item.Value); err != nil {
			return 0, err
		}
		names, err := readNames(tx.r, e.Body)
		if err != nil {
			return 0, err
		}
		if len(names) > 0 {
			e.Individual = true
			found = append(found, e)
		}
	}
	for i := range found {
		tx.putEntry(k, &found[i])
	}
	return next, nil
}
