package store

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"tripost/message"
	"tripost/store/engine"
)

// Options are what a store can be told. The zero value is useful.
type Options struct {
	// Undelete is how long expunged messages can be restored; 0: not at all.
	Undelete time.Duration
	// Limits bound what the scan of a message keeps.
	Limits message.Limits
	// IndividualField names the header field that lists the people of a shared
	// account whom a message is for: see [Store.OpenIndividual]. A message keeps
	// the individuals that it had under the name of the time when it came.
	// "": X-Real-To.
	IndividualField string
	// Now tells the time; nil: time.Now.
	Now func() time.Time
	// IndexOctets bounds the memory of indexes that no session uses at the
	// moment; 0: 16 MiB, below 0: none are kept.
	IndexOctets int64
	// Logf takes what [Store.Run] has to say, with the System Log's levels;
	// nil: nothing is said.
	Logf func(level int, text string)
	// MaxMailboxes bounds the names of one account; 0: 10,000.
	MaxMailboxes int
	// History is given each [Action], in the transaction that does it; nil: there
	// is no history. Its error undoes the transaction.
	History func(*Tx, *Action) error
	// Reads is told of each message whose text a client was given, outside of any
	// transaction. It must not block.
	Reads func(by *Identity, a AccountID, m MailboxID, name string, u UID)
	// KeepChanges bounds the change records of one mailbox by number and age: a
	// client that knew the mailbox before reads the whole of it. 0: 10,000
	// records, 30 days.
	KeepChanges    int
	KeepChangesFor time.Duration
}

func (o *Options) setDefaults() {
	if o.IndividualField == "" {
		o.IndividualField = "X-Real-To"
	}
	o.Limits.Keep = o.IndividualField
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.IndexOctets == 0 {
		o.IndexOctets = 16 << 20
	}
	if o.Logf == nil {
		o.Logf = func(int, string) {}
	}
	if o.MaxMailboxes == 0 {
		o.MaxMailboxes = 10000
	}
	if o.KeepChanges == 0 {
		o.KeepChanges = 10000
	}
	if o.KeepChangesFor == 0 {
		o.KeepChangesFor = 30 * 24 * time.Hour
	}
}

// Store is the mail store on one engine. It is safe for concurrent use.
type Store struct {
	engine   engine.Engine
	o        Options
	pictures pictures
	scanners sync.Pool     // of *message.Scanner
	clearing chan struct{} // tells Run that a mailbox was removed
}

// format is the version of the schema of this package's records.
const format = 5

// upgrades lead from one version of the schema to the next: upgrades[n] takes a
// store from version n+1 to n+2. Each may be run again after it was cut short.
var upgrades = [...]func(*Store, context.Context) error{
	(*Store).fillIndividuals,
	asTheyAre, // version 3 knows message records with a zone besides those before
	asTheyAre, // version 4 has flag blocks, which need not be there
	asTheyAre, // version 5 knows pools; which accounts share one is for who makes them to say
}

// asTheyAre is the upgrade to a version in which all records of the one before are valid.
func asTheyAre(*Store, context.Context) error { return nil }

// New puts a store on an open engine: it writes the schema's version into an
// empty one, brings an older one up to date in place, and refuses a newer one
// with [engine.ErrNewerFormat]. The store takes the engine over: [Store.Close]
// closes it.
func New(ctx context.Context, e engine.Engine, o Options) (*Store, error) {
	o.setDefaults()
	s := &Store{engine: e, o: o, clearing: make(chan struct{}, 1)}
	s.scanners.New = func() any { return message.NewScanner(o.Limits) }
	s.pictures.init(e, o.IndexOctets)
	if err := s.upgrade(ctx); err != nil {
		return nil, fmt.Errorf("opening the mail store: %w", err)
	}
	return s, nil
}

// upgrade brings the schema to the present version, one durable step at a time.
func (s *Store) upgrade(ctx context.Context) error {
	found, err := readFormat(ctx, s.engine)
	if err != nil {
		return err
	}
	if found > format {
		return fmt.Errorf("its records have version %d, this program knows up to %d: %w", found, format, engine.ErrNewerFormat)
	}
	for v := found; v < format; v++ {
		if v > 0 { // 0: an empty store has nothing to bring along
			if err := upgrades[v-1](s, ctx); err != nil {
				return fmt.Errorf("upgrading records from version %d: %w", v, err)
			}
		}
		value := appendID(nil, v+1)
		if err := s.engine.Update(ctx, func(tx engine.Tx) error {
			tx.Put(formatKey(), value)
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func readFormat(ctx context.Context, e engine.Engine) (found uint64, err error) {
	err = e.View(ctx, func(r engine.Reader) error {
		value, err := r.Get(formatKey())
		if err != nil || value == nil {
			return err
		}
		found, err = decodeID(value)
		return err
	})
	return found, err
}

// Close closes the engine. Views must have been closed and Run have returned.
func (s *Store) Close() error { return s.engine.Close() }

// Now tells the time that the store goes by: see [Options].
func (s *Store) Now() time.Time { return s.o.Now() }

// Undelete returns [Options.Undelete].
func (s *Store) Undelete() time.Duration { return s.o.Undelete }

// Engine returns the engine below.
func (s *Store) Engine() engine.Engine { return s.engine }

// MaxMailboxes returns how many names an account may have.
func (s *Store) MaxMailboxes() int { return s.o.MaxMailboxes }

// validityAt returns the least UIDVALIDITY that may be given out at a time.
func validityAt(t time.Time) uint32 {
	return uint32(min(max(t.Unix(), 1), math.MaxUint32))
}
