package accounts

import (
	"container/list"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"tripost/store"
)

// maxRemembered bounds the password checks that are remembered. Each takes
// about 200 octets.
const maxRemembered = 10_000

// remembered knows which passwords were found right a short while ago, so that a
// client that polls every minute does not cost an argon2id each time. It holds
// no password and no hash of one: what stands for a check is a MAC, under a key
// that lives as long as the process, over the account, what its password is
// checked with, and the password. A new password makes what was remembered of
// the old one useless at once, and a wrong password is never remembered.
//
// It answers only whether the password is right. Whether the account may sign in
// is asked each time. It may be shared by goroutines.
type remembered struct {
	key  []byte
	now  func() time.Time
	life time.Duration // from the check, not from the last use; 0: nothing is remembered
	most int

	mu    sync.Mutex // guards what follows
	by    map[check]*list.Element
	order *list.List // of rememberedCheck, the latest used in front
}

// check stands for one account, its credentials and a password.
type check [sha256.Size]byte

type rememberedCheck struct {
	check check
	until time.Time
}

func newRemembered(key []byte, now func() time.Time, life time.Duration) *remembered {
	return &remembered{
		key: key, now: now, life: max(life, 0), most: maxRemembered,
		by: make(map[check]*list.Element), order: list.New(),
	}
}

// of returns what stands for a check.
func (r *remembered) of(id store.AccountID, c credentials, password string) check {
	h := hmac.New(sha256.New, r.key)
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(id))
	binary.BigEndian.PutUint64(b[8:], uint64(len(c.hash)))
	h.Write(b[:])
	h.Write([]byte(c.hash))
	h.Write([]byte(password))
	return check(h.Sum(nil))
}

func (r *remembered) has(c check) bool {
	if r.life == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.by[c]
	if e == nil {
		return false
	}
	if !r.now().Before(e.Value.(rememberedCheck).until) {
		r.remove(e)
		return false
	}
	r.order.MoveToFront(e)
	return true
}

func (r *remembered) add(c check) {
	if r.life == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.by[c]; e != nil {
		r.remove(e)
	}
	r.by[c] = r.order.PushFront(rememberedCheck{check: c, until: r.now().Add(r.life)})
	if r.order.Len() > r.most {
		r.remove(r.order.Back())
	}
}

func (r *remembered) remove(e *list.Element) {
	delete(r.by, r.order.Remove(e).(rememberedCheck).check)
}
