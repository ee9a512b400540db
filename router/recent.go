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
	leadsHere uint8 = iota
	leadsOut
	leadsNowhere
)

// name is an address as a client wrote it, or the account part of a login name.
type name struct {
	addr    string
	purpose Purpose
}

// noted is a name and where it led.
type noted struct {
	name
	leads uint8
}

// recent gathers names. It is safe for concurrent use.
type recent struct {
	mu    sync.Mutex
	day   int64 // whose names they are, counted from 1970
	names map[name]struct{}
	count [len(maxNames)]int
	fresh []noted // not yet written
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
	n := noted{name{strings.Clone(addr), p}, leads}
	r.add(n)
	r.fresh = append(r.fresh, n)
}

// add counts a name that is not there yet. The caller holds mu.
func (r *recent) add(n noted) {
	if r.names == nil {
		r.names = make(map[name]struct{})
	}
	r.names[n.name] = struct{}{}
	r.count[n.leads]++
}

// begin takes the names that were written on a day before this process started.
func (r *recent) begin(day int64, written []noted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.day = day
	for _, n := range written {
		if _, have := r.names[n.name]; !have {
			r.add(n)
		}
	}
}

// take returns the names to write, and begins anew on a new day.
func (r *recent) take(day int64) []noted {
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
	today := dayOf(r.options.Now())
	written, err := r.writtenNames(ctx, today)
	if err != nil {
		r.options.Log.Log(syslog.Problem, err.Error()) // they are only a sample
	}
	r.recent.begin(today, written)
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
	all, err := r.writtenNames(ctx, dayOf(r.options.Now())-keepDays+1)
	if err != nil {
		return nil, err
	}
	r.recent.mu.Lock()
	all = append(all, r.recent.fresh...)
	r.recent.mu.Unlock()
	seen := make(map[name]struct{}, len(all))
	names := make([]name, 0, len(all))
	for _, n := range all {
		if _, have := seen[n.name]; !have {
			seen[n.name] = struct{}{}
			names = append(names, n.name)
		}
	}
	return names, nil
}

// writtenNames returns the names that were written on a day and after it.
func (r *Router) writtenNames(ctx context.Context, day int64) ([]noted, error) {
	var all []noted
	err := r.store().View(ctx, func(s *store.Snapshot) error {
		for item, err := range s.Range(store.SpaceRouter, namesKey(day, 0), []byte{keyNames + 1}) {
			if err != nil {
				return err
			}
			names, err := decodeNames(item.Value)
			if err != nil {
				return err
			}
			all = append(all, names...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the names of recent days: %w", err)
	}
	return all, nil
}

func dayOf(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

func namesKey(day, nanos int64) []byte {
	b := binary.BigEndian.AppendUint32([]byte{keyNames}, uint32(day))
	return binary.BigEndian.AppendUint64(b, uint64(nanos))
}

// encodeNames writes names into values of bounded length: for each an octet that
// holds its purpose and where it led, and its text with the length before it.
func encodeNames(names []noted) [][]byte {
	var batches [][]byte
	b := []byte{formatVersion}
	for _, n := range names {
		if len(b)+len(n.addr) > maxBatch {
			batches = append(batches, b)
			b = []byte{formatVersion}
		}
		b = append(b, n.leads<<1|byte(n.purpose))
		b = binary.AppendUvarint(b, uint64(len(n.addr)))
		b = append(b, n.addr...)
	}
	return append(batches, b)
}

func decodeNames(b []byte) ([]noted, error) {
	if len(b) == 0 || b[0] != formatVersion {
		return nil, errFormat
	}
	var names []noted
	for b = b[1:]; len(b) > 0; {
		n := noted{name{purpose: Purpose(b[0] & 1)}, b[0] >> 1}
		length, size := binary.Uvarint(b[1:])
		if size <= 0 || length > uint64(len(b)-1-size) || n.leads > leadsNowhere {
			return nil, errFormat
		}
		b = b[1+size:]
		n.addr = string(b[:length])
		names = append(names, n)
		b = b[length:]
	}
	return names, nil
}
