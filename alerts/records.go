package alerts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"tripost/store"
	"tripost/store/record"
)

// The kinds of keys; see the package comment.
const (
	keyPosted  = 'P'
	keyServer  = 'S'
	keyDomain  = 'D'
	keyAccount = 'A'
	keyShown   = 'W'
	keySeen    = 'V'
	keyLast    = 'T'
	keyBell    = 'G'
	keyNotice  = 'O'
)

// recordVersion is the first octet of every value. A reader that meets another
// one refuses the record.
const recordVersion = 1

// errRecord is returned for a record that cannot be read.
var errRecord = errors.New("record of an alert is damaged or of a later version")

const stampSize = 8

// stampKey returns prefix and a stamp, or another number, in octets of its own.
func stampKey(prefix []byte, stamp uint64) []byte {
	k := make([]byte, 0, len(prefix)+stampSize)
	return binary.BigEndian.AppendUint64(append(k, prefix...), stamp)
}

// stampAt returns the number that a key ends with.
func stampAt(key []byte) uint64 {
	if len(key) < stampSize {
		return 0
	}
	return binary.BigEndian.Uint64(key[len(key)-stampSize:])
}

func postedKey(id ID) []byte { return stampKey([]byte{keyPosted}, uint64(id)) }

func shownKey(a store.AccountID) []byte { return stampKey([]byte{keyShown}, uint64(a)) }

func seenPrefix(id ID) []byte { return stampKey([]byte{keySeen}, uint64(id)) }

func seenKey(id ID, a store.AccountID) []byte { return stampKey(seenPrefix(id), uint64(a)) }

func domainPrefix(domain string) []byte {
	return append(append([]byte{keyDomain}, domain...), 0)
}

func accountPrefix(a store.AccountID) []byte { return stampKey([]byte{keyAccount}, uint64(a)) }

// posted is the record of an alert.
type posted struct {
	scope   Scope
	domain  string
	made    int64 // when the domain was made, Unix seconds: another of its name is another one
	account store.AccountID
	text    string
}

// sameTarget reports whether two alerts are for the same.
func (p *posted) sameTarget(q *posted) bool {
	return p.scope == q.scope && p.domain == q.domain && p.made == q.made && p.account == q.account
}

// prefix returns what the keys of alerts for the same begin with.
func (p *posted) prefix() []byte {
	switch p.scope {
	case Server:
		return []byte{keyServer}
	case Domain:
		return domainPrefix(p.domain)
	default:
		return accountPrefix(p.account)
	}
}

func (p *posted) encode() []byte {
	return record.New(recordVersion).Uint(uint64(p.scope)).Text(p.domain).Int(p.made).Uint(uint64(p.account)).Text(p.text).Bytes()
}

func decodePosted(b []byte) (posted, error) {
	f := readFields(b)
	p := posted{scope: Scope(f.Uint()), domain: f.Text(), made: f.Int(), account: store.AccountID(f.Uint()), text: f.Text()}
	if p.scope != Server && p.scope != Domain && p.scope != Account {
		f.Fail()
	}
	return p, f.end(keyPosted)
}

// shown is what an account has been shown.
type shown struct {
	mark     ID        // of the latest alert of its domain or the server
	returned []ID      // up to mark, given back: to be shown again; ascending
	told     bool      // that the quota is nearly used up, and it still was when last looked at
	toldAt   time.Time // the last quota alert, to the second; zero: there was none
}

func (s *shown) encode() []byte {
	at := int64(0)
	if !s.toldAt.IsZero() {
		at = s.toldAt.Unix()
	}
	w := record.New(recordVersion).Uint(uint64(s.mark)).Bool(s.told).Int(at).Uint(uint64(len(s.returned)))
	for _, id := range s.returned {
		w.Uint(uint64(id))
	}
	return w.Bytes()
}

func decodeShown(b []byte) (shown, error) {
	f := readFields(b)
	s := shown{mark: ID(f.Uint()), told: f.Uint() == 1}
	if at := f.Int(); at != 0 {
		s.toldAt = time.Unix(at, 0).UTC()
	}
	for range f.Count() {
		s.returned = append(s.returned, ID(f.Uint()))
	}
	return s, f.end(keyShown)
}

// encodeNumber makes a value of one number: a stamp of T and G, Unix seconds of
// V, the newest account of S and D, 0 of A.
func encodeNumber(n uint64) []byte { return record.New(recordVersion).Uint(n).Bytes() }

func decodeNumber(kind byte, b []byte) (uint64, error) {
	f := readFields(b)
	n := f.Uint()
	return n, f.end(kind)
}

// fields reads the fields of a record.
type fields struct{ record.Reader }

func readFields(b []byte) *fields { return &fields{record.Read(b, recordVersion)} }

// end returns what went wrong in reading a record of kind.
func (f *fields) end(kind byte) error {
	if !f.Whole() {
		return fmt.Errorf("reading a record of kind %c: %w", kind, errRecord)
	}
	return nil
}
