package store

import (
	"context"
	"encoding/binary"
	"fmt"

	"tripost/message"
	"tripost/store/engine"
)

func readSummary(r engine.Reader, b Body) (message.Record, error) {
	value, err := r.Get(summaryKey(b))
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, fmt.Errorf("summary of body %d: %w", b, engine.ErrNoBlob)
	}
	record := message.Record(value)
	if !record.Valid() {
		return nil, fmt.Errorf("summary of body %d: %w", b, engine.ErrDamaged)
	}
	return record, nil
}

// Records reads the stored summaries of bodies in one transaction, and calls fn
// with each in the order given. A body that is no longer there gives a nil
// record, one whose summary is damaged an empty one, which is not Valid, so that
// the others can be read all the same. Their parts are not looked at: who reads the
// parts asks [message.Record.Valid] first. fn must not wait for the network, and must
// not keep the record; false stops. It returns how many bodies fn was called for.
func (s *Store) Records(ctx context.Context, bodies []Body, fn func(i int, r message.Record) bool) (n int, err error) {
	err = s.engine.View(ctx, func(r engine.Reader) error {
		n, err = readSummaries(ctx, r, bodies, fn)
		return err
	})
	if err != nil {
		return n, fmt.Errorf("reading summaries: %w", err)
	}
	return n, nil
}

const (
	// nearBodies is how far apart two bodies' ids may be for reading on to be
	// cheaper than looking the next one up.
	nearBodies = 8
	// askEvery is after how many records a long read looks whether it is still
	// wanted.
	askEvery = 1024
)

func readSummaries(ctx context.Context, r engine.Reader, bodies []Body, fn func(int, message.Record) bool) (int, error) {
	given, more := 0, true
	give := func(rec message.Record) bool {
		given++
		more = fn(given-1, rec)
		return more
	}
	for asked := 0; given < len(bodies) && more; {
		if given >= asked+askEvery {
			if err := ctx.Err(); err != nil {
				return given, err
			}
			asked = given
		}
		rest := bodies[given:min(len(bodies), given+askEvery)]
		read := readSummaryRange
		n := denseBodies(rest)
		if n < 4 {
			n, read = 1, readOneSummary
		}
		if err := read(r, rest[:n], give); err != nil {
			return given, err
		}
	}
	return given, nil
}

// denseBodies returns how many bodies at the head of the list ascend in small
// steps.
func denseBodies(bodies []Body) int {
	n := 1
	for n < len(bodies) && bodies[n] > bodies[n-1] && bodies[n]-bodies[n-1] <= nearBodies {
		n++
	}
	return n
}

// readOneSummary gives one summary, looked up by itself.
func readOneSummary(r engine.Reader, bodies []Body, give func(message.Record) bool) error {
	value, err := r.Get(summaryKey(bodies[0]))
	if err == nil {
		give(givenRecord(value))
	}
	return err
}

// givenRecord is what [Store.Records] gives for a value.
func givenRecord(value []byte) message.Record {
	r := message.Record(value)
	if value != nil && !r.ValidTexts() {
		return message.Record{}
	}
	return r
}

// readSummaryRange gives summaries that lie close together, read as one range.
func readSummaryRange(r engine.Reader, bodies []Body, give func(message.Record) bool) error {
	lo, hi := bodies[0], bodies[len(bodies)-1]
	for item, err := range r.Range(summaryKey(lo), summaryKey(hi+1)) {
		if err != nil {
			return err
		}
		b := Body(binary.BigEndian.Uint64(item.Key[1:]))
		for bodies[0] < b {
			if !give(nil) {
				return nil
			}
			bodies = bodies[1:]
		}
		if b != bodies[0] {
			continue
		}
		if !give(givenRecord(item.Value)) || len(bodies) == 1 {
			return nil
		}
		bodies = bodies[1:]
	}
	for range bodies {
		if !give(nil) {
			return nil
		}
	}
	return nil
}

// OpenBody opens a body's octets. No right is asked: it is for those who hold a
// reference of their own, such as the queue.
func (s *Store) OpenBody(ctx context.Context, b Body) (engine.Body, error) {
	return s.engine.Open(ctx, b)
}
