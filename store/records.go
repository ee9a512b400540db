package store

import (
	"encoding/binary"
	"fmt"

	"tripost/store/engine"
)

// recordVersion begins every value.
const recordVersion = 1

// decoder reads the varints of one value. After something that does not fit it
// yields zeros, and err tells.
type decoder struct {
	b   []byte
	bad bool
}

func newDecoder(b []byte) decoder {
	d := decoder{b: b}
	if d.octet() != recordVersion {
		d.bad = true
	}
	return d
}

func (d *decoder) octet() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uint() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 {
		v := uint64(d.b[0])
		d.b = d.b[1:]
		return v
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) text() string {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

// count reads the number of items that follow, each of at least one octet, so
// that a damaged record cannot ask for more memory than it has octets.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n)
}

func (d *decoder) err(what string) error {
	if !d.bad {
		return nil
	}
	return fmt.Errorf("reading %s: %w", what, engine.ErrDamaged)
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendTexts(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendText(b, s)
	}
	return b
}

func (d *decoder) texts() []string {
	n := d.count()
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = d.text()
	}
	return list
}

// account is the record that every change in an account writes.
type account struct {
	modSeq       ModSeq // the last one given out
	octets       int64  // of the messages in its mailboxes
	messages     int64
	octetLimit   int64 // 0: none
	messageLimit int64
	nextMailbox  MailboxID
	lastValidity uint32 // the last UIDVALIDITY given out
	names        uint32 // mailboxes, directory-only names too
	metadata     int64  // what its metadata counts
	pool         PoolID // 0: none

	readOctets, readMessages int64 // as they were when the record was read: see countChange
}

const maxAccountRecord = 1 + 7*binary.MaxVarintLen64 + 3*binary.MaxVarintLen32

func (a *account) append(b []byte) []byte {
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, uint64(a.modSeq))
	b = binary.AppendUvarint(b, uint64(a.octets))
	b = binary.AppendUvarint(b, uint64(a.messages))
	b = binary.AppendUvarint(b, uint64(a.octetLimit))
	b = binary.AppendUvarint(b, uint64(a.messageLimit))
	b = binary.AppendUvarint(b, uint64(a.nextMailbox))
	b = binary.AppendUvarint(b, uint64(a.lastValidity))
	b = binary.AppendUvarint(b, uint64(a.names))
	if a.metadata != 0 || a.pool != 0 {
		b = binary.AppendUvarint(b, uint64(a.metadata))
	}
	if a.pool != 0 {
		b = binary.AppendUvarint(b, uint64(a.pool))
	}
	return b
}

func (a *account) decode(b []byte) error {
	d := newDecoder(b)
	a.modSeq = ModSeq(d.uint())
	a.octets = int64(d.uint())
	a.messages = int64(d.uint())
	a.octetLimit = int64(d.uint())
	a.messageLimit = int64(d.uint())
	a.nextMailbox = MailboxID(d.uint())
	a.lastValidity = uint32(d.uint())
	a.names = uint32(d.uint())
	if a.metadata = 0; len(d.b) > 0 {
		a.metadata = int64(d.uint())
	}
	if a.pool = 0; len(d.b) > 0 {
		a.pool = PoolID(d.uint())
	}
	a.readOctets, a.readMessages = a.octets, a.messages
	return d.err("account record")
}

// mailbox is what is known of a name, apart from what it holds.
type mailbox struct {
	name       string
	kind       mailboxKind
	validity   uint32 // UIDVALIDITY; 0 while directory-only
	specialUse string
	acl        []ACLEntry
}

type mailboxKind byte

const (
	kindDirectory  mailboxKind = iota // a name without messages
	kindSelectable                    // holds messages
	kindRemains                       // a directory left by a deletion: goes with its last child
)

func (m *mailbox) append(b []byte) []byte {
	b = append(b, recordVersion, byte(m.kind))
	b = binary.AppendUvarint(b, uint64(m.validity))
	b = appendText(b, m.name)
	b = appendText(b, m.specialUse)
	b = binary.AppendUvarint(b, uint64(len(m.acl)))
	for _, e := range m.acl {
		b = binary.AppendUvarint(b, uint64(e.Rights))
		b = appendText(b, e.ID)
	}
	return b
}

func (m *mailbox) decode(b []byte) error {
	d := newDecoder(b)
	m.kind = mailboxKind(d.octet())
	m.validity = uint32(d.uint())
	m.name = d.text()
	m.specialUse = d.text()
	m.acl = nil
	if n := d.count(); n > 0 {
		m.acl = make([]ACLEntry, n)
		for i := range m.acl {
			m.acl[i].Rights = Rights(d.uint())
			m.acl[i].ID = d.text()
		}
	}
	return d.err("mailbox record")
}

// state is a mailbox's counters: [State] without the keywords' names, which
// have a record of their own so that an append does not carry them.
type state struct {
	State
	keywords uint32 // how many names there are
	changes  uint32 // how many change records there are
}

const maxStateRecord = 1 + 4*binary.MaxVarintLen64 + 12*binary.MaxVarintLen32

func (s *state) append(b []byte) []byte {
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, uint64(s.UIDValidity))
	b = binary.AppendUvarint(b, uint64(s.UIDNext))
	b = binary.AppendUvarint(b, uint64(s.Exists))
	b = binary.AppendUvarint(b, uint64(s.Unseen))
	b = binary.AppendUvarint(b, uint64(s.Deleted))
	b = binary.AppendUvarint(b, uint64(s.Octets))
	b = binary.AppendUvarint(b, uint64(s.RecentBase))
	b = binary.AppendUvarint(b, uint64(s.Recent))
	b = binary.AppendUvarint(b, uint64(s.HighestModSeq))
	b = binary.AppendUvarint(b, uint64(s.Floor))
	b = binary.AppendUvarint(b, uint64(s.keywords))
	b = binary.AppendUvarint(b, uint64(s.changes))
	// The last ones are rare, so those at the end are left out where they are 0.
	if s.Unended > 0 || s.UTF8Headers > 0 || s.DeletedOctets != 0 || s.UniqueIDs > 0 {
		b = binary.AppendUvarint(b, uint64(s.Unended))
	}
	if s.UTF8Headers > 0 || s.DeletedOctets != 0 || s.UniqueIDs > 0 {
		b = binary.AppendUvarint(b, uint64(s.UTF8Headers))
	}
	if s.DeletedOctets != 0 || s.UniqueIDs > 0 {
		b = binary.AppendUvarint(b, uint64(s.DeletedOctets))
	}
	if s.UniqueIDs > 0 {
		b = binary.AppendUvarint(b, uint64(s.UniqueIDs))
	}
	return b
}

func (s *state) decode(b []byte) error {
	d := newDecoder(b)
	s.UIDValidity = uint32(d.uint())
	s.UIDNext = UID(d.uint())
	s.Exists = uint32(d.uint())
	s.Unseen = uint32(d.uint())
	s.Deleted = uint32(d.uint())
	s.Octets = int64(d.uint())
	s.RecentBase = UID(d.uint())
	s.Recent = uint32(d.uint())
	s.HighestModSeq = ModSeq(d.uint())
	s.Floor = ModSeq(d.uint())
	s.keywords = uint32(d.uint())
	s.changes = uint32(d.uint())
	s.Unended, s.UTF8Headers, s.DeletedOctets, s.UniqueIDs = 0, 0, 0, 0
	if len(d.b) > 0 {
		s.Unended = uint32(d.uint())
	}
	if len(d.b) > 0 {
		s.UTF8Headers = uint32(d.uint())
	}
	if len(d.b) > 0 {
		s.DeletedOctets = int64(d.uint())
	}
	if len(d.b) > 0 {
		s.UniqueIDs = uint32(d.uint())
	}
	return d.err("mailbox state")
}

// count adds m to the counters, or with sign -1 takes it away.
func (s *state) count(m *entry, sign int) {
	n := uint32(sign)
	s.Exists += n
	s.Octets += int64(sign) * m.Size
	if m.Unended {
		s.Unended += n
	}
	if m.UTF8Header {
		s.UTF8Headers += n
	}
	if m.Flags&FlagSeen == 0 {
		s.Unseen += n
	}
	if m.Flags&FlagDeleted != 0 {
		s.Deleted += n
		s.DeletedOctets += int64(sign) * m.Size
	}
	if m.UID >= s.RecentBase {
		s.Recent += n
	}
}

// entry is a message's record.
type entry struct {
	Message
	saved   int64  // when it came into this mailbox, Unix seconds
	created ModSeq // of its arrival in this mailbox
}

// zonedVersion begins the record of a message whose internal date has a zone.
const zonedVersion = 2

// What stands in the flags of a record besides flags.
const (
	unended    Flags = 1 << 7 // [Message.Unended]
	utf8Header Flags = 1 << 6 // [Message.UTF8Header]
	individual Flags = 1 << 5 // [Message.Individual]
)

func (m *Message) recordFlags() Flags {
	f := m.Flags
	if m.Unended {
		f |= unended
	}
	if m.UTF8Header {
		f |= utf8Header
	}
	if m.Individual {
		f |= individual
	}
	return f
}

func (m *Message) setRecordFlags(f Flags) {
	m.Flags = f &^ (unended | utf8Header | individual)
	m.Unended, m.UTF8Header, m.Individual = f&unended != 0, f&utf8Header != 0, f&individual != 0
}

const maxMessageRecord = 1 + 8*binary.MaxVarintLen64

func (e *entry) append(b []byte) []byte {
	version := byte(recordVersion)
	if e.Zone != 0 {
		version = zonedVersion
	}
	b = append(b, version)
	b = binary.AppendUvarint(b, uint64(e.recordFlags()))
	b = binary.AppendUvarint(b, uint64(e.Size))
	b = binary.AppendVarint(b, e.Date)
	b = binary.AppendUvarint(b, uint64(e.created))
	b = binary.AppendUvarint(b, uint64(e.ModSeq-e.created))
	b = binary.AppendUvarint(b, uint64(e.Body))
	b = binary.AppendVarint(b, e.saved-e.Date)
	if e.Zone != 0 {
		b = binary.AppendVarint(b, int64(e.Zone))
	}
	return b
}

// decode reads a record; the UID is in the key.
func (e *entry) decode(u UID, b []byte) error {
	d := decoder{b: b}
	e.read(u, &d)
	return d.err("message record")
}

func (e *entry) read(u UID, d *decoder) {
	version := d.octet()
	d.bad = d.bad || version != recordVersion && version != zonedVersion
	e.UID = u
	e.setRecordFlags(Flags(d.uint()))
	e.Size = int64(d.uint())
	e.Date = d.int()
	e.created = ModSeq(d.uint())
	e.ModSeq = e.created + ModSeq(d.uint())
	e.Body = Body(d.uint())
	e.saved = e.Date + d.int()
	if e.Zone = 0; version == zonedVersion {
		zone := d.int()
		e.Zone = Zone(zone)
		d.bad = d.bad || int64(e.Zone) != zone
	}
}

// trashed is the record of an expunged message.
type trashed struct {
	entry
	at, until int64    // Unix seconds
	mailbox   string   // its name at the time
	keywords  []string // the names of the message's keywords
	uniqueID  string   // "": the ordinary one
}

// appendTrashed writes a trash record around an encoded message record.
func appendTrashed(b []byte, record []byte, at, until int64, mailbox string, keywords []string, uniqueID string) []byte {
	b = append(b, record...)
	b = binary.AppendVarint(b, at)
	b = binary.AppendVarint(b, until-at)
	b = appendText(b, mailbox)
	b = appendTexts(b, keywords)
	if uniqueID != "" { // few messages have any
		b = appendText(b, uniqueID)
	}
	return b
}

func (t *trashed) decode(u UID, b []byte) error {
	d := decoder{b: b}
	t.read(u, &d)
	t.at = d.int()
	t.until = t.at + d.int()
	t.mailbox = d.text()
	t.keywords = d.texts()
	if t.uniqueID = ""; len(d.b) > 0 {
		t.uniqueID = d.text()
	}
	return d.err("trash record")
}

// removed says that a mailbox's contents are still to be cleared away.
type removed struct {
	name   string
	at     int64 // Unix seconds
	modSeq ModSeq
}

func (r *removed) append(b []byte) []byte {
	b = append(b, recordVersion)
	b = binary.AppendVarint(b, r.at)
	b = binary.AppendUvarint(b, uint64(r.modSeq))
	return appendText(b, r.name)
}

func (r *removed) decode(b []byte) error {
	d := newDecoder(b)
	r.at = d.int()
	r.modSeq = ModSeq(d.uint())
	r.name = d.text()
	return d.err("record of a removed mailbox")
}

func decodeKeywords(b []byte) ([]string, error) {
	d := newDecoder(b)
	list := d.texts()
	return list, d.err("keywords")
}

func appendKeywords(b []byte, list []string) []byte {
	return appendTexts(append(b, recordVersion), list)
}

func decodeID(b []byte) (uint64, error) {
	d := newDecoder(b)
	id := d.uint()
	return id, d.err("id")
}

func appendID(b []byte, id uint64) []byte {
	return binary.AppendUvarint(append(b, recordVersion), id)
}
