package rules

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tripost/accounts"
	"tripost/store"
)

// ErrNoRule is returned for a name that no rule of the account has.
var ErrNoRule = errors.New("no such rule")

// Options are the settings of [Rules]. The zero value is usable.
type Options struct {
	Limit        int // rules of one account; 0: 100
	VacationDays int // after which a sender is answered again, where a rule does not say; 0: 7
	Now          func() time.Time
	// Logf takes what [Rules.Run] has to say; nil: nothing is said.
	Logf func(format string, args ...any)
}

// Rules keeps the rules that are in a store. It is safe for concurrent use.
type Rules struct {
	store     *store.Store
	directory *accounts.Directory
	o         Options

	mu   sync.Mutex
	read map[store.AccountID]read // lately
}

// read is a record that was read, and what it says.
type read struct {
	record []byte
	list   []Rule
}

// maxRead is how many accounts' rules are kept as they were read.
const maxRead = 1000

// New returns the rules that are in st, for the accounts of d, which must be in
// the same store.
func New(st *store.Store, d *accounts.Directory, o Options) *Rules {
	if o.Limit == 0 {
		o.Limit = 100
	}
	if o.VacationDays == 0 {
		o.VacationDays = 7 // RFC 3834 section 2
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	return &Rules{store: st, directory: d, o: o, read: make(map[store.AccountID]read)}
}

// recordVersion is the first octet of a list of rules.
const recordVersion = 1

// errRecord is returned for rules that cannot be read.
var errRecord = errors.New("rules are damaged or of a later version")

func decode(b []byte) ([]Rule, error) {
	var list []Rule
	if len(b) == 0 || b[0] != recordVersion {
		return nil, errRecord
	}
	d := json.NewDecoder(bytes.NewReader(b[1:]))
	d.DisallowUnknownFields() // a condition that is not understood must not be left out
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	return list, nil
}

// Of returns the rules of an account, in their order. They must not be changed.
func (s *Rules) Of(r *store.Snapshot, a store.AccountID) ([]Rule, error) {
	b, err := r.Get(store.SpaceRules, rulesKey(a))
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.read[a]; bytes.Equal(known.record, b) && known.record != nil {
		return known.list, nil
	}
	list, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("rules of account %d: %w", a, err)
	}
	if len(s.read) >= maxRead {
		clear(s.read)
	}
	s.read[a] = read{bytes.Clone(b), list}
	return list, nil
}

// List returns the rules of the account with an address or alias, in their order.
func (s *Rules) List(ctx context.Context, address string) (list []Rule, err error) {
	acc, err := s.directory.Account(ctx, address)
	if err != nil {
		return nil, err
	}
	err = s.store.View(ctx, func(r *store.Snapshot) error {
		list, err = s.Of(r, acc.ID)
		return err
	})
	return list, err
}

// Replace gives an account other rules; none takes all away.
func (s *Rules) Replace(ctx context.Context, address string, list []Rule) error {
	_, err := s.change(ctx, address, func([]Rule) ([]Rule, error) { return list, nil })
	return err
}

// Add puts a rule before the one of a name, or with "" at the end, and returns
// the rules as they are then.
func (s *Rules) Add(ctx context.Context, address string, rule Rule, before string) ([]Rule, error) {
	return s.change(ctx, address, func(list []Rule) ([]Rule, error) {
		at := len(list)
		if before != "" {
			if at = index(list, before); at < 0 {
				return nil, fmt.Errorf("%q: %w", before, ErrNoRule)
			}
		}
		return slices.Insert(list, at, rule), nil
	})
}

// Remove takes a rule away and returns those that stay.
func (s *Rules) Remove(ctx context.Context, address, name string) ([]Rule, error) {
	return s.change(ctx, address, func(list []Rule) ([]Rule, error) {
		at := index(list, name)
		if at < 0 {
			return nil, fmt.Errorf("%q: %w", name, ErrNoRule)
		}
		return slices.Delete(list, at, at+1), nil
	})
}

func index(list []Rule, name string) int {
	return slices.IndexFunc(list, func(r Rule) bool { return r.Name == name })
}

func (s *Rules) change(ctx context.Context, address string, fn func([]Rule) ([]Rule, error)) (list []Rule, err error) {
	acc, err := s.directory.Account(ctx, address)
	if err != nil {
		return nil, err
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Usage(acc.ID); err != nil { // removed meanwhile
			return err
		}
		old, err := s.Of(&tx.Snapshot, acc.ID)
		if err != nil && !errors.Is(err, errRecord) { // what cannot be read can be replaced
			return err
		}
		if list, err = fn(slices.Clone(old)); err != nil {
			return err
		}
		if err := s.check(list, acc.Address()); err != nil {
			return err
		}
		return put(tx, acc.ID, list)
	})
	if err != nil {
		return nil, fmt.Errorf("rules of %s: %w", acc.Address(), err)
	}
	return list, nil
}

// check refuses what Check does, and a forward that leads back at once.
func (s *Rules) check(list []Rule, own string) error {
	if err := Check(list, s.o.Limit); err != nil {
		return err
	}
	for _, r := range list {
		for _, a := range r.Actions {
			if a.Do == Forward && strings.EqualFold(a.Address, own) {
				return badRule(r.Name, "forward: %s is the account itself", a.Address)
			}
		}
	}
	return nil
}

func put(tx *store.Tx, a store.AccountID, list []Rule) error {
	if len(list) == 0 {
		tx.Delete(store.SpaceRules, rulesKey(a))
		return nil
	}
	b, err := json.Marshal(list)
	if err != nil {
		return err
	}
	tx.Put(store.SpaceRules, rulesKey(a), append([]byte{recordVersion}, b...))
	return nil
}
