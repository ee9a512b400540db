package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// Keys are read again when a token names one that is not known, and when they
// are keysFresh old, but not more often than keysEvery, or keysRetry after it
// has failed. While it fails, the old ones serve until they are keysLife old.
const (
	keysEvery = time.Minute
	keysRetry = 5 * time.Second
	keysFresh = time.Hour
	keysLife  = 24 * time.Hour
)

// keySource reads an issuer's keys.
type keySource func(context.Context) ([]*publicKey, error)

// keySource returns the source that a URL or a path names.
func (c *Checker) keySource(where string) (keySource, error) {
	if strings.Contains(where, "://") {
		return func(ctx context.Context) ([]*publicKey, error) { return c.fetchKeys(ctx, where) }, checkURL(where)
	}
	return func(context.Context) ([]*publicKey, error) { return readKeys(where) }, nil
}

func (c *Checker) fetchKeys(ctx context.Context, where string) ([]*publicKey, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	b, err := c.fetch(r, maxKeySet)
	if err != nil {
		return nil, err
	}
	return parseKeys(b)
}

func readKeys(path string) ([]*publicKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeySet))
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(b)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return keys, err
}

// keySet is an issuer's keys, read when they are needed.
type keySet struct {
	source keySource
	now    func() time.Time

	turn    chan struct{} // holds one: who has it may use what follows
	keys    []*publicKey
	read    time.Time // when keys were
	tried   time.Time // when they were tried to be
	failing error     // of that
}

func newKeySet(source keySource, now func() time.Time) *keySet {
	return &keySet{source: source, now: now, turn: make(chan struct{}, 1)}
}

// find returns the keys for an algorithm that have an id, or all for it when a
// token names none.
func (s *keySet) find(ctx context.Context, algorithm, id string) ([]*publicKey, error) {
	algorithm = canonical(algorithm)
	if algorithm != algRSA && algorithm != algECDSA && algorithm != algEdDSA {
		return nil, errors.New("its signature is of a kind that is not taken")
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, unavailable("keys of the issuer", ctx.Err())
	}
	found := s.matching(algorithm, id)
	if (len(found) == 0 || s.age(s.read) >= keysFresh) && s.mayRead() {
		s.refresh(ctx)
		found = s.matching(algorithm, id)
	}
	switch {
	case len(found) > 0:
		return found, nil
	case s.failing != nil:
		return nil, unavailable("keys of the issuer", s.failing)
	}
	return nil, errors.New("it is signed with a key that the issuer does not name")
}

func (s *keySet) age(t time.Time) time.Duration { return s.now().Sub(t) }

func (s *keySet) mayRead() bool {
	if s.failing != nil {
		return s.age(s.tried) >= keysRetry
	}
	return s.age(s.tried) >= keysEvery
}

// refresh reads the keys again. That the client which needs them goes away
// meanwhile is no reason to leave the others without.
func (s *keySet) refresh(ctx context.Context) {
	s.tried = s.now()
	keys, err := s.source(context.WithoutCancel(ctx))
	if s.failing = err; err == nil {
		s.keys, s.read = keys, s.tried
	} else if s.age(s.read) >= keysLife {
		s.keys = nil
	}
}

func (s *keySet) matching(algorithm, id string) []*publicKey {
	var found []*publicKey
	for _, k := range s.keys {
		if k.algorithm == algorithm && (id == "" || k.id == id) {
			found = append(found, k)
		}
	}
	return found
}
