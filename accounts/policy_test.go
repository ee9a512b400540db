package accounts

import (
	"testing"
	"time"

	"tripost/store"
	"tripost/store/storetest"
)

// What is typed comes back as it is shown, and what is shown can be typed.
func TestPolicyValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, value, want string
	}{
		{"pop_expire", "30", "30d"},
		{"pop_expire", " 30D", "30d"},
		{"pop_expire", "never", "off"},
		{"pop_expire", "0d", "off"},
		{"pop_expire", "36500d", "36500d"},
		{"pop_login_delay", "900s", "15m"},
		{"pop_login_delay", "1h", "1h"},
		{"pop_login_delay", "20m", "20m"},
		{"pop_login_delay", "10s", "10s"},
		{"pop_login_delay", "1h30m5s", "1h30m5s"},
		{"pop_login_delay", "0", "off"},
		{"pop_login_delay", "24h", "24h"},
		{"pop_hold", "1000:50", "1000:50"},
		{"pop_hold", "0:99%", "0:99"},
		{"pop_hold", "off", "off"},
		{"quota_alert", "75%", "75%"},
		{"quota_alert", "100", "100%"},
		{"quota_alert", "none", "off"},
		{"dmarc", "Refuse", "refuse"},
		{"dmarc", "mark", "mark"},
		{"spam", "junk", "junk"},
		{"imap_hide", "uidonly, compress", "COMPRESS,UIDONLY"},
		{"imap_hide", "off", "off"},
		{"secure_method_required", "yes", "on"},
		{"secure_method_required", "off", "off"},
	} {
		var p Policy
		if known, err := p.Change(tt.name, tt.value); !known || err != nil || p.Text(tt.name) != tt.want {
			t.Errorf("%s=%s: %q, %t, %v, want %q", tt.name, tt.value, p.Text(tt.name), known, err, tt.want)
		}
		again := p
		if _, err := again.Change(tt.name, p.Text(tt.name)); err != nil || again != p {
			t.Errorf("%s=%s: %+v, %v", tt.name, p.Text(tt.name), again, err)
		}
		if _, err := p.Change(tt.name, "Default"); err != nil || p != (Policy{}) {
			t.Errorf("%s=default: %+v, %v", tt.name, p, err)
		}
	}
}

func TestPolicyValuesRefused(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"pop_expire":             {"", "-1", "36501", "2w", "1.5d", "99999999999999999999"},
		"pop_login_delay":        {"", "-1s", "15", "1500ms", "24h1s", "9999999h"},
		"pop_hold":               {"", "1000", "1000:", ":50", "1000:0", "1000:100", "-1:50", "1000:-50", "4294967296:50", "1:2:3"},
		"quota_alert":            {"", "-1", "101", "1000", "most"},
		"secure_method_required": {"", "maybe"},
		"dmarc":                  {"", "off", "reject"},
		"spam":                   {"", "off", "0"},
	} {
		for _, value := range values {
			p := Policy{POPExpire: Set(7)}
			known, err := p.Change(name, value)
			if !known || p != (Policy{POPExpire: Set(7)}) {
				t.Errorf("%s=%s: %t, %+v", name, value, known, p)
			}
			wantError(t, err, ErrBadValue)
		}
	}
	var p Policy
	if known, err := p.Change("pop_color", "red"); known || err != nil {
		t.Errorf("%t, %v", known, err)
	}
}

// The account's own setting counts, else its domain's, else the server's.
func TestPolicyCascade(t *testing.T) {
	t.Parallel()
	d := New(storetest.New(t), Options{Server: Policy{POPExpire: Set(90), QuotaAlert: Set(80)}})
	ctx := t.Context()
	must(t)(d.AddDomain(ctx, "company.test"))
	acct, err := d.AddAccount(ctx, "jsmith", "")
	wantError(t, err, nil)
	for _, tt := range []struct {
		account, domain Policy
		expire, alert   int
		delay           time.Duration
		hold            Hold
	}{
		{Policy{}, Policy{}, 90, 80, 0, Hold{}},
		{Policy{}, Policy{POPExpire: Set(30), POPHold: Set(Hold{1000, 50})}, 30, 80, 0, Hold{1000, 50}},
		{Policy{POPExpire: Set(0), POPHold: Set(Hold{})}, Policy{POPExpire: Set(30), POPHold: Set(Hold{1000, 50})}, 0, 80, 0, Hold{}},
		{Policy{POPLoginDelay: Set(time.Minute), QuotaAlert: Set(0)}, Policy{POPLoginDelay: Set(time.Hour)}, 90, 0, time.Minute, Hold{}},
		{Policy{}, Policy{POPLoginDelay: Set(time.Hour), QuotaAlert: Set(50)}, 90, 50, time.Hour, Hold{}},
	} {
		must(t)(d.SetAccount(ctx, "jsmith", func(a *Account) error { a.Policy = tt.account; return nil }))
		must(t)(d.SetDomain(ctx, "company.test", func(d *Domain) error { d.Policy = tt.domain; return nil }))
		p, err := d.Policy(ctx, acct.ID)
		if err != nil || p.POPExpire.Or(-1) != tt.expire || p.QuotaAlert.Or(-1) != tt.alert || p.POPLoginDelay.Or(0) != tt.delay || p.POPHold.Or(Hold{}) != tt.hold {
			t.Errorf("%+v over %+v is %+v, %v", tt.account, tt.domain, p, err)
		}
	}
	_, err = d.Policy(ctx, acct.ID+1)
	wantError(t, err, ErrNoAccount)
	for _, bad := range []Policy{{POPExpire: Set(-1)}, {POPLoginDelay: Set(time.Millisecond)}, {POPHold: Set(Hold{0, 100})}, {QuotaAlert: Set(101)}, {DMARC: Set(Refuse + 1)}, {Spam: Set(Handling(0))}} {
		_, err = d.SetAccount(ctx, "jsmith", func(a *Account) error { a.Policy = bad; return nil })
		wantError(t, err, ErrBadValue)
		_, err = d.SetDomain(ctx, "company.test", func(d *Domain) error { d.Policy = bad; return nil })
		wantError(t, err, ErrBadValue)
	}
}

// The strictest policy follows each change, and goes with who had it.
func TestStrictest(t *testing.T) {
	t.Parallel()
	d := New(storetest.New(t), Options{Server: Policy{POPExpire: Set(90), POPLoginDelay: Set(time.Second)}})
	ctx := t.Context()
	want := func(expire int, delay time.Duration) {
		t.Helper()
		if e, w, err := d.Strictest(ctx); e != expire || w != delay || err != nil {
			t.Errorf("%d days, %v, %v, want %d days, %v", e, w, err, expire, delay)
		}
	}
	account := func(name string, p Policy) {
		t.Helper()
		must(t)(d.SetAccount(ctx, name, func(a *Account) error { a.Policy = p; return nil }))
	}
	domain := func(name string, p Policy) {
		t.Helper()
		must(t)(d.SetDomain(ctx, name, func(d *Domain) error { d.Policy = p; return nil }))
	}
	want(90, time.Second)
	must(t)(d.AddDomain(ctx, "company.test"))
	must(t)(d.AddDomain(ctx, "other.test"))
	must(t)(d.AddAccount(ctx, "ann", ""))
	must(t)(d.AddAccount(ctx, "bob", ""))
	want(90, time.Second)
	account("ann", Policy{POPExpire: Set(365), POPLoginDelay: Set(time.Minute)})
	want(90, time.Minute)
	account("bob", Policy{POPExpire: Set(7), POPLoginDelay: Set[time.Duration](0)})
	want(7, time.Minute)
	domain("other.test", Policy{POPExpire: Set(8), POPLoginDelay: Set(time.Hour)})
	want(7, time.Hour)
	account("bob", Policy{POPExpire: Set(0)})
	want(8, time.Hour)
	account("bob", Policy{POPExpire: Set(1)})
	want(1, time.Hour)
	must(t)(nil, d.RemoveAccount(ctx, "bob"))
	want(8, time.Hour)
	must(t)(nil, d.RemoveDomain(ctx, "other.test"))
	want(90, time.Minute)
	account("ann", Policy{})
	want(90, time.Second)
	keys := 0
	must(t)(nil, d.View(ctx, func(n *Names) error {
		return n.each([]byte{keyStrict}, func(_, _ []byte) error { keys++; return nil })
	}))
	if keys != 0 {
		t.Errorf("%d keys are left", keys)
	}
}

// The directory reads in a state that another room is in the middle of.
func TestNamesInASnapshot(t *testing.T) {
	t.Parallel()
	st := storetest.New(t)
	d := New(st, Options{Server: Policy{QuotaAlert: Set(70)}})
	ctx := t.Context()
	must(t)(d.AddDomain(ctx, "company.test"))
	acct, err := d.AddAccount(ctx, "ann", "")
	wantError(t, err, nil)
	must(t)(nil, st.View(ctx, func(r *store.Snapshot) error {
		p, err := d.In(r).Policy(acct.ID)
		if p.QuotaAlert.Or(0) != 70 {
			t.Errorf("%+v", p)
		}
		return err
	}))
}
