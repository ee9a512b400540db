package accounts

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRecordsComeBack(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 11, 23, 10, 15, 2, 0, time.UTC)

	dom := Domain{Name: "company.test", Aliases: []string{"a.test", "b.test"}, Created: when, Unknown: "x@y.test", AllSenders: SendersUsers, Pool: 9, TotalOctets: 1 << 40, TotalMessages: 7,
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
		Policy:    Policy{SecureMethodRequired: On, POPExpire: Set(0), POPHold: Set(Hold{1000, 50}), Services: Set(POP | Mail)}}
	if got, _, err := decodeDomain("company.test", encodeDomain(dom)); err != nil || !reflect.DeepEqual(got, dom) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, of, err := decodeDomain("a.test", encodeDomainAlias("company.test")); err != nil || of != "company.test" {
		t.Errorf("%q, %v", of, err)
	}
	acct := Account{ID: 7, Local: "jsmith", Domain: "company.test", RealName: "J. Smith", Locked: true, Created: when,
		LegacyAuth: true, Certificate: strings.Repeat("0f", 32),
		Policy: Policy{SecureMethodRequired: Off, POPExpire: Set(14), POPLoginDelay: Set(90 * time.Second), POPHold: Set(Hold{}), QuotaAlert: Set(75), MaxOctets: Set[int64](1 << 40), MaxMessages: Set[int64](0), MailToAll: Set(false), DMARC: Set(Refuse), Spam: Set(Mark), Services: Set(AllServices)}}
	for range 2 {
		if got, err := decodeAccount(7, encodeAccount(acct)); err != nil || got != acct {
			t.Errorf("%+v, %v", got, err)
		}
		acct.Compromised = true
	}
	for _, obj := range []object{
		{id: 1}, {kind: isAlias, id: 1 << 60}, {kind: isForwarder, target: "x@y.test"},
		{kind: isGroup, group: Group{Name: "All of us", Members: []string{"a@b.test", "c@d.test"}, Senders: SendersMembers, NoMail: true, Flat: true, Once: true}},
	} {
		if got, err := decodeObject(encodeObject(obj)); err != nil || !reflect.DeepEqual(got, obj) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	cred := credentials{hash: "$argon2id$", scram: scramKeys{salt: "\x00salt", rounds: 4096, storedKey: []byte{1, 0}, serverKey: []byte{2}}}
	if got, err := decodeCredentials(encodeCredentials(cred)); err != nil || !reflect.DeepEqual(got, cred) {
		t.Errorf("%+v, %v", got, err)
	}
}

// A record from before a field was added is one with that field zero.
func TestEarlierRecords(t *testing.T) {
	t.Parallel()
	when := time.Unix(1_800_000_000, 0).UTC()
	b := newStored().text("jsmith").text("company.test").text("").number(0).number(5).number(1).time(when).b
	want := Account{ID: 7, Local: "jsmith", Domain: "company.test", Locked: true, Created: when, Policy: Policy{MaxOctets: Set[int64](5)}}
	if got, err := decodeAccount(7, b); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	b = newStored().number(0).number(0).time(when).number(1).text("a.test").b
	dom := Domain{Name: "company.test", Aliases: []string{"a.test"}, Created: when}
	if got, _, err := decodeDomain("company.test", b); err != nil || !reflect.DeepEqual(got, dom) {
		t.Errorf("%+v, %v", got, err)
	}

	// Those with sign-in settings, as octets.
	fingerprint := strings.Repeat("0f", 32)
	b = []byte("\x01\x06jsmith\x0ccompany.test\x00\x00\x05\x01\x80\xc8\xce\xb4\x0d\x01\x02\x40" + fingerprint)
	want.LegacyAuth, want.SecureMethodRequired, want.Certificate = true, Off, fingerprint
	if got, err := decodeAccount(7, b); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	b = []byte("\x01\x00\x00\x80\xc8\xce\xb4\x0d\x01\x06a.test\x01\x01\x04\xc0\x00\x02\x01")
	dom.SecureMethodRequired, dom.Addresses = On, []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	if got, _, err := decodeDomain("company.test", b); err != nil || !reflect.DeepEqual(got, dom) {
		t.Errorf("%+v, %v", got, err)
	}
}

// A domain whose policy stands among its other fields.
func TestEarlierDomain(t *testing.T) {
	t.Parallel()
	when := time.Unix(1_800_000_000, 0).UTC()
	want := Domain{Name: "company.test", Created: when, Unknown: "x@y.test", AllSenders: SendersUsers,
		Policy: Policy{SecureMethodRequired: On, POPExpire: Set(3), IMAPHide: Set(Hidden("IDLE")), Services: Set(POP | Mail)}}
	policy := (&stored{}).policy(Policy{POPExpire: Set(3), IMAPHide: Set(Hidden("IDLE"))}).b
	r := newStored().number(0).number(uint64(IMAP | Relay)).time(when).number(0).number(uint64(On)).number(0)
	r.b = append(r.b, policy[:len(policy)-1]...) // without what it got later
	b := r.text("x@y.test").number(uint64(SendersUsers)).b
	if got, _, err := decodeDomain("company.test", b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// A policy out of its range is a damaged record.
func TestPolicyRecordOutOfRange(t *testing.T) {
	t.Parallel()
	before := encodeAccount(Account{Local: "a", Domain: "b"})
	before = before[:len(before)-22] // without its policy
	for policy, want := range map[string]error{
		"":                                     nil,
		"\x01\x1e\x00\x00\x00\x00\x00\x00\x00": nil,
		"\x02\x1e\x00\x00\x00\x00\x00\x00\x00": errRecord,
		"\x01\xff\xff\x03\x00\x00\x00\x00\x00\x00\x00":                                                                        errRecord,
		"\x00\x00\x00\x00\x01\x00\x64\x00\x00":                                                                                errRecord,
		"\x00\x00\x00\x00\x00\x00\x00\x01\x65":                                                                                errRecord,
		"\x01\x1e\x00\x00\x00\x00\x00\x00":                                                                                    errRecord,
		"\x01\x1e\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x04IDLE":                            nil,
		"\x01\x1e\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x04IDL":                             errRecord,
		"\x01\x1e\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xf5\x03" + strings.Repeat("A", 501): errRecord,
	} {
		_, err := decodeAccount(1, append(before[:len(before):len(before)], policy...))
		wantError(t, err, want)
	}
}

func TestLaterRecordIsRefused(t *testing.T) {
	t.Parallel()
	b := encodeAccount(Account{Local: "a"})
	b[0]++
	_, err := decodeAccount(1, b)
	wantError(t, err, errRecord)
	_, err = decodeObject(newStored().number(2).number(7).b) // a kind of object to come
	wantError(t, err, errRecord)
	_, err = decodeObject(append(encodeObject(object{id: 7}), 0))
	wantError(t, err, errRecord)
}

func TestAfter(t *testing.T) {
	t.Parallel()
	for _, tt := range [][2][]byte{
		{{'B', 0, 1}, {'B', 0, 2}},
		{{'B', 0, 0xFF}, {'B', 1}},
		{{'B', 0xFF, 0xFF}, {'C'}},
	} {
		if got := after(tt[0]); !bytes.Equal(got, tt[1]) {
			t.Errorf("after(%x) = %x, want %x", tt[0], got, tt[1])
		}
	}
}

// FuzzRecords: a damaged value gives an error or a record, never a panic and
// never much memory.
func FuzzRecords(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(encodeDomain(Domain{Aliases: []string{"a", "b"}}))
	f.Add(encodeDomain(Domain{Addresses: []netip.Addr{netip.IPv6Loopback()}}))
	f.Add(encodeDomainAlias("a"))
	f.Add(encodeAccount(Account{Policy: Policy{POPExpire: Set(1), POPLoginDelay: Set(time.Minute), POPHold: Set(Hold{1, 2}), QuotaAlert: Set(3)}}))
	f.Add(encodeAccount(Account{Local: "a", Domain: "b"}))
	f.Add(encodeCredentials(credentials{hash: "x"}))
	f.Add([]byte{1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, _, err := decodeDomain("a", b); err == nil && len(d.Aliases) > len(b) {
			t.Errorf("%d aliases out of %d octets", len(d.Aliases), len(b))
		}
		_, _ = decodeObject(b)
		_, _ = decodeAccount(1, b)
		_, _ = decodeCredentials(b)
	})
}
