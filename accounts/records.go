package accounts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"tripost/store"
	"tripost/store/record"
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

// stored builds a record's value: fields one after the other, strings with their
// length, as package record reads them.
type stored struct{ b []byte }

func newStored() *stored { return &stored{b: []byte{recordVersion}} }

func (r *stored) number(n uint64) *stored {
	r.b = binary.AppendUvarint(r.b, n)
	return r
}

func (r *stored) text(s string) *stored {
	r.b = append(binary.AppendUvarint(r.b, uint64(len(s))), s...)
	return r
}

func (r *stored) choice(b bool) *stored {
	if b {
		return r.number(1)
	}
	return r.number(0)
}

func (r *stored) time(t time.Time) *stored {
	r.b = binary.AppendVarint(r.b, t.Unix())
	return r
}

// fields reads the fields of a value.
type fields struct{ record.Reader }

func readRecord(b []byte) *fields { return &fields{record.Read(b, recordVersion)} }

func (f *fields) time() time.Time { return time.Unix(f.Int(), 0).UTC() }

// setting reads a [Choice].
func (f *fields) setting() Choice {
	n := f.Uint()
	if n > uint64(Off) {
		f.Fail()
		return Default
	}
	return Choice(n)
}

// policy adds what a [Policy] got later than SecureMethodRequired. A setting is a
// switch that tells whether it is made, and its value.
func (r *stored) policy(p Policy) *stored {
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

func (r *stored) limit(s Setting[int64]) *stored {
	n, set := s.Get()
	return r.choice(set).number(uint64(n))
}

func (r *stored) toggle(s Setting[bool]) *stored {
	on, set := s.Get()
	return r.choice(set).choice(on)
}

func (f *fields) limit(s *Setting[int64]) {
	if set, n := f.Bool(), f.Uint(); set {
		if n > maxQuota {
			f.Fail()
		}
		*s = Set(int64(n))
	}
}

func (f *fields) toggle(s *Setting[bool]) {
	if set, on := f.Bool(), f.Bool(); set {
		*s = Set(on)
	}
}

// policy reads what [stored.policy] added.
func (f *fields) policy(p *Policy) {
	f.earlierPolicy(p)
	if f.More() {
		f.servicesSet(&p.Services)
	}
}

// earlierPolicy reads what a policy had while it stood among the fields of a domain.
func (f *fields) earlierPolicy(p *Policy) {
	if set, days := f.Bool(), f.upTo(maxExpire); set {
		p.POPExpire = Set(days)
	}
	if set, seconds := f.Bool(), f.upTo(int(maxLoginDelay/time.Second)); set {
		p.POPLoginDelay = Set(time.Duration(seconds) * time.Second)
	}
	if set, hold := f.Bool(), (Hold{f.upTo(maxHold), f.upTo(99)}); set {
		p.POPHold = Set(hold)
	}
	if set, percent := f.Bool(), f.upTo(100); set {
		p.QuotaAlert = Set(percent)
	}
	if f.More() {
		f.handling(&p.DMARC)
		f.handling(&p.Spam)
	}
	if f.More() {
		if set, list := f.Bool(), f.Text(); set {
			p.SendAs = Set(list)
		}
	}
	if f.More() {
		f.limit(&p.MaxOctets)
		f.limit(&p.MaxMessages)
		f.toggle(&p.MailToAll)
	}
	if f.More() {
		if set, hide := f.Bool(), Hidden(f.Text()); set && hide.check() == nil {
			p.IMAPHide = Set(hide)
		} else if set {
			f.Fail()
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
func (f *fields) upTo(most int) int { return int(f.UpTo(uint64(most))) }

// end returns what went wrong in reading a record of kind.
func (f *fields) end(kind byte) error {
	if !f.Whole() {
		return fmt.Errorf("reading a record of kind %c: %w", kind, errRecord)
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
	if off := Service(f.Uint()); off != 0 {
		*s = Set(AllServices &^ off)
	}
}

// servicesSet reads whether services are set where none is off.
func (f *fields) servicesSet(s *Setting[Service]) {
	if set := f.Bool(); set && *s == (Setting[Service]{}) {
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
	r := newStored().number(domainRecord).number(servicesOff(d.Services)).time(d.Created).number(uint64(len(d.Aliases)))
	for _, a := range d.Aliases {
		r.text(a)
	}
	r.number(uint64(d.SecureMethodRequired)).number(uint64(len(d.Addresses)))
	for _, ip := range d.Addresses {
		r.text(string(ip.AsSlice()))
	}
	policy := (&stored{}).policy(d.Policy)
	return r.text(string(policy.b)).text(d.Unknown).number(uint64(d.AllSenders)).
		number(uint64(d.Pool)).number(uint64(d.TotalOctets)).number(uint64(d.TotalMessages)).b
}

func encodeDomainAlias(of string) []byte { return newStored().number(domainAlias).text(of).b }

// decodeDomain returns the domain, or the name of the one that this is an alias of.
func decodeDomain(name string, b []byte) (d Domain, aliasOf string, err error) {
	f := readRecord(b)
	kind := f.upTo(domainRecord)
	if kind == domainAlias {
		aliasOf = f.Text()
		return d, aliasOf, f.end(keyDomain)
	}
	d.Name = name
	f.servicesOff(&d.Services)
	d.Created = f.time()
	for range f.Count() {
		d.Aliases = append(d.Aliases, f.Text())
	}
	if f.More() {
		d.SecureMethodRequired = f.setting()
		for range f.Count() {
			d.Addresses = append(d.Addresses, f.address())
		}
	}
	switch {
	case kind == domainRecord:
		policy := fields{record.Part(f.Text())}
		policy.policy(&d.Policy)
		if !policy.Whole() {
			f.Fail()
		}
	case f.More():
		f.earlierPolicy(&d.Policy)
	}
	if f.More() {
		d.Unknown, d.AllSenders = f.Text(), Senders(f.upTo(int(lastSenders)))
	}
	if f.More() {
		d.Pool = store.PoolID(f.Uint())
		f.quota(&d.TotalOctets)
		f.quota(&d.TotalMessages)
	}
	return d, "", f.end(keyDomain)
}

// quota reads what may be kept at most.
func (f *fields) quota(n *int64) {
	if *n = int64(min(f.Uint(), maxQuota+1)); *n > maxQuota {
		f.Fail()
	}
}

func (f *fields) address() netip.Addr {
	ip, ok := netip.AddrFromSlice([]byte(f.Text()))
	if !ok {
		f.Fail()
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
	r := newStored().number(uint64(o.kind))
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
		o.target = f.Text()
	case isGroup:
		f.group(&o.group)
	default:
		o.id = store.AccountID(f.Uint())
	}
	return o, f.end(keyObject)
}

func encodeAccount(a Account) []byte {
	return newStored().text(a.Local).text(a.Domain).text(a.RealName).number(servicesOff(a.Services)).
		number(0).lock(a).time(a.Created).
		choice(a.LegacyAuth).number(uint64(a.SecureMethodRequired)).text(a.Certificate).policy(a.Policy).b
}

// lock writes in one number whether an account is locked, and whether that is
// because it is compromised.
func (r *stored) lock(a Account) *stored {
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
		ID: id, Local: f.Text(), Domain: f.Text(), RealName: f.Text(),
	}
	f.servicesOff(&a.Services)
	quota := f.Uint() // where it stood before domains had one
	lock := f.upTo(2)
	a.Locked, a.Compromised, a.Created = lock > 0, lock == 2, f.time()
	if quota > 0 && quota <= maxQuota {
		a.MaxOctets = Set(int64(quota))
	}
	if f.More() {
		a.LegacyAuth, a.SecureMethodRequired, a.Certificate = f.Bool(), f.setting(), f.Text()
	}
	if f.More() {
		f.policy(&a.Policy)
	}
	return a, f.end(keyAccount)
}

func encodeCredentials(c credentials) []byte {
	return newStored().text(c.hash).text(c.scram.salt).number(uint64(c.scram.rounds)).
		text(string(c.scram.storedKey)).text(string(c.scram.serverKey)).b
}

func decodeCredentials(b []byte) (credentials, error) {
	f := readRecord(b)
	c := credentials{hash: f.Text()}
	c.scram = scramKeys{salt: f.Text(), rounds: int(f.Uint()), storedKey: []byte(f.Text()), serverKey: []byte(f.Text())}
	return c, f.end(keyPassword)
}
