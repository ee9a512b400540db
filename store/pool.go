package store

import (
	"encoding/binary"
	"fmt"
	"math"

	"tripost/store/engine"
)

// A pool is a quota root (RFC 9208 section 3.1) that several accounts share: what
// they hold together is counted, and limited, beside what each of them holds.

// PoolID names a pool for good. No two ever have the same; 0 is none.
type PoolID uint64

// pool is the record that every change of what its accounts hold writes.
type pool struct {
	octets, messages         int64
	octetLimit, messageLimit int64 // 0: none
}

const maxPoolRecord = 1 + 4*binary.MaxVarintLen64

func (p *pool) append(b []byte) []byte {
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, uint64(p.octets))
	b = binary.AppendUvarint(b, uint64(p.messages))
	b = binary.AppendUvarint(b, uint64(p.octetLimit))
	return binary.AppendUvarint(b, uint64(p.messageLimit))
}

func (p *pool) decode(b []byte) error {
	d := newDecoder(b)
	p.octets, p.messages = int64(d.uint()), int64(d.uint())
	p.octetLimit, p.messageLimit = int64(d.uint()), int64(d.uint())
	return d.err("pool record")
}

func (p *pool) usage() Usage {
	return Usage{Octets: p.octets, Messages: p.messages, OctetLimit: p.octetLimit, MessageLimit: p.messageLimit}
}

func appendPoolKey(b []byte, p PoolID) []byte {
	return binary.BigEndian.AppendUint64(append(b, spaceStore, partPool), uint64(p))
}

func poolKey(p PoolID) []byte { return appendPoolKey(nil, p) }

func readPool(r engine.Reader, id PoolID) (p pool, err error) {
	value, err := r.Get(poolKey(id))
	if err == nil && value == nil {
		err = fmt.Errorf("pool %d: %w", id, ErrNoPool)
	}
	if err != nil {
		return p, err
	}
	return p, p.decode(value)
}

func (tx *Tx) putPool(id PoolID, p *pool) {
	key := tx.slab.keep(appendPoolKey(tx.slab.room(maxFixedKey), id))
	tx.tx.Put(key, tx.slab.keep(p.append(tx.slab.room(maxPoolRecord))))
}

// CreatePool makes a pool without accounts and limits.
func (tx *Tx) CreatePool() (PoolID, error) {
	value, err := tx.r.Get(nextPoolKey())
	if err != nil {
		return 0, err
	}
	id := uint64(1)
	if value != nil {
		if id, err = decodeID(value); err != nil {
			return 0, err
		}
	}
	tx.tx.Put(nextPoolKey(), appendID(nil, id+1))
	tx.putPool(PoolID(id), &pool{})
	return PoolID(id), nil
}

// RemovePool takes a pool away, which no account may be in.
func (tx *Tx) RemovePool(id PoolID) { tx.tx.Delete(poolKey(id)) }

// SetPool puts an account into a pool, 0 for none, with what it holds; that is not
// asked whether it fits. ErrNoPool, ErrNoAccount.
func (tx *Tx) SetPool(a AccountID, to PoolID) error {
	acct, err := readAccount(tx.r, a)
	if err == nil && acct.pool != to {
		err = tx.count(acct.pool, -acct.octets, -acct.messages)
		if err == nil {
			err = tx.count(to, acct.octets, acct.messages)
		}
		acct.pool = to
		tx.putAccount(a, &acct)
	}
	if err != nil {
		return fmt.Errorf("putting account %d into pool %d: %w", a, to, err)
	}
	return nil
}

// count adds to what the accounts of a pool hold.
func (tx *Tx) count(id PoolID, octets, messages int64) error {
	if id == 0 || octets == 0 && messages == 0 {
		return nil
	}
	p, err := readPool(tx.r, id)
	if err != nil {
		return err
	}
	p.octets += octets
	p.messages += messages
	tx.putPool(id, &p)
	return nil
}

// countChange brings the pool of an account along with what was changed in the
// account's record since it was read.
func (tx *Tx) countChange(acct *account) {
	err := tx.count(acct.pool, acct.octets-acct.readOctets, acct.messages-acct.readMessages)
	if err != nil {
		tx.err = err
	}
	acct.readOctets, acct.readMessages = acct.octets, acct.messages
}

// SetPoolQuota limits what the accounts of a pool may hold together; 0 is no limit.
// What they hold beyond a new limit stays. ErrNoPool.
func (tx *Tx) SetPoolQuota(id PoolID, octets, messages int64) error {
	if octets < 0 || messages < 0 {
		return fmt.Errorf("setting the quota of pool %d: below zero", id)
	}
	p, err := readPool(tx.r, id)
	if err != nil {
		return fmt.Errorf("setting the quota: %w", err)
	}
	p.octetLimit, p.messageLimit = octets, messages
	tx.putPool(id, &p)
	return nil
}

// PoolUsage returns what the accounts of a pool hold and may hold together; their
// mailboxes are not counted. ErrNoPool.
func (r *Snapshot) PoolUsage(id PoolID) (Usage, error) {
	p, err := readPool(r.r, id)
	return p.usage(), err
}

// Room returns how much more an account may hold, by its own quota and by that of
// its pool; math.MaxInt64 where nothing limits it. ErrNoAccount.
func (r *Snapshot) Room(a AccountID) (octets, messages int64, err error) {
	acct, err := readAccount(r.r, a)
	if err != nil {
		return 0, 0, err
	}
	octets, messages, err = acct.room(r.r)
	return max(octets, 0), max(messages, 0), err
}

// room is [Snapshot.Room], below 0 by as much as is too much.
func (a *account) room(r engine.Reader) (octets, messages int64, err error) {
	octets, messages = left(a.octets, a.octetLimit), left(a.messages, a.messageLimit)
	if a.pool == 0 {
		return octets, messages, nil
	}
	p, err := readPool(r, a.pool)
	return min(octets, left(p.octets, p.octetLimit)), min(messages, left(p.messages, p.messageLimit)), err
}

// left returns what may be added to what is used; limit 0: there is none.
func left(used, limit int64) int64 {
	if limit == 0 {
		return math.MaxInt64
	}
	return limit - used
}

// fits returns ErrOverQuota where so much more is beyond the limits of an account or
// of its pool, and what is allowed beyond them. What comes from an account of the
// same pool is no more in the pool.
func (tx *Tx) fits(acct, from *account, octets, messages int64, beyond Allowance) error {
	var roomOctets, roomMessages int64
	var err error
	if from != nil && from.pool == acct.pool {
		roomOctets, roomMessages = left(acct.octets, acct.octetLimit), left(acct.messages, acct.messageLimit)
	} else {
		roomOctets, roomMessages, err = acct.room(tx.r)
	}
	if err == nil && (octets-beyond.Octets > roomOctets || messages-beyond.Messages > roomMessages) {
		err = ErrOverQuota
	}
	return err
}
