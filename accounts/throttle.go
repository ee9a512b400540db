package accounts

import (
	"container/list"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"
)

// Who guesses passwords waits longer with each guess; who mistypes, or whose
// telephone still knows the old password, hardly notices. The rule:
//
//   - A failure counts for the address it came from (of IPv6, the /64) and for
//     the account it was meant for, for throttleMemory.
//   - The same wrong password for the same account counts once. (SCRAM, APOP
//     and CRAM-MD5 do not show the password, so each of their failures counts.)
//   - The first freeFailures cost nothing, each one after doubles the delay,
//     from firstDelay up to the longest.
//   - Delays of one address follow one another: attempts made at the same time
//     queue up. An attempt that would have to wait for more than the longest
//     delay waits that long and is refused unseen.
//   - An account's delay counts in full only for addresses that are delayed
//     themselves. Any other one waits cleanDelay at most, so that a stranger's
//     guesses cannot lock the owner out.
//   - A right password takes away what this address failed at this account, and
//     nothing else: guessing between sign-ins to an account of one's own gains nothing.
const (
	throttleMemory = 15 * time.Minute
	freeFailures   = 3
	firstDelay     = time.Second
	cleanDelay     = time.Second
	defaultDelay   = 20 * time.Second // the longest, if not configured

	// GuessesToTell is from how many failures of an account on its owner should
	// hear of them: more than a forgotten password makes.
	GuessesToTell = 10

	maxFailures = 16    // remembered of one address or account; the delay is at its longest long before
	maxCulprits = 4_000 // addresses, and accounts, remembered; then the one not seen for the longest time goes
)

// failure is one wrong password. The fields are keyed hashes.
type failure struct {
	account  uint64
	address  uint64
	password uint64
	at       time.Time
}

func (f failure) same(g failure) bool { return f.account == g.account && f.password == g.password }

// culprit is an address or an account with failures.
type culprit struct {
	key      uint64
	failures []failure // oldest first
	next     time.Time // until then earlier attempts are being delayed
}

// throttle remembers failed sign-ins. It may be shared by goroutines.
type throttle struct {
	key     []byte // of the hashes, for this process only
	now     func() time.Time
	longest time.Duration

	mu        sync.Mutex // guards what follows
	addresses culprits
	accounts  culprits
}

func newThrottle(key []byte, now func() time.Time, longest time.Duration) *throttle {
	if longest <= 0 {
		longest = defaultDelay
	}
	return &throttle{key: key, now: now, longest: longest, addresses: newCulprits(), accounts: newCulprits()}
}

// delay returns how long an attempt has to wait before the password may be
// looked at, and whether it is to be refused after that instead.
func (t *throttle) delay(addr netip.Addr, account string) (wait time.Duration, refuse bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	wait = t.queue(t.addresses.find(t.addressKey(addr), now), now)
	clean := wait == 0
	if clean {
		byAccount := t.accounts.find(t.hash("account", account), now)
		return min(t.delayAfter(byAccount.count()), cleanDelay), false
	}
	wait = max(wait, t.queue(t.accounts.find(t.hash("account", account), now), now))
	if wait > t.longest {
		return t.longest, true
	}
	return wait, false
}

// queue takes the next place behind the attempts that wait already, unless
// that is too far away.
func (t *throttle) queue(c *culprit, now time.Time) time.Duration {
	d := t.delayAfter(c.count())
	if d == 0 {
		return 0
	}
	start := now
	if c.next.After(now) {
		start = c.next
	}
	wait := start.Add(d).Sub(now)
	if wait <= t.longest {
		c.next = now.Add(wait)
	}
	return wait
}

func (t *throttle) delayAfter(failures int) time.Duration {
	if failures < freeFailures {
		return 0
	}
	d := firstDelay << (failures - freeFailures)
	return min(d, t.longest)
}

// failed records a wrong password, "" when it is not known, and returns how
// many count against the address and against the account now.
func (t *throttle) failed(addr netip.Addr, account, password string) (ofAddress, ofAccount int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	f := failure{account: t.hash("account", account), address: t.addressKey(addr), at: now}
	if password != "" {
		f.password = t.hash("password", password)
	}
	ofAccount = t.accounts.add(f.account, f, password != "")
	return t.addresses.add(f.address, f, password != ""), ofAccount
}

// succeeded forgets what this address failed at this account.
func (t *throttle) succeeded(addr netip.Addr, account string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, n := t.addressKey(addr), t.hash("account", account)
	t.addresses.forget(a, func(f failure) bool { return f.account == n })
	t.accounts.forget(n, func(f failure) bool { return f.address == a })
}

func (t *throttle) addressKey(addr netip.Addr) uint64 {
	addr = addr.Unmap()
	if addr.Is6() {
		if p, err := addr.WithZone("").Prefix(64); err == nil {
			addr = p.Addr()
		}
	}
	return t.hash("address", addr.String())
}

func (t *throttle) hash(kind, text string) uint64 {
	h := hmac.New(sha256.New, t.key)
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write([]byte(text))
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// culprits is a bounded set, ordered by when each was last seen failing.
type culprits struct {
	by    map[uint64]*list.Element
	order *list.List // of *culprit, the latest in front
}

func newCulprits() culprits {
	return culprits{by: make(map[uint64]*list.Element), order: list.New()}
}

// find returns the culprit without what is too old to count; nil, which has no
// failures, when there is none.
func (s *culprits) find(key uint64, now time.Time) *culprit {
	e := s.by[key]
	if e == nil {
		return nil
	}
	c := e.Value.(*culprit)
	c.keep(func(f failure) bool { return now.Sub(f.at) < throttleMemory })
	if len(c.failures) == 0 {
		s.remove(e)
		return nil
	}
	return c
}

// add records a failure; once says that the same one counts once.
func (s *culprits) add(key uint64, f failure, once bool) int {
	c := s.find(key, f.at)
	if c == nil {
		c = &culprit{key: key}
		s.by[key] = s.order.PushFront(c)
		if s.order.Len() > maxCulprits {
			s.remove(s.order.Back())
		}
	} else {
		s.order.MoveToFront(s.by[key])
	}
	if once {
		c.keep(func(g failure) bool { return !g.same(f) })
	}
	if len(c.failures) == maxFailures {
		c.failures = append(c.failures[:0], c.failures[1:]...)
	}
	c.failures = append(c.failures, f)
	return len(c.failures)
}

func (s *culprits) forget(key uint64, match func(failure) bool) {
	e := s.by[key]
	if e == nil {
		return
	}
	c := e.Value.(*culprit)
	c.keep(func(f failure) bool { return !match(f) })
	if len(c.failures) == 0 {
		s.remove(e)
	}
}

func (s *culprits) remove(e *list.Element) {
	delete(s.by, s.order.Remove(e).(*culprit).key)
}

func (c *culprit) count() int {
	if c == nil {
		return 0
	}
	return len(c.failures)
}

func (c *culprit) keep(ok func(failure) bool) {
	kept := c.failures[:0]
	for _, f := range c.failures {
		if ok(f) {
			kept = append(kept, f)
		}
	}
	c.failures = kept
}
