package accounts

import (
	"context"
	"sync"

	"tripost/store"
)

// Sessions knows which sessions an account has, in all protocols, and can end
// them at once. It may be shared by goroutines; the zero value is ready.
type Sessions struct {
	mu     sync.Mutex // guards what follows, and all of each session but its owner
	of     map[store.AccountID]map[*session]bool
	closed map[store.AccountID]bool // whose sessions end as they begin
}

// session is one connection of a client.
type session struct {
	owner   *Sessions
	close   func() // nil: it was called
	account store.AccountID
	known   bool // it has signed in
}

// end closes the session, once. The owner's mutex is held.
func (one *session) end() {
	if one.close != nil {
		one.close()
		one.close = nil
	}
}

type sessionKey struct{}

// Begin returns the context under which a session is served, so that it is found
// when it has signed in. end ends the session; it may be called from any
// goroutine, at most once, and not after leave, which the caller calls when the
// session is over.
func (s *Sessions) Begin(ctx context.Context, end func()) (_ context.Context, leave func()) {
	one := &session{owner: s, close: end}
	return context.WithValue(ctx, sessionKey{}, one), one.leave
}

// signedIn notes whose session a context belongs to, if it belongs to one.
func signedIn(ctx context.Context, id store.AccountID) {
	one, ok := ctx.Value(sessionKey{}).(*session)
	if !ok {
		return
	}
	one.leave() // of another account, before
	s := one.owner
	s.mu.Lock()
	defer s.mu.Unlock()
	one.account, one.known = id, true
	if s.of == nil {
		s.of = make(map[store.AccountID]map[*session]bool)
	}
	if s.of[id] == nil {
		s.of[id] = make(map[*session]bool)
	}
	s.of[id][one] = true
	if s.closed[id] {
		one.end() // it was signing in while the account was closed
	}
}

func (one *session) leave() {
	s := one.owner
	s.mu.Lock()
	defer s.mu.Unlock()
	if !one.known {
		return
	}
	one.known = false
	delete(s.of[one.account], one)
	if len(s.of[one.account]) == 0 {
		delete(s.of, one.account)
	}
}

// Close ends all sessions of an account, and those that are just signing in, and
// returns how many there were. It is for an account that is locked already.
func (s *Sessions) Close(id store.AccountID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed == nil {
		s.closed = make(map[store.AccountID]bool)
	}
	s.closed[id] = true
	for one := range s.of[id] {
		one.end()
	}
	return len(s.of[id])
}

// Open lets an account have sessions again.
func (s *Sessions) Open(id store.AccountID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.closed, id)
}
