package router

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"tripost/store"
)

// The router's space of the store. Every value begins with formatVersion.
//
//	T             the table: its revision as an unsigned varint, its text
//	N day time    names that were routed on a day, see recent.go
const (
	keyTable = 'T'
	keyNames = 'N'
)

const formatVersion = 1

// errFormat is returned for a value that cannot be read.
var errFormat = errors.New("the router's record is damaged or of a later version")

// Stored is a table as it is kept.
type Stored struct {
	Text     string `json:"text"`
	Revision uint64 `json:"revision"` // goes up with each change; 0 is the initial table
}

// Table returns the table in force.
func (r *Router) Table(ctx context.Context) (Stored, error) {
	var st Stored
	err := r.store().View(ctx, func(s *store.Snapshot) (err error) {
		st, err = readTable(s)
		return err
	})
	if err != nil {
		return Stored{}, fmt.Errorf("reading the router table: %w", err)
	}
	return st, nil
}

func (r *Router) store() *store.Store { return r.directory.Store() }

func readTable(s *store.Snapshot) (Stored, error) {
	b, err := s.Get(store.SpaceRouter, []byte{keyTable})
	if err != nil {
		return Stored{}, err
	}
	if b == nil {
		return Stored{Text: initialTable}, nil
	}
	if len(b) < 2 || b[0] != formatVersion {
		return Stored{}, errFormat
	}
	revision, n := binary.Uvarint(b[1:])
	if n <= 0 {
		return Stored{}, errFormat
	}
	return Stored{Text: string(b[1+n:]), Revision: revision}, nil
}

func writeTable(tx *store.Tx, st Stored) {
	b := binary.AppendUvarint([]byte{formatVersion}, st.Revision)
	tx.Put(store.SpaceRouter, []byte{keyTable}, append(b, st.Text...))
}

// cache keeps the table in force in the form in which it is used.
type cache struct {
	changes atomic.Uint64 // counts the commits that may have changed the table
	current atomic.Pointer[cached]
	loading sync.Mutex // held while the table is read
}

type cached struct {
	table    *table
	revision uint64
	changes  uint64 // counted before it was read
}

// inForce returns the table in force. A change counts from the moment at which
// whoever made it is told so.
func (r *Router) inForce(ctx context.Context) (*table, error) {
	if c := r.cache.current.Load(); c != nil && c.changes == r.cache.changes.Load() {
		return c.table, nil
	}
	r.cache.loading.Lock()
	defer r.cache.loading.Unlock()
	changes := r.cache.changes.Load()
	c := r.cache.current.Load()
	if c != nil && c.changes == changes {
		return c.table, nil
	}
	st, err := r.Table(ctx)
	if err != nil {
		return nil, err
	}
	next := &cached{revision: st.Revision, changes: changes}
	if c != nil && c.revision == st.Revision {
		next.table = c.table
	} else if next.table, err = parseStored(st); err != nil {
		return nil, err
	}
	r.cache.current.Store(next)
	return next.table, nil
}

// parseStored reads a table that was found good when it was stored, maybe by
// another version of this program.
func parseStored(st Stored) (*table, error) {
	t, problems := parseTable(st.Text)
	if problems != nil {
		return nil, fmt.Errorf("reading the router table: %w", &TableError{problems})
	}
	return t, nil
}
