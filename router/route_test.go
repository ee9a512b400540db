package router

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"tripost/accounts"
	"tripost/store/storetest"
)

// TestRoutes replays testdata/routes.txt.
func TestRoutes(t *testing.T) {
	t.Parallel()
	cases := 0
	replayRoutes(t, "testdata/routes.txt", func(question, want, got string) {
		cases++
		if got != want {
			t.Errorf("%s\ngot:\n%swant:\n%s", question, got, want)
		}
	})
	if cases < 280 {
		t.Errorf("only %d cases", cases)
	}
}

// replayRoutes calls check for each case of a file.
func replayRoutes(t *testing.T, file string, check func(question, want, got string)) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := openRouter(t, testOptions())
	var question, want string
	var table []string
	end := func() {
		if question != "" {
			check(question, want, explained(t, r, question))
		}
		question, want = "", ""
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if record, ok := strings.CutPrefix(line, "|"); ok {
			end()
			table = append(table, strings.TrimPrefix(record, " "))
			continue
		}
		if table != nil {
			setTable(t, r, table...)
			table = nil
		}
		switch {
		case strings.HasPrefix(line, "  "):
			want += line + "\n"
		case strings.HasPrefix(line, "#") || line == "":
		default:
			end()
			question = line
		}
	}
	end()
}

// setTable puts a table in force.
func setTable(t testing.TB, r *Router, records ...string) {
	t.Helper()
	if _, err := r.Change(t.Context(), Replace(strings.Join(records, "\n"))); err != nil {
		t.Fatal(err)
	}
}

// explained routes "mail: address" or "login: address".
func explained(t *testing.T, r *Router, question string) string {
	t.Helper()
	purpose, addr, ok := strings.Cut(question, ":")
	p, known := map[string]Purpose{"mail": ForMail, "login": ForLogin}[purpose]
	if !ok || !known {
		t.Fatalf("no question: %q", question)
	}
	addr = strings.TrimPrefix(addr, " ")
	res, err := r.Route(t.Context(), addr, p, true)
	if err != nil {
		t.Fatal(err)
	}
	checkResult(t, addr, res)
	if p == ForLogin && res.Kind != Local && res.Kind != Refused {
		t.Errorf("%s: a login name leads to %s", addr, res.describe())
	}
	quiet, err := r.Route(t.Context(), addr, p, false)
	if err != nil || quiet.Steps != nil || quiet.describe() != res.describe() || quiet.Rule != res.Rule || quiet.Relay != res.Relay {
		t.Errorf("%s: without steps it is %+v, %v", question, quiet, err)
	}
	var b strings.Builder
	for _, s := range res.Steps {
		fmt.Fprintf(&b, "  %s [%s] %s\n", s.Address, s.Rule, s.Result)
	}
	if res.Kind == Remote && !res.Relay {
		b.WriteString("  also for strangers\n")
	}
	if res.Trap {
		b.WriteString("  spam trap\n")
	}
	return b.String()
}

// checkResult asserts what holds for every result.
func checkResult(t *testing.T, addr string, res Result) {
	t.Helper()
	bad := func(why string) { t.Errorf("%q: %s: %+v", addr, why, res) }
	if res.Rule == "" {
		bad("no rule decided")
	}
	switch res.Kind {
	case Local:
		if res.Account.ID == 0 || res.Relay || strings.HasPrefix(res.Mailbox, "~") {
			bad("not a place for mail")
		}
	case Discard:
		if res.Relay {
			bad("nothing is relayed")
		}
	case Remote:
		again, err := parseAddress(res.Address)
		if err != nil || again.domain == "" || again.String() != res.Address || len(again.local) > maxLocal {
			bad("not a valid address")
		}
		if !isHost(again.domain) && again.domain[0] != '[' {
			bad("not a valid domain")
		}
		if _, err := netip.ParseAddr(res.Host); err != nil && !isHost(res.Host) || res.Port < 0 || res.Port > 65535 {
			bad("not a valid host")
		}
	case Refused:
		if res.Reason == "" || res.Code < 400 || res.Code > 599 || res.Temporary != (res.Code < 500) || !strings.HasPrefix(res.Enhanced, fmt.Sprint(res.Code/100, ".")) {
			bad("not a refusal")
		}
	default:
		bad("no kind")
	}
}

func TestLongAddresses(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	long := strings.Repeat("x", 255)
	for addr, code := range map[string]int{
		long + "@elsewhere.test":                                 0,
		long + "x@elsewhere.test":                                501,
		"jim@" + strings.Repeat("a.", 127) + "b":                 0,
		"jim@" + strings.Repeat("a.", 127) + "bc":                501,
		"jim@" + strings.Repeat("a", 64) + ".test":               553,
		"jim@" + strings.Repeat("ü", 300):                        501,
		"@a.test:" + long + "@elsewhere.test":                    501,
		strings.Repeat("@a.test,", 1000) + "@b.test:jim@c.test":  501,
		strings.Repeat("x", 100_000):                             501,
		strings.Repeat("y", 128) + "@company.test":               550,
		strings.Repeat("z", 240) + "#jsmith@company.test":        0,
		strings.Repeat("%a", 120) + "%company.test@company.test": 0,
	} {
		res, err := r.Route(t.Context(), addr, ForMail, true)
		if err != nil || res.Code != code {
			t.Errorf("%.40q (%d octets): %d, %v, want %d", addr, len(addr), res.Code, err, code)
		}
		checkResult(t, addr, res)
	}
}

func TestControlCharacters(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	for _, addr := range []string{"js\x00mith@company.test", "jsmith@company.test\r\nRCPT TO:<x>", "\"a\tb\"@company.test", "\x7f", "\xff@company.test", "a\u0085b@x.test"} {
		res, err := r.Route(t.Context(), addr, ForMail, true)
		if err != nil || res.Code != 501 {
			t.Errorf("%q: %+v, %v", addr, res, err)
		}
		if shown := res.Steps[0].Address; !utf8.ValidString(shown) || strings.ContainsFunc(shown, unicode.IsControl) {
			t.Errorf("%q is shown as %q", addr, shown)
		}
	}
}

func TestLoopEnds(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	res, err := r.Route(t.Context(), "jsmith"+strings.Repeat("%company.test", 15), ForMail, true)
	if err != nil || res.Rule != "routing loop" || res.Code != 554 || len(res.Steps) != 21 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestOptionsOff(t *testing.T) {
	t.Parallel()
	r := openRouter(t, Options{})
	for addr, want := range map[string]string{
		"jsmith+news@company.test": "unknown name",
		"box#jsmith@company.test":  "unknown name",
		"jsmith@mail.company.test": "other domain",
		"jsmith@[192.0.2.1]":       "IP address",
		"jsmith@localhost":         "own host name",
	} {
		res, err := r.Route(t.Context(), addr, ForMail, false)
		if err == nil && res.Kind == Local {
			res.Rule = "own host name"
		}
		if err != nil || res.Rule != want {
			t.Errorf("%s: %+v, %v, want %s", addr, res, err, want)
		}
	}
}

func TestReaderOfPostmaster(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := accounts.New(storetest.New(t), accounts.Options{})
	r := New(d, Options{})
	ask := func(addr, want string) {
		t.Helper()
		res, err := r.Route(ctx, addr, ForMail, false)
		got := res.describe()
		if res.Kind == Local {
			got = res.Account.Address()
		}
		if err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", addr, got, err, want)
		}
	}
	add := func(addr string) {
		t.Helper()
		if _, err := d.AddAccount(ctx, addr, ""); err != nil {
			t.Fatal(err)
		}
	}
	ask("postmaster", "refuse: 550 5.1.1 this host has no accounts")
	ask("jim@elsewhere.test", "send jim@elsewhere.test to the MX hosts of elsewhere.test")
	for _, name := range []string{"company.test", "client1.test"} {
		if _, err := d.AddDomain(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	ask("postmaster@client1.test", "refuse: 450 4.2.1 nobody reads this mail yet")
	add("zoe@company.test")
	add("ann@company.test")
	ask("postmaster@client1.test", "zoe@company.test")
	ask("abuse", "zoe@company.test")
	add("boss@client1.test")
	ask("abuse@client1.test", "boss@client1.test")
	if err := d.AddAlias(ctx, "postmaster", "ann"); err != nil {
		t.Fatal(err)
	}
	ask("postmaster", "ann@company.test")
	ask("ABUSE@company.test", "ann@company.test")
	add("abuse")
	ask("abuse", "abuse@company.test")
	add("postmaster@client1.test")
	ask("abuse@client1.test", "postmaster@client1.test")
}

func TestRouteLogin(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	for name, want := range map[string]string{
		"jsmith":               "jsmith@company.test",
		"INFO@company.example": "jsmith@company.test",
		"abcdef@cl1.local":     "cl1@company.test abcdef",
		"ann%client1.test":     "ann@client1.test",
	} {
		route, err := r.RouteLogin(t.Context(), name, netip.Addr{})
		got := strings.TrimSpace(route.Account.Address() + " " + route.Individual)
		if err != nil || got != want || route.Name != route.Account.Address() {
			t.Errorf("%s: %+v, %v, want %s", name, route, err, want)
		}
	}
	// All spellings of an unknown name come down to the same.
	for _, name := range []string{"nobody", "NoBody@company.test", "nobody%Company.Example", "nobody@mail.company.test", "<nobody>"} {
		route, err := r.RouteLogin(t.Context(), name, netip.Addr{})
		if !errors.Is(err, accounts.ErrNoAccount) || route.Name != "nobody" {
			t.Errorf("%s: %+v, %v", name, route, err)
		}
	}
	for _, name := range []string{"", "@", "a b", "jim@elsewhere.test", "x._via", strings.Repeat("x", 10_000)} {
		if route, err := r.RouteLogin(t.Context(), name, netip.Addr{}); !errors.Is(err, accounts.ErrNoAccount) {
			t.Errorf("%.20q: %+v, %v", name, route, err)
		}
	}
}

func TestLoginByLocalAddress(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := openRouter(t, testOptions())
	if _, err := r.directory.AddAccount(ctx, "jsmith@client1.test", ""); err != nil {
		t.Fatal(err)
	}
	for domain, ip := range map[string]string{"company.test": "192.0.2.1", "client1.test": "192.0.2.2"} {
		_, err := r.directory.SetDomain(ctx, domain, func(d *accounts.Domain) error {
			d.Addresses = []netip.Addr{netip.MustParseAddr(ip)}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ local, name, want string }{
		{"192.0.2.2", "jsmith", "jsmith@client1.test"},
		{"::ffff:192.0.2.2", "JSmith", "jsmith@client1.test"},
		{"192.0.2.2", "help", "ann@client1.test"},
		{"192.0.2.1", "jsmith", "jsmith@company.test"},
		{"192.0.2.3", "jsmith", "jsmith@company.test"},
		{"", "jsmith", "jsmith@company.test"},
		{"192.0.2.2", "jsmith@company.test", "jsmith@company.test"},
		{"192.0.2.2", "jsmith%company.test", "jsmith@company.test"},
		{"192.0.2.2", "jsmith@company.example", "jsmith@company.test"},
		{"192.0.2.2", "jsmith@mail.company.test", "jsmith@company.test"},
		{"192.0.2.1", "ann@client1.test", "ann@client1.test"},
		{"192.0.2.2", "abcdef@cl1.local", "cl1@company.test"},
	} {
		var local netip.Addr
		if tt.local != "" {
			local = netip.MustParseAddr(tt.local)
		}
		route, err := r.RouteLogin(ctx, tt.name, local)
		if err != nil || route.Account.Address() != tt.want || route.Name != tt.want {
			t.Errorf("%s at %s: %+v, %v, want %s", tt.name, tt.local, route, err, tt.want)
		}
	}
	route, err := r.RouteLogin(ctx, "boss", netip.MustParseAddr("192.0.2.2"))
	if !errors.Is(err, accounts.ErrNoAccount) || route.Name != "boss@client1.test" {
		t.Errorf("boss: %+v, %v", route, err)
	}
}

// A forwarder to an account is one more name of it; one that leads elsewhere is
// nobody's.
func TestRouteLoginByForwarder(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	for name, target := range map[string]string{"sales": "jsmith", "office": "sales@company.test", "away": "jim@elsewhere.test"} {
		if _, err := r.directory.SetForwarder(t.Context(), name, target, true); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sales", "Sales@company.example", "office%company.test"} {
		route, err := r.RouteLogin(t.Context(), name, netip.Addr{})
		if err != nil || route.Account.Address() != "jsmith@company.test" || route.Individual != "" {
			t.Errorf("%s: %+v, %v", name, route, err)
		}
	}
	if route, err := r.RouteLogin(t.Context(), "away", netip.Addr{}); !errors.Is(err, accounts.ErrNoAccount) {
		t.Errorf("away: %+v, %v", route, err)
	}
}

// A record for a domain lets each of its people sign in to a view of their own.
func TestRouteLoginByTable(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	setTable(t, r, "client9.test = Cl1.local", "Access: <chief> = boss", "Mail: <desk> = boss", "<out> = x@far.test", "<bin> = null")
	for name, want := range map[string]string{
		"Abc.Def@client9.test": "cl1@company.test Abc.Def",
		"abc%client9.test":     "cl1@company.test abc",
		"chief":                "boss@company.test",
		"CHIEF@company.test":   "boss@company.test",
	} {
		route, err := r.RouteLogin(t.Context(), name, netip.Addr{})
		got := strings.TrimSpace(route.Account.Address() + " " + route.Individual)
		if err != nil || got != want || route.Name != route.Account.Address() {
			t.Errorf("%s: %+v, %v, want %s", name, route, err, want)
		}
	}
	for _, name := range []string{"desk", "out", "bin", "x@far.test"} {
		if route, err := r.RouteLogin(t.Context(), name, netip.Addr{}); !errors.Is(err, accounts.ErrNoAccount) || route.Name == "" {
			t.Errorf("%s: %+v, %v", name, route, err)
		}
	}
}

// A store that cannot be read is no refusal.
func TestUnreadableDirectoryIsAnError(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res, err := r.Route(ctx, "jsmith", ForMail, false); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", res, err)
	}
	if route, err := r.RouteLogin(ctx, "jsmith", netip.Addr{}); !errors.Is(err, context.Canceled) || errors.Is(err, accounts.ErrNoAccount) {
		t.Errorf("%+v, %v", route, err)
	}
}

func FuzzRoute(f *testing.F) {
	text, err := os.ReadFile("testdata/routes.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if addr, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "mail: "); ok {
			f.Add(addr)
		}
	}
	r := openRouter(f, testOptions())
	f.Fuzz(func(t *testing.T, addr string) {
		for _, p := range []Purpose{ForMail, ForLogin} {
			res, err := r.Route(t.Context(), addr, p, true)
			if err != nil {
				t.Fatal(err)
			}
			checkResult(t, addr, res)
			if res.Kind == Remote && (p == ForLogin || !res.Relay) {
				t.Errorf("%q leads outside: %+v", addr, res)
			}
			if len(res.Steps) == 0 || len(res.Steps) > r.options.MaxSteps+1 {
				t.Errorf("%q: %d steps", addr, len(res.Steps))
			}
		}
	})
}
