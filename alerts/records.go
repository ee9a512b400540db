package alerts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"tripost/store"
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
	b := make([]byte, 0, 2+4*binary.MaxVarintLen64+len(p.domain)+len(p.text))
	b = append(b, recordVersion, byte(p.scope))
	b = appendText(b, p.domain)
	b = binary.AppendVarint(b, p.made)
	b = binary.AppendUvarint(b, uint64(p.account))
	return appendText(b, p.text)
}

func decodePosted(b []byte) (posted, error) {
	f := readFields(b)
	p := posted{scope: Scope(f.number()), domain: f.text(), made: f.signed(), account: store.AccountID(f.number()), text: f.text()}
	if p.scope != Server && p.scope != Domain && p.scope != Account {
		f.fail()
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
	b := binary.AppendUvarint([]byte{recordVersion}, uint64(s.mark))
	told, at := byte(0), int64(0)
	if s.told {
		told = 1
	}
	if !s.toldAt.IsZero() {
		at = s.toldAt.Unix()
	}
	b = binary.AppendVarint(append(b, told), at)
	b = binary.AppendUvarint(b, uint64(len(s.returned)))
	for _, id := range s.returned {
		b = binary.AppendUvarint(b, uint64(id))
	}
	return b
}

func decodeShown(b []byte) (shown, error) {
	f := readFields(b)
	s := shown{mark: ID(f.number()), told: f.number() == 1}
	if at := f.signed(); at != 0 {
		s.toldAt = time.Unix(at, 0).UTC()
	}
	for range min(f.number(), uint64(len(b))) {
		s.returned = append(s.returned, ID(f.number()))
	}
	return s, f.end(keyShown)
}

// encodeNumber makes a value of one number: a stamp of T and G, Unix seconds of
// V, the newest account of S and D, 0 of A.
func encodeNumber(n uint64) []byte { return binary.AppendUvarint([]byte{recordVersion}, n) }

func decodeNumber(kind byte, b []byte) (uint64, error) {
	f := readFields(b)
	n := f.number()
	return n, f.end(kind)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// fields reads a value. After the first field that is not there all others are
// zero and failed is set, so that it is asked once, at the end.
type fields struct {
	b      []byte
	failed bool
}

func readFields(b []byte) *fields {
	if len(b) == 0 || b[0] != recordVersion {
		return &fields{failed: true}
	}
	return &fields{b: b[1:]}
}

func (f *fields) number() uint64 {
	n, size := binary.Uvarint(f.b)
	if size <= 0 {
		f.fail()
		return 0
	}
	f.b = f.b[size:]
	return n
}

func (f *fields) signed() int64 {
	n, size := binary.Varint(f.b)
	if size <= 0 {
		f.fail()
		return 0
	}
	f.b = f.b[size:]
	return n
}

func (f *fields) text() string {
	n := f.number()
	if n > uint64(len(f.b)) {
		f.fail()
		return ""
	}
	s := string(f.b[:n])
	f.b = f.b[n:]
	return s
}

func (f *fields) fail() { f.b, f.failed = nil, true }

// end returns what went wrong in reading a record of kind.
func (f *fields) end(kind byte) error {
	if f.failed || len(f.b) > 0 {
		return fmt.Errorf("reading a record of kind %c: %w", kind, errRecord)
	}
	return nil
}
