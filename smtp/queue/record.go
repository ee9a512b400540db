package queue

import (
	"encoding/binary"
	"fmt"
	"time"

	"tripost/store"
)

// recordVersion is the first octet of every record. A reader takes this version
// and older ones.
const recordVersion = 3

// message is the record of one message that waits: what all its destinations
// share.
type message struct {
	id      uint64 // from the key
	from    string
	account string // address of the account that submitted it; empty for others
	body    store.Body
	offset  int64 // octets at the head of the body that are not sent: our own fields for local copies
	size    int64 // octets that are sent
	created time.Time
	bits8   bool   // some octet is above 127
	utf8    bool   // the peer must know SMTPUTF8
	binary  bool   // its lines may have any length and any octets (RFC 3030)
	ours    bool   // this server answers for it: it was sent by a user, or made here
	pending uint32 // destinations left; the last one takes the record with it

	requireTLS  bool // RFC 8689
	tlsOptional bool // the same, section 5

	returns  Return // since version 2
	envelope string // ENVID in clear; since version 2
}

// destination is the record of one message's recipients that go to one place.
type destination struct {
	id         uint64 // from the key
	host       string
	port       int
	direct     bool // host itself is asked, not its MX
	attempts   int
	next       time.Time
	tried      time.Time // last attempt; zero: none yet
	held       bool
	warned     bool // the sender knows of the delay
	hurry      bool // the next attempt asks hosts that did not answer lately
	lastError  string
	secured    string // how the last connection was secured; since version 3
	recipients []recipient
}

// recipient is one address that still waits.
type recipient struct {
	address  string // what the peer is given
	original string // what the submitter gave, when that was something else
	reply    string // the last temporary reply to it
	notify   Notify // since version 2
	orcpt    string // ORCPT in clear; since version 2
	once     bool   // not kept: see dropNamed
}

// name returns what tells a destination from the others of a message. Hosts are
// at most 255 octets, or an IP address.
func (d *destination) name() string {
	if !d.direct {
		return d.host
	}
	return fmt.Sprintf("=%s:%d", d.host, d.port)
}

// encoder appends the parts of a record.
type encoder struct{ b []byte }

func (e *encoder) uint(v uint64) { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.uint(0)
		return
	}
	e.uint(uint64(max(t.UnixMilli(), 1)))
}

func (e *encoder) string(s string) {
	e.uint(uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) bits(set ...bool) {
	var v uint64
	for i, on := range set {
		if on {
			v |= 1 << i
		}
	}
	e.uint(v)
}

// decoder takes the parts off again. The first fault sticks.
type decoder struct {
	b      []byte
	format byte // version of the record
	err    error
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errRecord
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) time() time.Time {
	if v := d.uint(); v != 0 {
		return time.UnixMilli(int64(v))
	}
	return time.Time{}
}

func (d *decoder) string() string {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.b, d.err = nil, errRecord
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

// version checks the first octet.
func (d *decoder) version() {
	if len(d.b) == 0 || d.b[0] == 0 || d.b[0] > recordVersion {
		d.b, d.err = nil, errRecord
		return
	}
	d.format, d.b = d.b[0], d.b[1:]
}

func (m *message) encode() []byte {
	e := encoder{b: []byte{recordVersion}}
	e.string(m.from)
	e.string(m.account)
	e.uint(uint64(m.body))
	e.uint(uint64(m.offset))
	e.uint(uint64(m.size))
	e.time(m.created)
	e.bits(m.bits8, m.utf8, m.requireTLS, m.tlsOptional, m.binary, m.ours)
	e.uint(uint64(m.pending))
	e.uint(uint64(m.returns))
	e.string(m.envelope)
	return e.b
}

func decodeMessage(id uint64, b []byte) (*message, error) {
	d := decoder{b: b}
	d.version()
	m := &message{
		id:      id,
		from:    d.string(),
		account: d.string(),
		body:    store.Body(d.uint()),
		offset:  int64(d.uint()),
		size:    int64(d.uint()),
		created: d.time(),
	}
	bits := d.uint()
	m.bits8, m.utf8 = bits&1 != 0, bits&2 != 0
	m.requireTLS, m.tlsOptional = bits&4 != 0, bits&8 != 0
	m.binary, m.ours = bits&16 != 0, bits&32 != 0
	m.pending = uint32(d.uint())
	if d.format >= 2 {
		m.returns, m.envelope = Return(d.uint()), d.string()
	}
	if d.err != nil {
		return nil, fmt.Errorf("message %d: %w", id, d.err)
	}
	return m, nil
}

func (t *destination) encode() []byte {
	e := encoder{b: []byte{recordVersion}}
	e.string(t.host)
	e.uint(uint64(t.port))
	e.bits(t.direct, t.held, t.warned, t.hurry)
	e.uint(uint64(t.attempts))
	e.time(t.next)
	e.time(t.tried)
	e.string(t.lastError)
	e.string(t.secured)
	e.uint(uint64(len(t.recipients)))
	for _, r := range t.recipients {
		e.string(r.address)
		e.string(r.original)
		e.string(r.reply)
		e.uint(uint64(r.notify))
		e.string(r.orcpt)
	}
	return e.b
}

func decodeDestination(id uint64, b []byte) (*destination, error) {
	d := decoder{b: b}
	d.version()
	t := &destination{id: id, host: d.string(), port: int(d.uint())}
	bits := d.uint()
	t.direct, t.held, t.warned, t.hurry = bits&1 != 0, bits&2 != 0, bits&4 != 0, bits&8 != 0
	t.attempts = int(d.uint())
	t.next, t.tried = d.time(), d.time()
	t.lastError = d.string()
	if d.format >= 3 {
		t.secured = d.string()
	}
	for n := d.uint(); n > 0 && d.err == nil; n-- {
		r := recipient{address: d.string(), original: d.string(), reply: d.string()}
		if d.format >= 2 {
			r.notify, r.orcpt = Notify(d.uint()), d.string()
		}
		t.recipients = append(t.recipients, r)
	}
	if d.err != nil {
		return nil, fmt.Errorf("destination of message %d: %w", id, d.err)
	}
	return t, nil
}
