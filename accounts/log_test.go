package accounts

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"tripost/syslog"
	"tripost/syslog/syslogtest"
)

// The log says why each mechanism refused, and never what was shown.
func TestReasonsInTheLog(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	a := openWithAll(t)
	log, lines := syslogtest.Open(t, syslog.Raw)
	home := netip.MustParseAddr("127.0.0.1")
	at := Attempt{Service: POP, Remote: home, Local: home}
	at.Log = log.Tag("POP").Session(netip.AddrPortFrom(home, 51022))
	talk := func(at Attempt, mechanism string, responses ...string) {
		t.Helper()
		server, err := a.SASL(ctx, at, mechanism, func(*SignedIn) {})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range responses {
			_, _, _ = server.Next([]byte(r))
		}
	}
	bearer := func(login, token string) string { return "n,a=" + login + ",\x01auth=Bearer " + token + "\x01\x01" }

	talk(at, "OAUTHBEARER", bearer("jsmith", "of-jsmith"))
	talk(at, "OAUTHBEARER", bearer("jsmith", "stale"), "\x01")
	talk(at, "OAUTHBEARER", bearer("jsmith", "stale")) // leaves without a response
	talk(at, "OAUTHBEARER", bearer("boss", "of-jsmith"), "\x01")
	talk(at, "OAUTHBEARER", bearer("nobody", "of-jsmith"), "\x01")
	talk(at, "XOAUTH2", "user=empty\x01auth=Bearer of-none\x01\x01", "")
	talk(at, "XOAUTH2", "user=jsmith\x01auth=Bearer offline\x01\x01")
	with := func(name string) Attempt {
		at := at
		at.TLSState = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{madeFor(name)}}
		return at
	}
	talk(with("jsmith"), "EXTERNAL", "")
	talk(with("jsmith"), "EXTERNAL", "boss")
	talk(with("stranger"), "EXTERNAL", "")
	talk(with("late"), "EXTERNAL", "")
	for _, login := range []string{"old", "jsmith", "nobody"} {
		_, _ = a.APOP(ctx, at, "<1@x>", login, hex.EncodeToString(digestAPOP("<1@x>", "wrong")))
	}
	must(t)(a.directory.SetAccount(ctx, "old", func(a *Account) error { a.SecureMethodRequired = On; return nil }))
	_, _ = a.Password(ctx, at, "PASS", "old", "tulip")
	_, _ = a.APOP(ctx, at, "<1@x>", "old", hex.EncodeToString(digestAPOP("<1@x>", "tulip")))
	must(t)(a.directory.SetDomain(ctx, "company.test", func(d *Domain) error { d.Services = Set(Mail); return nil }))
	_, _ = a.APOP(ctx, at, "<1@x>", "old", hex.EncodeToString(digestAPOP("<1@x>", "tulip")))
	must(t)(a.directory.SetAccount(ctx, "jsmith", func(a *Account) error { a.Services = Set(Mail); return nil }))
	talk(at, "OAUTHBEARER", bearer("jsmith", "of-jsmith"))

	fingerprint := func(name string) string { return "certificate " + Fingerprint(madeFor(name)) }
	var want []string
	for _, line := range []string{
		"2 'jsmith' connected(OAUTHBEARER) [127.0.0.1]->[127.0.0.1]",
		"1 login('jsmith') failed: token refused: expired",
		"1 login('jsmith') failed: token refused: expired",
		"1 login('boss') failed: the token is that of 'JSmith@company.test'",
		"1 login('nobody') failed: unknown account",
		"1 login('empty') failed: token refused: it is nobody's",
		"1 login('jsmith') failed: sign-in is not possible now: checking a token: asking the issuer: sign-in is not possible now",
		"2 'jsmith@company.test' connected(EXTERNAL) [127.0.0.1]->[127.0.0.1]",
		"1 login('boss') failed: " + fingerprint("jsmith") + " is that of jsmith@company.test",
		"1 login('') failed: " + fingerprint("stranger") + " is no account's",
		"1 login('late@company.test') failed: " + fingerprint("late") + " is out of its time",
		"1 login('old') failed: wrong password",
		"1 login('jsmith') failed: no password is set for APOP and CRAM-MD5",
		"1 login('nobody') failed: unknown account",
		"1 login('old') failed: a secure method is required",
		"2 'old' connected(APOP) [127.0.0.1]->[127.0.0.1]",
		"1 login('old') failed: pop is off for the domain company.test",
		"1 login('jsmith') failed: pop is off for the account",
	} {
		want = append(want, strings.Replace(line, " ", " POP-000001([127.0.0.1]:51022) ", 1))
	}
	got := withoutTime(lines())
	wantLines(t, got, want)
	for _, secret := range []string{"of-jsmith", "stale", "tulip", hex.EncodeToString(digestAPOP("<1@x>", "tulip"))} {
		if strings.Contains(strings.Join(got, "\n"), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}
