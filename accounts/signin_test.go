package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tripost/syslog"
	"tripost/syslog/syslogtest"
)

func fromLoopback() Attempt {
	return Attempt{Remote: netip.MustParseAddr("127.0.0.1"), Local: netip.MustParseAddr("127.0.0.1")}
}

// openAuthenticator returns one for the directory of openDirectory with these
// accounts: jsmith (tulip; alias info), boss (rose), empty (no password), locked
// and nopop (tulip).
func openAuthenticator(t testing.TB) *Authenticator {
	t.Helper()
	d := openDirectory(t)
	ctx := t.Context()
	for addr, password := range map[string]string{"jsmith": "tulip", "boss": "rose", "empty": "", "locked": "tulip", "nopop": "tulip"} {
		must(t)(d.AddAccount(ctx, addr, password))
	}
	must(t)(nil, d.AddAlias(ctx, "info", "jsmith"))
	must(t)(d.SetAccount(ctx, "locked", func(a *Account) error { a.Locked = true; return nil }))
	must(t)(d.SetAccount(ctx, "nopop", func(a *Account) error { a.Services = Set(AllServices &^ POP); return nil }))
	return NewAuthenticator(d, direct{d}, AuthOptions{})
}

func TestPassword(t *testing.T) {
	t.Parallel()
	a := openAuthenticator(t)
	pop := fromLoopback()
	pop.Service = POP
	for _, tt := range []struct {
		login, password string
		want            error
	}{
		{"jsmith", "tulip", nil},
		{"JSMITH@Company.Example", "tulip", nil},
		{"info", "tulip", nil},
		{"jsmith%company.test", "tulip", nil},
		{"private#jsmith", "tulip", nil},
		{"~boss/INBOX#jsmith", "tulip", nil},
		{"~boss/INBOX#jsmith", "rose", ErrCredentials},
		{"~nobody/INBOX#jsmith", "tulip", ErrNoMailbox},
		{"~nobody/INBOX#jsmith", "rose", ErrCredentials},
		{"jsmith", "", ErrCredentials},
		{"jsmith", "tulip ", ErrCredentials},
		{"jsmith", "tulip\x00", ErrCredentials},
		{"jsmith", strings.Repeat("x", 1025), ErrCredentials},
		{"jsmith@client1.test", "tulip", ErrCredentials},
		{"jsmith@elsewhere.test", "tulip", ErrCredentials},
		{"nobody", "tulip", ErrCredentials},
		{"", "", ErrCredentials},
		{"#", "tulip", ErrCredentials},
		{strings.Repeat("x", 10_000), "tulip", ErrCredentials},
		{"empty", "", ErrCredentials},
		{"empty", "tulip", ErrCredentials},
		{"locked", "tulip", ErrLocked},
		{"locked", "tulip", ErrService},
		{"locked", "rose", ErrCredentials},
		{"nopop", "tulip", ErrService},
		{"nopop", "rose", ErrCredentials},
	} {
		in, err := a.Password(t.Context(), pop, "PASS", tt.login, tt.password)
		if !errors.Is(err, tt.want) || (err == nil) != (in != nil) {
			t.Errorf("%q %q: %+v, %v, want %v", clip(tt.login), clip(tt.password), in, err, tt.want)
		}
		if in != nil && (in.Identity.Name != "jsmith@company.test" || in.Login != tt.login || in.Mechanism != "PASS" || in.Account.ID != in.Identity.Account) {
			t.Errorf("%q: %+v", tt.login, in)
		}
	}
}

func TestDomainServiceCountsToo(t *testing.T) {
	t.Parallel()
	a := openAuthenticator(t)
	must(t)(a.directory.SetDomain(t.Context(), "company.test", func(d *Domain) error { d.Services = Set(AllServices &^ IMAP); return nil }))
	at := fromLoopback()
	for service, want := range map[Service]error{POP: nil, IMAP: ErrService, Relay: nil, 0: nil} {
		at.Service = service
		_, err := a.Password(t.Context(), at, "LOGIN", "jsmith", "tulip")
		wantError(t, err, want)
	}
}

func TestChangesCountAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	a := openAuthenticator(t)
	try := func(password string, want error) {
		t.Helper()
		_, err := a.Password(ctx, fromLoopback(), "PASS", "jsmith", password)
		wantError(t, err, want)
		_, err = scramAs(t, a, fromLoopback(), "jsmith", password, "")
		wantError(t, err, want)
	}
	try("tulip", nil)
	must(t)(nil, a.directory.SetPassword(ctx, "jsmith", "crocus"))
	try("tulip", ErrCredentials)
	try("crocus", nil)
	must(t)(nil, a.directory.SetPassword(ctx, "jsmith", ""))
	try("crocus", ErrCredentials)
	wantError(t, a.directory.SetPassword(ctx, "nobody", "x"), ErrNoAccount)
}

func TestCleartext(t *testing.T) {
	t.Parallel()
	d := openDirectory(t)
	must(t)(d.AddAccount(t.Context(), "jsmith", "tulip"))
	home, mapped, far := netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:127.0.0.1"), netip.MustParseAddr("192.0.2.7")
	for _, tt := range []struct {
		setting string
		at      Attempt
		allowed bool
	}{
		{"", Attempt{Remote: home}, true},
		{"", Attempt{Remote: far}, false},
		{"loopback", Attempt{Remote: mapped}, true},
		{"loopback", Attempt{Remote: far}, false},
		{"loopback", Attempt{Remote: far, TLS: true}, true},
		{"loopback", Attempt{}, false},
		{"never", Attempt{Remote: home}, false},
		{"never", Attempt{Remote: home, TLS: true}, true},
		{"always", Attempt{Remote: far}, true},
	} {
		a := NewAuthenticator(d, direct{d}, AuthOptions{Cleartext: tt.setting})
		_, err := a.Password(t.Context(), tt.at, "PASS", "jsmith", "tulip")
		_, saslErr := a.SASL(t.Context(), tt.at, "PLAIN", func(*SignedIn) {})
		_, scramErr := a.SASL(t.Context(), tt.at, "SCRAM-SHA-256", func(*SignedIn) {})
		offered := strings.Join(a.Mechanisms(tt.at), " ")
		if tt.allowed && (err != nil || saslErr != nil || offered != "SCRAM-SHA-256 PLAIN LOGIN") {
			t.Errorf("%+v: %v, %v, offers %s", tt, err, saslErr, offered)
		}
		if !tt.allowed && (!errors.Is(err, ErrInsecure) || !errors.Is(saslErr, ErrInsecure) || offered != "SCRAM-SHA-256") {
			t.Errorf("%+v: %v, %v, offers %s", tt, err, saslErr, offered)
		}
		if a.Allowed(tt.at) != tt.allowed || scramErr != nil {
			t.Errorf("%+v: allowed %v, SCRAM %v", tt, a.Allowed(tt.at), scramErr)
		}
	}
}

// New costs reach old passwords when they are next seen.
func TestCostsAreRenewed(t *testing.T) {
	t.Parallel()
	a := openAuthenticator(t)
	dearer := cheap
	dearer.Memory, dearer.ScramRounds = 128, 5000
	d := New(a.directory.store, Options{Password: dearer})
	a = NewAuthenticator(d, direct{d}, AuthOptions{})
	costs := func() PasswordParams {
		acct, err := d.Account(t.Context(), "jsmith")
		if err != nil {
			t.Fatal(err)
		}
		rec, err := d.signInRecord(t.Context(), LoginRoute{Account: acct})
		if err != nil {
			t.Fatal(err)
		}
		return rec.credentials.costs()
	}
	before := costs()
	for _, try := range []struct {
		password string
		want     PasswordParams
		err      error
	}{{"wrong", before, ErrCredentials}, {"tulip", d.params, nil}, {"tulip", d.params, nil}} {
		_, err := a.Password(t.Context(), fromLoopback(), "PASS", "jsmith", try.password)
		wantError(t, err, try.err)
		if got := costs(); got != try.want {
			t.Errorf("after %q the costs are %+v, want %+v", try.password, got, try.want)
		}
	}
	_, err := scramAs(t, a, fromLoopback(), "jsmith", "tulip", "")
	wantError(t, err, nil)
}

// Names that do not exist cost a hash with the same parameters.
func TestUnknownNamesCostTheSame(t *testing.T) {
	t.Parallel()
	a := openAuthenticator(t)
	real, err := parseHash(newHash(a.directory.params, make([]byte, saltLength), "tulip").String())
	if err != nil {
		t.Fatal(err)
	}
	p, q := a.nobody.params, real.params
	if p.Memory != q.Memory || p.Time != q.Time || p.Lanes != q.Lanes || len(a.nobody.salt) != len(real.salt) {
		t.Errorf("nobody costs %+v, somebody %+v", p, q)
	}
}

func TestHashingQueueGivesUp(t *testing.T) {
	t.Parallel()
	d := openDirectory(t)
	must(t)(d.AddAccount(t.Context(), "jsmith", "tulip"))
	a := NewAuthenticator(d, direct{d}, AuthOptions{Parallel: 1})
	a.hashing <- struct{}{} // one is being hashed, and takes for ever
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := a.Password(ctx, fromLoopback(), "PASS", "jsmith", "tulip")
		ended <- err
	}()
	cancel()
	err := <-ended
	wantError(t, err, ErrUnavailable)
	<-a.hashing
	_, err = a.Password(t.Context(), fromLoopback(), "PASS", "jsmith", "tulip")
	wantError(t, err, nil)
}

// A store that cannot be read is no wrong password.
func TestUnreadableStoreIsTemporary(t *testing.T) {
	t.Parallel()
	a := openAuthenticator(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, login := range []string{"jsmith", "nobody"} {
		_, err := a.Password(ctx, fromLoopback(), "PASS", login, "tulip")
		wantError(t, err, ErrUnavailable)
		server, err := a.SASL(ctx, fromLoopback(), "SCRAM-SHA-256", nil)
		wantError(t, err, nil)
		_, _, err = server.Next([]byte("n,,n=" + login + ",r=abc"))
		wantError(t, err, ErrUnavailable)
	}
}

func TestGuessersWait(t *testing.T) {
	t.Parallel()
	d := openDirectory(t)
	must(t)(d.AddAccount(t.Context(), "jsmith", "tulip"))
	synctest.Test(t, func(t *testing.T) {
		a := NewAuthenticator(d, direct{d}, AuthOptions{MaxDelay: 5 * time.Second})
		begin := time.Now()
		for _, guess := range []string{"a", "b", "c", "d", "e", "f", "g", "g"} {
			_, err := a.Password(t.Context(), Attempt{Remote: attacker, TLS: true}, "PASS", "jsmith", guess)
			wantError(t, err, ErrCredentials)
		}
		if took := time.Since(begin); took != (1+2+4+5+5)*time.Second {
			t.Errorf("eight guesses took %v", took)
		}

		begin = time.Now() // the owner, from elsewhere
		_, err := a.Password(t.Context(), Attempt{Remote: owner, TLS: true}, "PASS", "jsmith", "tulip")
		wantError(t, err, nil)
		if took := time.Since(begin); took > cleanDelay {
			t.Errorf("the owner waited %v", took)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // the guesser hangs up
		defer cancel()
		_, err = a.Password(ctx, Attempt{Remote: attacker, TLS: true}, "PASS", "jsmith", "tulip")
		wantError(t, err, ErrThrottled)

		begin = time.Now() // loopback never waits
		for _, guess := range []string{"a", "b", "c", "d", "e", "f", "g"} {
			_, err := a.Password(t.Context(), fromLoopback(), "PASS", "jsmith", guess)
			wantError(t, err, ErrCredentials)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("loopback waited %v", took)
		}
	})
}

// withoutTime returns the lines of a log without the time of each.
func withoutTime(log string) []string {
	var got []string
	for line := range strings.Lines(log) {
		got = append(got, strings.Join(strings.Fields(line)[1:], " "))
	}
	return got
}

func wantLines(t *testing.T, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the log has:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestEachAttemptLeavesOneLine(t *testing.T) {
	t.Parallel()
	log, lines := syslogtest.Open(t, syslog.Raw)
	a := openAuthenticator(t)
	at := Attempt{Service: POP, Remote: owner, Local: netip.MustParseAddr("192.0.2.1"), TLS: true}
	at.Log = log.Tag("POP").Session(netip.AddrPortFrom(owner, 51022))
	secret := "s3cret-" + "word"
	for _, try := range [][2]string{{"jsmith", "tulip"}, {"jsmith", secret}, {"nobody\r\n00:00", secret}, {"nobody", "x"}, {"empty", "y"}, {"locked", "tulip"}, {"nopop", "tulip"}} {
		_, _ = a.Password(t.Context(), at, "PASS", try[0], try[1])
		a.throttle.addresses = newCulprits()
	}
	_, _ = scramAs(t, a, at, "jsmith", "tulip", "")
	got := withoutTime(lines())
	who := "POP-000001([198.51.100.7]:51022) "
	want := []string{
		"2 " + who + "'jsmith' connected(PASS) [198.51.100.7]->[192.0.2.1]",
		"1 " + who + "login('jsmith') failed: wrong password",
		"1 " + who + `login('nobody\r\n00:00') failed: not a login name`,
		"1 " + who + "login('nobody') failed: unknown account",
		"1 " + who + "login('empty') failed: no password is set",
		"1 " + who + "login('locked') failed: the account is locked: the service is off for this account",
		"1 " + who + "login('nopop') failed: pop is off for the account",
		"2 " + who + "'jsmith' connected(SCRAM-SHA-256) [198.51.100.7]->[192.0.2.1]",
	}
	wantLines(t, got, want)
	if text := strings.Join(got, "\n"); strings.Contains(text, secret) || strings.Contains(text, "tulip") {
		t.Error("a password is in the log")
	}
}

// TestGuessed is told of somebody who tries one password after the other at an
// account that is there.
func TestGuessed(t *testing.T) {
	t.Parallel()
	d := openAuthenticator(t).directory
	var told []string
	now := time.Unix(1_800_000_000, 0)
	a := NewAuthenticator(d, direct{d}, AuthOptions{
		Exempt: func(netip.Addr) bool { return false }, MaxDelay: time.Nanosecond, Now: func() time.Time { return now },
		Guessed: func(acct Account, from netip.Addr, n int) { told = append(told, fmt.Sprint(acct.Local, from, n)) },
	})
	at := fromLoopback()
	at.Service = POP
	for i := range 11 {
		for _, name := range []string{"jsmith", "nobody"} {
			_, err := a.Password(t.Context(), at, "PASS", name, fmt.Sprint("guess ", i))
			if !errors.Is(err, ErrCredentials) && !errors.Is(err, ErrThrottled) {
				t.Fatal(err)
			}
			now = now.Add(10 * time.Second)
		}
	}
	if want := []string{"jsmith127.0.0.1 10", "jsmith127.0.0.1 11"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
