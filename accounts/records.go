package accounts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"tripost/store"
)

// The directory space. Every key begins with one octet that names its kind;
// names in keys are canonical and hold no zero octet; ids are eight octets, big
// end first. Every value begins with recordVersion.
//
//	D domain             a domain, or an alias name of one
//	O domain 0 local     what a name stands for: account, alias, forwarder or group, and which
//	A id                 an account
//	P id                 what checks its password
//	B id local           an alias of the account
//	I domain 0 id        the accounts of a domain by age
//	M                    the name of the Main Domain
//	K                    the secret that the salts of unknown names are made from
//	C fingerprint        the account that has this client certificate
//	T address            the domain that a local IP address is assigned to, 16 octets
//	L id                 an account's password, sealed: see legacy.go
//	G member 0 group     a group that has the member, both as addresses
//	N id name            a mailbox alias of an account
//	X domain 0 local     an account that was removed and can be restored: see removed.go
//	S kind value owner   a policy of an account or domain by strictness: see strictest.go
const (
	keyDomain      = 'D'
	keyObject      = 'O'
	keyAccount     = 'A'
	keyPassword    = 'P'
	keyAliasOf     = 'B'
	keyByAge       = 'I'
	keyMain        = 'M'
	keySecret      = 'K'
	keyCertificate = 'C'
	keyAddress     = 'T'
	keyLegacy      = 'L'
	keyStrict      = 'S'
	keyMember      = 'G'
	keyRemoved     = 'X'

	keyMailboxAlias = 'N'
)

// recordVersion is the first octet of every value. A reader that meets another
// one refuses the record. Fields that a kind of record got later stand at its
// end, and are zero where a record is without them.
const recordVersion = 1

// errRecord is returned for a value that cannot be read.
var errRecord = errors.New("directory record is damaged or of a later version")

func domainKey(domain string) []byte { return append([]byte{keyDomain}, domain...) }

func objectKey(domain, local string) []byte {
	return append(objectPrefix(domain), local...)
}

func objectPrefix(domain string) []byte {
	k := make([]byte, 0, 2+len(domain)+maxName)
	k = append(k, keyObject)
	k = append(k, domain...)
	return append(k, 0)
}

func idKey(kind byte, id store.AccountID) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, uint64(id))
}

func aliasOfKey(id store.AccountID, local string) []byte {
	return append(idKey(keyAliasOf, id), local...)
}

func byAgePrefix(domain string) []byte {
	return append(append([]byte{keyByAge}, domain...), 0)
}

func byAgeKey(domain string, id store.AccountID) []byte {
	return binary.BigEndian.AppendUint64(byAgePrefix(domain), uint64(id))
}

// after returns the first key behind all keys with the prefix.
func after(prefix []byte) []byte {
	hi := append([]byte(nil), prefix...)
	for i := len(hi) - 1; i >= 0; i-- {
		if hi[i]++; hi[i] != 0 {
			return hi[:i+1]
		}
	}
	return nil
}

// record builds a value: fields one after the other, strings with their length.
type record struct{ b []byte }

func newRecord() *record { return &record{b: []byte{recordVersion}} }

func (r *record) number(n uint64) *record {
	r.b = binary.AppendUvarint(r.b, n)
	return r
}

func (r *record) text(s string) *record {
	r.b = append(binary.AppendUvarint(r.b, uint64(len(s))), s...)
	return r
}

func (r *record) choice(b bool) *record {
	if b {
		return r.number(1)
	}
	return r.number(0)
}

func (r *record) time(t time.Time) *record {
	r.b = binary.AppendVarint(r.b, t.Unix())
	return r
}

// fields reads a value. After the first field that is not there all others are
// zero and err is set, so that it is asked once, at the end.
type fields struct {
	b   []byte
	err error
}

func readRecord(b []byte) *fields {
	if len(b) == 0 || b[0] != recordVersion {
		return &fields{err: errRecord}
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

func (f *fields) time() time.Time {
	n, size := binary.Varint(f.b)
	if size <= 0 {
		f.fail()
		return time.Time{}
	}
	f.b = f.b[size:]
	return time.Unix(n, 0).UTC()
}

// choice reads a number that has only these meanings: 0 and 1.
func (f *fields) choice() bool {
	n := f.number()
	if n > 1 {
		f.fail()
	}
	return n == 1
}

// setting reads a [Choice].
func (f *fields) setting() Choice {
	n := f.number()
	if n > uint64(Off) {
		f.fail()
		return Default
	}
	return Choice(n)
}

// policy adds what a [Policy] got later than SecureMethodRequired. A setting is a
// switch that tells whether it is made, and its value.
func (r *record) policy(p Policy) *record {
	days, hasDays := p.POPExpire.Get()
	delay, hasDelay := p.POPLoginDelay.Get()
	hold, hasHold := p.POPHold.Get()
	percent, hasPercent := p.QuotaAlert.Get()
	sendAs, hasSendAs := p.SendAs.Get()
	hide, hasHide := p.IMAPHide.Get()
	_, hasServices := p.Services.Get() // what they are stands before
	return r.choice(hasDays).number(uint64(days)).
		choice(hasDelay).number(uint64(delay / time.Second)).
		choice(hasHold).number(uint64(hold.Messages)).number(uint64(hold.Percent)).
		choice(hasPercent).number(uint64(percent)).
		number(uint64(p.DMARC.Or(0))).number(uint64(p.Spam.Or(0))).
		choice(hasSendAs).text(sendAs).
		limit(p.MaxOctets).limit(p.MaxMessages).toggle(p.MailToAll).
		choice(hasHide).text(string(hide)).
		choice(hasServices)
}

func (r *record) limit(s Setting[int64]) *record {
	n, set := s.Get()
	return r.choice(set).number(uint64(n))
}

func (r *record) toggle(s Setting[bool]) *record {
	on, set := s.Get()
	return r.choice(set).choice(on)
}

func (f *fields) limit(s *Setting[int64]) {
	if set, n := f.choice(), f.number(); set {
		if n > maxQuota {
			f.fail()
		}
		*s = Set(int64(n))
	}
}

func (f *fields) toggle(s *Setting[bool]) {
	if set, on := f.choice(), f.choice(); set {
		*s = Set(on)
	}
}

// policy reads what [record.policy] added.
func (f *fields) policy(p *Policy) {
	f.earlierPolicy(p)
	if f.more() {
		f.servicesSet(&p.Services)
	}
}

// earlierPolicy reads what a policy had while it stood among the fields of a domain.
func (f *fields) earlierPolicy(p *Policy) {
	if set, days := f.choice(), f.upTo(maxExpire); set {
		p.POPExpire = Set(days)
	}
	if set, seconds := f.choice(), f.upTo(int(maxLoginDelay/time.Second)); set {
		p.POPLoginDelay = Set(time.Duration(seconds) * time.Second)
	}
	if set, hold := f.choice(), (Hold{f.upTo(maxHold), f.upTo(99)}); set {
		p.POPHold = Set(hold)
	}
	if set, percent := f.choice(), f.upTo(100); set {
		p.QuotaAlert = Set(percent)
	}
	if f.more() {
		f.handling(&p.DMARC)
		f.handling(&p.Spam)
	}
	if f.more() {
		if set, list := f.choice(), f.text(); set {
			p.SendAs = Set(list)
		}
	}
	if f.more() {
		f.limit(&p.MaxOctets)
		f.limit(&p.MaxMessages)
		f.toggle(&p.MailToAll)
	}
	if f.more() {
		if set, hide := f.choice(), Hidden(f.text()); set && hide.check() == nil {
			p.IMAPHide = Set(hide)
		} else if set {
			f.fail()
		}
	}
}

// handling reads a [Handling]; 0: it is left to the next one up.
func (f *fields) handling(s *Setting[Handling]) {
	if h := Handling(f.upTo(int(Refuse))); h != 0 {
		*s = Set(h)
	}
}

// upTo reads a number that is at most so large.
func (f *fields) upTo(most int) int {
	n := f.number()
	if n > uint64(most) {
		f.fail()
		return 0
	}
	return int(n)
}

// more reports whether there is another field.
func (f *fields) more() bool { return len(f.b) > 0 }

func (f *fields) fail() { f.b, f.err = nil, errRecord }

// join takes over what went wrong in reading a part of the value.
func (f *fields) join(part *fields) {
	if part.err != nil || len(part.b) > 0 {
		f.fail()
	}
}

// end returns what went wrong in reading a record of kind.
func (f *fields) end(kind byte) error {
	if f.err == nil && len(f.b) > 0 {
		f.err = errRecord
	}
	if f.err != nil {
		return fmt.Errorf("reading a record of kind %c: %w", kind, f.err)
	}
	return nil
}

// Services are kept as those that are off, so that one added later is on. Where
// none is off they are left to the next one up, unless the policy says that they
// are set.

func servicesOff(s Setting[Service]) uint64 {
	if on, set := s.Get(); set {
		return uint64(AllServices &^ on)
	}
	return 0
}

func (f *fields) servicesOff(s *Setting[Service]) {
	if off := Service(f.number()); off != 0 {
		*s = Set(AllServices &^ off)
	}
}

// servicesSet reads whether services are set where none is off.
func (f *fields) servicesSet(s *Setting[Service]) {
	if set := f.choice(); set && *s == (Setting[Service]{}) {
		*s = Set(AllServices)
	}
}

// What a record of kind D is, in its first field. With 0 it is a domain whose
// policy stands among the other fields, where it can get nothing new.
const (
	domainAlias  = 1
	domainRecord = 2 // its policy is one field
)

func encodeDomain(d Domain) []byte {
	r := newRecord().number(domainRecord).number(servicesOff(d.Services)).time(d.Created).number(uint64(len(d.Aliases)))
	for _, a := range d.Aliases {
		r.text(a)
	}
	r.number(uint64(d.SecureMethodRequired)).number(uint64(len(d.Addresses)))
	for _, ip := range d.Addresses {
		r.text(string(ip.AsSlice()))
	}
	policy := (&record{}).policy(d.Policy)
	return r.text(string(policy.b)).text(d.Unknown).number(uint64(d.AllSenders)).
		number(uint64(d.Pool)).number(uint64(d.TotalOctets)).number(uint64(d.TotalMessages)).b
}

func encodeDomainAlias(of string) []byte { return newRecord().number(domainAlias).text(of).b }

// decodeDomain returns the domain, or the name of the one that this is an alias of.
func decodeDomain(name string, b []byte) (d Domain, aliasOf string, err error) {
	f := readRecord(b)
	kind := f.upTo(domainRecord)
	if kind == domainAlias {
		aliasOf = f.text()
		return d, aliasOf, f.end(keyDomain)
	}
	d.Name = name
	f.servicesOff(&d.Services)
	d.Created = f.time()
	for range min(f.number(), uint64(len(b))) {
		d.Aliases = append(d.Aliases, f.text())
	}
	if f.more() {
		d.SecureMethodRequired = f.setting()
		for range min(f.number(), uint64(len(b))) {
			d.Addresses = append(d.Addresses, f.address())
		}
	}
	switch {
	case kind == domainRecord:
		policy := fields{b: []byte(f.text())}
		policy.policy(&d.Policy)
		f.join(&policy)
	case f.more():
		f.earlierPolicy(&d.Policy)
	}
	if f.more() {
		d.Unknown, d.AllSenders = f.text(), Senders(f.upTo(int(lastSenders)))
	}
	if f.more() {
		d.Pool = store.PoolID(f.number())
		f.quota(&d.TotalOctets)
		f.quota(&d.TotalMessages)
	}
	return d, "", f.end(keyDomain)
}

// quota reads what may be kept at most.
func (f *fields) quota(n *int64) {
	if *n = int64(min(f.number(), maxQuota+1)); *n > maxQuota {
		f.fail()
	}
}

func (f *fields) address() netip.Addr {
	ip, ok := netip.AddrFromSlice([]byte(f.text()))
	if !ok {
		f.fail()
	}
	return ip
}

// object is what a name stands for.
type object struct {
	kind   objectKind
	id     store.AccountID // of an account, or of the one that an alias is of
	target string          // of a forwarder
	group  Group           // its members and settings
}

// objectKind tells what has a name.
type objectKind uint8

const (
	isAccount objectKind = iota
	isAlias
	isForwarder
	isGroup
)

func encodeObject(o object) []byte {
	r := newRecord().number(uint64(o.kind))
	switch o.kind {
	case isForwarder:
		r.text(o.target)
	case isGroup:
		r.group(o.group)
	default:
		r.number(uint64(o.id))
	}
	return r.b
}

func decodeObject(b []byte) (object, error) {
	f := readRecord(b)
	o := object{kind: objectKind(f.upTo(int(isGroup)))}
	switch o.kind {
	case isForwarder:
		o.target = f.text()
	case isGroup:
		f.group(&o.group)
	default:
		o.id = store.AccountID(f.number())
	}
	return o, f.end(keyObject)
}

func encodeAccount(a Account) []byte {
	return newRecord().text(a.Local).text(a.Domain).text(a.RealName).number(servicesOff(a.Services)).
		number(0).lock(a).time(a.Created).
		choice(a.LegacyAuth).number(uint64(a.SecureMethodRequired)).text(a.Certificate).policy(a.Policy).b
}

// lock writes in one number whether an account is locked, and whether that is
// because it is compromised.
func (r *record) lock(a Account) *record {
	switch {
	case a.Locked && a.Compromised:
		return r.number(2)
	case a.Locked:
		return r.number(1)
	}
	return r.number(0)
}

func decodeAccount(id store.AccountID, b []byte) (Account, error) {
	f := readRecord(b)
	a := Account{
		ID: id, Local: f.text(), Domain: f.text(), RealName: f.text(),
	}
	f.servicesOff(&a.Services)
	quota := f.number() // where it stood before domains had one
	lock := f.upTo(2)
	a.Locked, a.Compromised, a.Created = lock > 0, lock == 2, f.time()
	if quota > 0 && quota <= maxQuota {
		a.MaxOctets = Set(int64(quota))
	}
	if f.more() {
		a.LegacyAuth, a.SecureMethodRequired, a.Certificate = f.choice(), f.setting(), f.text()
	}
	if f.more() {
		f.policy(&a.Policy)
	}
	return a, f.end(keyAccount)
}

func encodeCredentials(c credentials) []byte {
	return newRecord().text(c.hash).text(c.scram.salt).number(uint64(c.scram.rounds)).
		text(string(c.scram.storedKey)).text(string(c.scram.serverKey)).b
}

func decodeCredentials(b []byte) (credentials, error) {
	f := readRecord(b)
	c := credentials{hash: f.text()}
	c.scram = scramKeys{salt: f.text(), rounds: int(f.number()), storedKey: []byte(f.text()), serverKey: []byte(f.text())}
	return c, f.end(keyPassword)
}
