package history

import (
	"context"
	"errors"
	"time"

	"tripost/store"
	"tripost/store/engine"
)

// Options are the settings of a [History]. Zero values take the defaults.
type Options struct {
	// Keep is how long what is known of a message stays after it is gone; 0: 30
	// days.
	Keep time.Duration
	// Limit bounds the actions that are kept of one mailbox: of more, the oldest
	// go; 0: 20,000.
	Limit int
	Now   func() time.Time // nil: time.Now
	Logf  func(format string, args ...any)
}

// History is what the store remembers of messages.
type History struct {
	store *store.Store
	reads *Reads
	o     Options
}

// New returns the history that is in st. reads is what the store tells of texts
// that were given out; nil: nothing is told.
func New(st *store.Store, reads *Reads, o Options) *History {
	if o.Keep <= 0 {
		o.Keep = 30 * 24 * time.Hour
	}
	if o.Limit <= 0 {
		o.Limit = 20_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	return &History{store: st, reads: reads, o: o}
}

const (
	// writeEvery is how long texts that were given out wait to be recorded; a crash
	// loses so much of it. The indexes follow at the same pace.
	writeEvery = 5 * time.Second
	// indexShare bounds the transactions of the indexes at a time, so that they do
	// not hold up deliveries.
	indexShare = 10
	// purgeEvery is how often it is looked what need not be kept any longer.
	purgeEvery = 6 * time.Hour
)

// Run does the background work until ctx ends.
func (h *History) Run(ctx context.Context) error {
	write, purge := time.NewTicker(writeEvery), time.NewTicker(purgeEvery)
	defer write.Stop()
	defer purge.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			// What was read up to now is kept.
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeEvery)
			defer cancel()
			h.report(ending, h.Write(ending))
			return nil
		case <-write.C:
			if err = h.Write(ctx); err == nil {
				err = h.index(ctx, indexShare)
			}
		case <-purge.C:
			err = h.Purge(ctx)
		}
		h.report(ctx, err)
	}
}

// report logs what went wrong in the background.
func (h *History) report(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && !errors.Is(err, engine.ErrReadOnly) {
		h.o.Logf("history: %v", err)
	}
}
