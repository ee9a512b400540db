package accounts

import (
	"context"
	"encoding/binary"
	"time"
)

// A POP client is told before it signs in what the strictest policy is that it
// may meet (RFC 2449 sections 6.5 and 6.7). The settings of accounts and domains
// that matter for it are also kept by their value, so that the strictest one
// comes first and is found without a look at each account.

// The kinds of strictness: what follows keyStrict.
const (
	strictExpire     = 'E' // by days
	strictLoginDelay = 'W' // by ^nanoseconds: the longest first
)

// strictKey is that of one owner's setting.
func strictKey(kind byte, value uint64, owner []byte) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{keyStrict, kind}, value), owner...)
}

// strictKeys returns the keys that a policy has; owner is the key of the record
// that it is in. What is off is no strictness.
func (p Policy) strictKeys(owner []byte) [][]byte {
	var keys [][]byte
	if days, _ := p.POPExpire.Get(); days > 0 {
		keys = append(keys, strictKey(strictExpire, uint64(days), owner))
	}
	if delay, _ := p.POPLoginDelay.Get(); delay > 0 {
		keys = append(keys, strictKey(strictLoginDelay, ^uint64(delay), owner))
	}
	return keys
}

// replaceStrict makes the keys follow a change of policy, the zero value being
// that of an owner that is not there.
func (w *writer) replaceStrict(owner []byte, policy, old Policy) {
	for _, key := range old.strictKeys(owner) {
		w.delete(key)
	}
	for _, key := range policy.strictKeys(owner) {
		w.put(key, newStored().b)
	}
}

// Strictest returns the fewest days of POPExpire and the longest POPLoginDelay
// that the server, a domain or an account asks for; both are 0 when nobody asks
// for any. Its cost does not grow with the number of accounts.
func (d *Directory) Strictest(ctx context.Context) (expire int, delay time.Duration, err error) {
	err = d.View(ctx, func(n *Names) error {
		expire, delay, err = n.strictest()
		return err
	})
	return expire, delay, err
}

func (n *Names) strictest() (expire int, delay time.Duration, err error) {
	expire, delay = n.server.POPExpire.Or(0), n.server.POPLoginDelay.Or(0)
	days, found, err := n.firstStrict(strictExpire)
	if err != nil {
		return 0, 0, err
	}
	if found && (expire <= 0 || int(days) < expire) {
		expire = int(days)
	}
	longest, found, err := n.firstStrict(strictLoginDelay)
	if err != nil {
		return 0, 0, err
	}
	if found {
		delay = max(delay, time.Duration(^longest))
	}
	return expire, delay, nil
}

func (n *Names) firstStrict(kind byte) (value uint64, found bool, err error) {
	prefix := []byte{keyStrict, kind}
	key, err := n.first(prefix)
	if err != nil || len(key) < len(prefix)+8 {
		return 0, false, err
	}
	return binary.BigEndian.Uint64(key[len(prefix):]), true, nil
}
