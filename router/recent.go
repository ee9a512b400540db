package router

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"

	"tripost/store"
	"tripost/syslog"
)

// The names that were routed on recent days are kept, to try a changed table on
// them before it is put in force. They are gathered in memory and written once a
// minute.
const (
	keepDays      = 7
	flushEvery    = time.Minute
	flushAtEnd    = 5 * time.Second // may take the last write
	maxNameLength = 320             // octets: longer ones are not kept
	maxBatch      = 256 << 10       // octets of one value
)

// maxNames bounds the names of one day by where they lead: strangers who try
// what they can must not fill the room of the addresses that are in use.
var maxNames = [...]int{leadsHere: 6000, leadsOut: 3000, leadsNowhere: 1000}

// Where a name leads.
const (
	leadsHere = iota
	leadsOut
	leadsNowhere
)

// name is an address as a client wrote it, or the account part of a login name.
type name struct {
	addr    string
	purpose Purpose
}

// recent gathers names. It is safe for concurrent use.
type recent struct {
	mu    sync.Mutex
	day   int64 // whose names they are, counted from 1970
	names map[name]struct{}
	count [len(maxNames)]int
	fresh []name // not yet written
}

// note remembers a name, if there is room for one more that leads there. Login
// names that lead nowhere are not kept: people type passwords in their place.
func (r *recent) note(addr string, p Purpose, res *Result) {
	leads := leadsHere
	switch {
	case res.Kind == Refused:
		leads = leadsNowhere
	case res.Kind == Remote:
		leads = leadsOut
	}
	if p == ForLogin && leads != leadsHere || len(addr) > maxNameLength {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count[leads] >= maxNames[leads] {
		return
	}
	if _, have := r.names[name{addr, p}]; have {
		return
	}
	if r.names == nil {
		r.names = make(map[name]struct{})
	}
	n := name{strings.Clone(addr), p}
	r.names[n] = struct{}{}
	r.count[leads]++
	r.fresh = append(r.fresh, n)
}

// take returns the names to write, and begins anew on a new day.
func (r *recent) take(day int64) []name {
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh := r.fresh
	r.fresh = nil
	if day != r.day {
		r.day, r.names, r.count = day, nil, [len(maxNames)]int{}
	}
	return fresh
}

// Run writes the names of recent days every minute until ctx ends, and then a
// last time.
func (r *Router) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushAtEnd)
			defer cancel()
			r.flush(last)
			return nil
		}
	}
}

// flush writes the names that are new. What cannot be written is lost: it is
// only a sample.
func (r *Router) flush(ctx context.Context) {
	now := r.options.Now()
	day := dayOf(now)
	names := r.recent.take(day)
	if len(names) == 0 {
		return
	}
	batches := encodeNames(names)
	err := r.store().Update(ctx, func(tx *store.Tx) error {
		if err := dropNames(tx, day-keepDays+1); err != nil {
			return err
		}
		nanos := now.UnixNano()
		for _, b := range batches {
			key, err := freeKey(tx, day, &nanos) // another process may have the same time
			if err != nil {
				return err
			}
			tx.Put(store.SpaceRouter, key, b)
		}
		return nil
	})
	if err != nil {
		r.options.Log.Logf(syslog.Problem, "keeping the names of recent days: %v", err)
	}
}

// freeKey returns the first key from nanos that nobody has used.
func freeKey(tx *store.Tx, day int64, nanos *int64) ([]byte, error) {
	for ; ; *nanos++ {
		key := namesKey(day, *nanos)
		if b, err := tx.Get(store.SpaceRouter, key); b == nil || err != nil {
			return key, err
		}
	}
}

// dropNames removes the names of the days before this one.
func dropNames(tx *store.Tx, before int64) error {
	var old [][]byte
	for item, err := range tx.Range(store.SpaceRouter, []byte{keyNames}, namesKey(before, 0)) {
		if err != nil {
			return err
		}
		old = append(old, append([]byte(nil), item.Key...))
	}
	for _, key := range old {
		tx.Delete(store.SpaceRouter, key)
	}
	return nil
}

// recentNames returns the names of recent days, each once: those written, and
// those that this process has still to write.
func (r *Router) recentNames(ctx context.Context) ([]name, error) {
	seen := make(map[name]struct{})
	var all []name
	add := func(names []name) {
		for _, n := range names {
			if _, have := seen[n]; !have {
				seen[n] = struct{}{}
				all = append(all, n)
			}
		}
	}
	err := r.store().View(ctx, func(s *store.Snapshot) error {
		from := namesKey(dayOf(r.options.Now())-keepDays+1, 0)
		for item, err := range s.Range(store.SpaceRouter, from, []byte{keyNames + 1}) {
			if err != nil {
				return err
			}
			names, err := decodeNames(item.Value)
			if err != nil {
				return err
			}
			add(names)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the names of recent days: %w", err)
	}
	r.recent.mu.Lock()
	defer r.recent.mu.Unlock()
	add(r.recent.fresh)
	return all, nil
}

func dayOf(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

func namesKey(day, nanos int64) []byte {
	b := binary.BigEndian.AppendUint32([]byte{keyNames}, uint32(day))
	return binary.BigEndian.AppendUint64(b, uint64(nanos))
}

// encodeNames writes names into values of bounded length: for each its purpose
// and its text with the length before it.
func encodeNames(names []name) [][]byte {
	var batches [][]byte
	b := []byte{formatVersion}
	for _, n := range names {
		if len(b)+len(n.addr) > maxBatch {
			batches = append(batches, b)
			b = []byte{formatVersion}
		}
		b = append(b, byte(n.purpose))
		b = binary.AppendUvarint(b, uint64(len(n.addr)))
		b = append(b, n.addr...)
	}
	return append(batches, b)
}

func decodeNames(b []byte) ([]name, error) {
	if len(b) == 0 || b[0] != formatVersion {
		return nil, errFormat
	}
	var names []name
	for b = b[1:]; len(b) > 0; {
		purpose := Purpose(b[0])
		length, n := binary.Uvarint(b[1:])
		if n <= 0 || length > uint64(len(b)-1-n) || purpose > ForLogin {
			return nil, errFormat
		}
		b = b[1+n:]
		names = append(names, name{string(b[:length]), purpose})
		b = b[length:]
	}
	return names, nil
}
