package history

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"tripost/store"
	"tripost/store/record"
)

// recordVersion is the first octet of every record.
const recordVersion = 1

// errRecord is returned for a record that cannot be read.
var errRecord = errors.New("record of the history is damaged or of a later version")

// The kinds of keys; see the package comment.
const (
	keyBody    = 'B'
	keyAction  = 'M'
	keyAttempt = 'S'
	keyDigest  = 'X'
	keyQueue   = 'Q'
)

var keyCursor = []byte("C")

func numberKey(kind byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, n)
}

func bodyKey(b store.Body) []byte { return numberKey(keyBody, uint64(b)) }

func micros(t time.Time) uint64 { return uint64(max(t.UnixMicro(), 0)) }

func mailboxPrefix(a store.AccountID, m store.MailboxID) []byte {
	return binary.BigEndian.AppendUint32(numberKey(keyAction, uint64(a)), uint32(m))
}

func actionKey(a *store.Action, at uint64) []byte {
	b := binary.BigEndian.AppendUint64(mailboxPrefix(a.Account, a.Mailbox), at)
	var first store.UID
	if len(a.UIDs) > 0 {
		first = a.UIDs[0].Lo
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(first)), byte(a.Op))
}

const (
	prefixSize    = 1 + 8 + 4
	actionKeySize = prefixSize + 8 + 4 + 1
)

func attemptKey(id, at uint64) []byte {
	return binary.BigEndian.AppendUint64(numberKey(keyAttempt, id), at)
}

// digestKey is where the index has the bodies with a Message-ID.
func digestKey(messageID string) []byte {
	sum := sha256.Sum256([]byte(bare(messageID)))
	return append([]byte{keyDigest}, sum[:8]...)
}

// bare takes the brackets off a Message-ID.
func bare(messageID string) string { return strings.Trim(strings.TrimSpace(messageID), "<>") }

// encoder writes the fields of a record.
type encoder struct{ *record.Writer }

func newEncoder() encoder { return encoder{record.New(recordVersion)} }

func (e encoder) time(t time.Time) { e.Uint(micros(t)) }

// text appends at most max octets of a text.
func (e encoder) text(s string, max int) {
	if len(s) > max {
		s = strings.ToValidUTF8(s[:max], "")
	}
	e.Text(s)
}

func (e encoder) addr(a netip.Addr) {
	if !a.IsValid() {
		e.text("", 0)
		return
	}
	e.text(a.Unmap().String(), maxWord)
}

// set appends as many ranges of a set as a record may have.
func (e encoder) set(s store.UIDSet) {
	s = s[:min(len(s), maxRanges)]
	e.Uint(uint64(len(s)))
	last := uint64(0)
	for _, r := range s {
		e.Uint(uint64(r.Lo) - last)
		e.Uint(uint64(r.Hi - r.Lo))
		last = uint64(r.Hi)
	}
}

// decoder reads the fields of a record.
type decoder struct{ record.Reader }

func newDecoder(b []byte) decoder { return decoder{record.Read(b, recordVersion)} }

func (d *decoder) time() time.Time { return time.UnixMicro(int64(d.Uint())).UTC() }

func (d *decoder) set() store.UIDSet {
	n := d.Count()
	s := make(store.UIDSet, 0, n)
	last := uint64(0)
	for range n {
		lo := last + d.Uint()
		hi := lo + d.Uint()
		s = append(s, store.UIDRange{Lo: store.UID(lo), Hi: store.UID(hi)})
		last = hi
	}
	return s
}

// end returns what went wrong in reading what.
func (d *decoder) end(what string) error {
	if !d.Whole() {
		return fmt.Errorf("%s: %w", what, errRecord)
	}
	return nil
}

// Bounds of one record.
const (
	maxWord       = 64     // octets of a protocol, a session, an address
	maxClient     = 100    // octets of what a program calls itself
	maxPath       = 256    // octets of a mail address or a mailbox's name
	maxNote       = 500    // octets of a reply, or of what was found out about the sender
	maxRecipients = 50     // of one message that are named
	maxSteps      = 50     // of one message
	maxRanges     = 10_000 // of UIDs
	maxKeywords   = 20
)

func (e encoder) identity(id *store.Identity) {
	e.text(id.Name, maxPath)
	e.text(id.Actor.Protocol, maxWord)
	e.text(id.Actor.Session, maxWord)
	e.addr(id.Actor.Remote)
	e.text(id.Actor.Client, maxClient)
}

func (d *decoder) who() Who {
	return Who{Account: d.Text(), Protocol: d.Text(), Session: d.Text(), Remote: d.Text(), Client: d.Text()}
}

// Origin is how a message came in, and where it went.
type Origin struct {
	QueueID   uint64 // 0: it was appended to a mailbox
	MessageID string
	At        time.Time
	Who       Who
	Helo      string
	With      string // the protocol as the Received field has it
	From      string // reverse-path
	Size      int64
	Checks    string // what was found out about the sender
	Parent    uint64 // queue id of the message that a rule has passed on, or answered
	Bodies    []store.Body
	Places    []Place
	More      int // recipients that are not named

	Group  string     // whose members it was passed on to, from the message Parent
	Passed []PassedOn // what its groups pass on
	Steps  []Step
}

// PassedOn is a message that the members of a group get instead of the one that
// was sent to it.
type PassedOn struct {
	Group   string // its address
	QueueID uint64
}

// Step is what happened to a message on its way, beside where it went.
type Step struct {
	What    StepKind
	Who     string // the account whose rules did it, or the recipient that led to it
	Text    string // what they did, whom it is about, or why
	QueueID uint64 // of the message that was made; 0: none
}

// StepKind is what a [Step] is.
type StepKind uint8

const (
	Ruled        StepKind = iota + 1 // rules were met: Text has their names and what they ask for
	Forwarded                        // rules passed it on: Text has the addresses
	NotForwarded                     // and why they did not
	Answered                         // rules answered: Text has the sender
	LeftOut                          // Text has a member who does not get it, and why
	lastStep     = LeftOut
)

// Place is where one copy went: into a mailbox, to another host, or nowhere.
type Place struct {
	Recipient string // the address
	By        string // the recipient of the envelope that led to it, where that is another one
	Account   store.AccountID
	Address   string // of the account
	Mailbox   store.MailboxID
	Name      string // of the mailbox
	UID       store.UID
	Host      string // for a copy that goes to another host
}

func (o *Origin) encode() []byte {
	e := newEncoder()
	e.Uint(o.QueueID)
	e.text(o.MessageID, maxPath)
	e.time(o.At)
	e.text(o.Who.Account, maxPath)
	e.text(o.Who.Protocol, maxWord)
	e.text(o.Who.Session, maxWord)
	e.text(o.Who.Remote, maxWord)
	e.text(o.Who.Client, maxClient)
	e.text(o.Helo, maxPath)
	e.text(o.With, maxWord)
	e.text(o.From, maxPath)
	e.Uint(uint64(o.Size))
	e.text(o.Checks, maxNote)
	e.Uint(o.Parent)
	e.Uint(uint64(len(o.Bodies)))
	for _, b := range o.Bodies {
		e.Uint(uint64(b))
	}
	n := min(len(o.Places), maxRecipients)
	places, led := o.Places[:n], false
	e.Uint(uint64(n))
	for i := range places {
		p := &places[i]
		led = led || p.By != ""
		e.text(p.Recipient, maxPath)
		e.Uint(uint64(p.Account))
		e.text(p.Address, maxPath)
		e.Uint(uint64(p.Mailbox))
		e.text(p.Name, maxPath)
		e.Uint(uint64(p.UID))
		e.text(p.Host, maxPath)
	}
	e.Uint(uint64(o.More + len(o.Places) - n))
	if o.Group == "" && len(o.Passed) == 0 && len(o.Steps) == 0 && !led {
		return e.Bytes()
	}
	e.text(o.Group, maxPath)
	n = min(len(o.Passed), maxRecipients)
	e.Uint(uint64(n))
	for _, p := range o.Passed[:n] {
		e.text(p.Group, maxPath)
		e.Uint(p.QueueID)
	}
	if len(o.Steps) == 0 && !led {
		return e.Bytes()
	}
	for i := range places {
		e.text(places[i].By, maxPath)
	}
	steps := o.Steps[:min(len(o.Steps), maxSteps)]
	e.Uint(uint64(len(steps)))
	for _, s := range steps {
		e.Uint(uint64(s.What))
		e.text(s.Who, maxPath)
		e.text(s.Text, maxNote)
		e.Uint(s.QueueID)
	}
	return e.Bytes()
}

func decodeOrigin(b []byte) (*Origin, error) {
	d := newDecoder(b)
	o := &Origin{QueueID: d.Uint(), MessageID: d.Text(), At: d.time(), Who: d.who(),
		Helo: d.Text(), With: d.Text(), From: d.Text(), Size: int64(d.Uint()), Checks: d.Text(), Parent: d.Uint()}
	for range d.Count() {
		o.Bodies = append(o.Bodies, store.Body(d.Uint()))
	}
	for range d.Count() {
		o.Places = append(o.Places, Place{
			Recipient: d.Text(), Account: store.AccountID(d.Uint()), Address: d.Text(),
			Mailbox: store.MailboxID(d.Uint()), Name: d.Text(), UID: store.UID(d.Uint()), Host: d.Text(),
		})
	}
	o.More = int(d.Uint())
	if d.More() {
		o.Group = d.Text()
		for range d.Count() {
			o.Passed = append(o.Passed, PassedOn{Group: d.Text(), QueueID: d.Uint()})
		}
	}
	if d.More() {
		for i := range o.Places {
			o.Places[i].By = d.Text()
		}
		for range d.Count() {
			o.Steps = append(o.Steps, Step{What: StepKind(d.UpTo(uint64(lastStep))), Who: d.Text(), Text: d.Text(), QueueID: d.Uint()})
		}
	}
	if o.QueueID == 0 && len(o.Places) == 0 {
		d.Fail() // a message that was put into a mailbox is in one
	}
	return o, d.end("how a message came in")
}

// action is an [store.Action] as it is read again.
type action struct {
	op      store.Op
	at      time.Time
	who     Who
	name    string
	uids    store.UIDSet
	flagged store.FlagOp
	flags   store.Flags
	words   []string
	to      Place // without UID
	targets store.UIDSet
}

func encodeAction(a *store.Action) []byte {
	e := newEncoder()
	e.identity(&a.By)
	e.text(a.Name, maxPath)
	e.set(a.UIDs)
	switch a.Op {
	case store.OpFlags:
		e.Uint(uint64(a.Flagged))
		e.Uint(uint64(a.Flags.System))
		words := a.Flags.Keywords[:min(len(a.Flags.Keywords), maxKeywords)]
		e.Uint(uint64(len(words)))
		for _, w := range words {
			e.text(w, maxWord)
		}
	case store.OpCopy, store.OpMove, store.OpRestore:
		e.Uint(uint64(a.To.Account))
		e.Uint(uint64(a.ToID))
		e.text(a.To.Name, maxPath)
		e.set(a.Targets)
	}
	return e.Bytes()
}

func decodeAction(key, b []byte) (*action, error) {
	if len(key) != actionKeySize {
		return nil, fmt.Errorf("key of an action: %w", errRecord)
	}
	a := &action{
		op: store.Op(key[actionKeySize-1]),
		at: time.UnixMicro(int64(binary.BigEndian.Uint64(key[prefixSize:]))).UTC(),
	}
	d := newDecoder(b)
	a.who, a.name, a.uids = d.who(), d.Text(), d.set()
	switch a.op {
	case store.OpFlags:
		a.flagged, a.flags = store.FlagOp(d.Uint()), store.Flags(d.Uint())
		for range d.Count() {
			a.words = append(a.words, d.Text())
		}
	case store.OpCopy, store.OpMove, store.OpRestore:
		a.to = Place{Account: store.AccountID(d.Uint()), Mailbox: store.MailboxID(d.Uint()), Name: d.Text()}
		a.targets = d.set()
	}
	return a, d.end("an action")
}

// target returns the UID that corresponds to u.
func (a *action) target(u store.UID) (store.UID, bool) {
	nth := 0
	for _, r := range a.uids {
		if u >= r.Lo && u <= r.Hi {
			nth += int(u - r.Lo)
			for _, t := range a.targets {
				if n := int(t.Hi-t.Lo) + 1; nth < n {
					return t.Lo + store.UID(nth), true
				} else {
					nth -= n
				}
			}
			return 0, false
		}
		nth += int(r.Hi-r.Lo) + 1
	}
	return 0, false
}

// Outcome is what an attempt has made of one recipient.
type Outcome struct {
	Recipient string
	State     string // "relayed", "deferred", "failed"
	Reply     string
}

// Attempt is one try to send a queued message to one destination.
type Attempt struct {
	At       time.Time
	Host     string
	Via      string // the peer: "mx.company.test [192.0.2.7]"
	Security string // what secured the connection
	Outcomes []Outcome
}

func (a *Attempt) encode() []byte {
	e := newEncoder()
	e.text(a.Host, maxPath)
	e.text(a.Via, maxPath)
	e.text(a.Security, maxWord)
	some := a.Outcomes[:min(len(a.Outcomes), maxRecipients)]
	e.Uint(uint64(len(some)))
	for _, o := range some {
		e.text(o.Recipient, maxPath)
		e.text(o.State, maxWord)
		e.text(o.Reply, maxNote)
	}
	return e.Bytes()
}

func decodeAttempt(key, b []byte) (*Attempt, error) {
	if len(key) != 1+8+8 {
		return nil, fmt.Errorf("key of an attempt: %w", errRecord)
	}
	d := newDecoder(b)
	a := &Attempt{At: time.UnixMicro(int64(binary.BigEndian.Uint64(key[9:]))).UTC(), Host: d.Text(), Via: d.Text(), Security: d.Text()}
	for range d.Count() {
		a.Outcomes = append(a.Outcomes, Outcome{d.Text(), d.Text(), d.Text()})
	}
	return a, d.end("an attempt")
}
