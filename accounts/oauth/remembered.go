package oauth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxRemembered bounds the tokens that are remembered. Each takes some 200
// octets.
const maxRemembered = 10_000

// remembered knows tokens that were found good a short while ago, by their
// hashes: tokens are long and random, so that a hash tells nothing.
type remembered struct {
	now func() time.Time

	mu sync.Mutex // guards by
	by map[[sha256.Size]byte]rememberedToken
}

type rememberedToken struct {
	login string
	until time.Time
}

func newRemembered(now func() time.Time) *remembered {
	return &remembered{now: now, by: make(map[[sha256.Size]byte]rememberedToken)}
}

func (r *remembered) get(token string) (login string, ok bool) {
	key := sha256.Sum256([]byte(token))
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.by[key]
	if ok && !r.now().Before(t.until) {
		delete(r.by, key)
		ok = false
	}
	return t.login, ok
}

// put remembers a token until a time. When there are too many, those that have
// had their time are forgotten, or else all: the next question puts it right.
func (r *remembered) put(token, login string, until time.Time) {
	now := r.now()
	if !now.Before(until) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.by) >= maxRemembered {
		for key, t := range r.by {
			if !now.Before(t.until) {
				delete(r.by, key)
			}
		}
	}
	if len(r.by) >= maxRemembered {
		clear(r.by)
	}
	r.by[sha256.Sum256([]byte(token))] = rememberedToken{login, until}
}
