package mtasts

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tripost/smtp/dnstest"
	"tripost/smtp/resolve"
)

const good = "version: STSv1\r\nmode: enforce\r\nmx: mx.company.test\r\nmx: *.backup.test\r\nmax_age: 86400\r\n"

func TestParse(t *testing.T) {
	t.Parallel()
	p, err := Parse(good)
	if err != nil || p.Mode != Enforce || len(p.Hosts) != 2 || p.MaxAge != 24*time.Hour {
		t.Fatalf("%+v (%v)", p, err)
	}
	for host, want := range map[string]bool{
		"mx.company.test": true, "MX.Company.test.": true, "a.backup.test": true,
		"a.b.backup.test": false, "backup.test": false, "company.test": false, "evil.test": false, "": false,
	} {
		if p.Matches(host) != want {
			t.Errorf("%q matches: %v", host, !want)
		}
	}
	for _, text := range []string{
		"version: STSv1\nmode: none\nmax_age: 0",
		"mode: testing\nversion: STSv1\nmx: a.test\nmax_age: 1\nfuture: yes\n\n",
		"version: STSv1\nmode: testing\nmode: enforce\nmx: a.test\nmax_age: 99999999999\n",
	} {
		if p, err := Parse(text); err != nil || p.Mode == Enforce || p.MaxAge > maxAge {
			t.Errorf("%q: %+v (%v)", text, p, err)
		}
	}
	for _, text := range []string{
		"", "version: STSv2\nmode: none\nmax_age: 1", "version: STSv1\nmode: enforce\nmax_age: 1",
		"version: STSv1\nmode: strict\nmx: a\nmax_age: 1", "version: STSv1\nmode: none\nmax_age: -1",
		"version: STSv1\nmode: none", "<html>", "version: STSv1\nmode: enforce\nmax_age: 1\n" + strings.Repeat("mx: a.test\n", 101),
	} {
		if p, err := Parse(text); err == nil {
			t.Errorf("%q was taken: %+v", text, p)
		}
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	for txt, want := range map[string]string{
		"v=STSv1; id=20260301;": "20260301", "v=STSv1;id=a": "a", "v=STSv1 ; x=y; id = b2": "b2",
		"v=STSv1": "", "v=STSv1; id=a b": "", "v=STSv1; id=" + strings.Repeat("a", 33): "", "v=STSv2; id=1": "", "spf": "",
	} {
		if id, ok := recordID([]string{"other", txt}); ok != (want != "") || ok && id != want {
			t.Errorf("%q: %q %v", txt, id, ok)
		}
	}
	if _, ok := recordID([]string{"v=STSv1; id=1", "v=STSv1; id=2"}); ok {
		t.Error("two records count")
	}
}

// memory is a keeper.
type memory struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (k *memory) LoadPolicy(_ context.Context, domain string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.m[domain], nil
}

func (k *memory) SavePolicy(_ context.Context, domain string, b []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.m[domain] = b
	return nil
}

// world is a domain with a web server that says what the test wants.
type world struct {
	*Client
	dns    *dnstest.Server
	now    time.Time
	mu     sync.Mutex
	answer http.HandlerFunc
	hits   int
}

func (w *world) says(h http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = h
}

func (w *world) asked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hits
}

func plain(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, text)
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), answer: plain(good)}
	w.dns = dnstest.New(t, "mta-sts.example.com. A 127.0.0.1\n_mta-sts.example.com. 1 TXT \"v=STSv1; id=1\"")
	web := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.hits++
		answer := w.answer
		w.mu.Unlock()
		answer(rw, r)
	}))
	t.Cleanup(web.Close)
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate()) // it is for example.com and *.example.com
	clock := func() time.Time { return w.now }
	w.Client = New(resolve.New(resolve.Options{Servers: []string{w.dns.Addr}, Now: clock, Timeout: 30 * time.Second}), &memory{m: map[string][]byte{}},
		Options{Port: web.Listener.Addr().(*net.TCPAddr).Port, RootCAs: roots, Now: clock})
	return w
}

// A policy is fetched once, holds for its time, and is fetched anew when the
// record says that it is another one.
func TestPolicyLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	want := func(mode Mode, hits int, what string) {
		t.Helper()
		p, ok := w.Policy(t.Context(), "Example.com.")
		if ok != (mode != Off) || ok && p.Mode != mode || w.asked() != hits {
			t.Errorf("%s: %+v %v after %d fetches, want %s after %d", what, p, ok, w.asked(), mode, hits)
		}
	}
	want(Enforce, 1, "first")
	want(Enforce, 1, "kept")
	w.now = w.now.Add(time.Hour)
	w.dns.Remove("_mta-sts.example.com")
	want(Enforce, 1, "the record is gone")
	w.dns.Fail("_mta-sts.example.com", dnstest.ServFail)
	w.now = w.now.Add(2 * time.Hour)
	want(Enforce, 1, "the record cannot be had")
	w.dns.Fail("_mta-sts.example.com", dnstest.None)
	w.dns.Add("_mta-sts.example.com. 1 TXT \"v=STSv1; id=2\"")
	w.says(http.NotFound)
	w.now = w.now.Add(2 * time.Hour)
	want(Enforce, 2, "the new one cannot be had")
	want(Enforce, 2, "not tried again at once")
	w.says(plain(strings.Replace(good, "enforce", "testing", 1)))
	w.now = w.now.Add(failurePause)
	want(Testing, 3, "the new one")
	w.dns.Remove("_mta-sts.example.com")
	w.now = w.now.Add(24 * time.Hour)
	want(Off, 3, "its time is over")
	w.dns.Add("_mta-sts.example.com. 1 TXT \"v=STSv1; id=3\"")
	w.says(plain("version: STSv1\nmode: none\nmax_age: 86400\n"))
	w.now = w.now.Add(2 * time.Hour)
	want(Off, 4, "mode none")
	want(Off, 4, "mode none, kept")
}

// A policy whose record stays as it is is fetched again before its time is over, and
// holds when that fails.
func TestPolicyRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	week := strings.Replace(good, "86400", "604800", 1)
	want := func(mode Mode, hits int, what string) {
		t.Helper()
		p, ok := w.Policy(t.Context(), "example.com")
		if !ok || p.Mode != mode || w.asked() != hits {
			t.Errorf("%s: %+v %v after %d fetches, want %s after %d", what, p, ok, w.asked(), mode, hits)
		}
	}
	want(Enforce, 1, "for a day")
	w.now = w.now.Add(11 * time.Hour)
	want(Enforce, 1, "before half of its time")
	w.says(plain(week))
	w.now = w.now.Add(2 * time.Hour)
	want(Enforce, 2, "after half of its time")
	w.now = w.now.Add(23 * time.Hour)
	want(Enforce, 2, "not yet a day old")
	w.says(http.NotFound)
	w.now = w.now.Add(2 * time.Hour)
	want(Enforce, 3, "a day old, and not to be had")
	w.now = w.now.Add(30 * time.Minute)
	want(Enforce, 3, "not tried again at once")
	w.now = w.now.Add(31 * time.Minute)
	want(Enforce, 4, "tried again")
	for range 5 { // a failing web server takes nothing away before its time
		w.now = w.now.Add(24 * time.Hour)
		p, ok := w.Policy(t.Context(), "example.com")
		if !ok || p.Mode != Enforce {
			t.Errorf("at %v: %+v %v", w.now, p, ok)
		}
	}
	w.says(plain(strings.Replace(week, "enforce", "testing", 1)))
	w.now = w.now.Add(2 * time.Hour)
	want(Testing, 10, "what it says now, under the same id")
}

// Web servers that must not be believed.
func TestPolicyFetchRefused(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"not found": http.NotFound,
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		},
		"other type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, good)
		},
		"too long": plain(good + strings.Repeat("x: y\r\n", maxPolicy/6)),
		"garbage":  plain("nothing of the kind"),
	} {
		w := newWorld(t)
		w.says(answer)
		if p, ok := w.Policy(t.Context(), "example.com"); ok {
			t.Errorf("%s: %+v", name, p)
		}
	}
	w := newWorld(t)
	w.dns.Add("mta-sts.other.test. A 127.0.0.1\n_mta-sts.other.test. TXT \"v=STSv1; id=1\"\n_mta-sts.gone.test. TXT \"v=STSv1; id=1\"")
	for _, domain := range []string{"other.test", "gone.test"} { // a certificate for another name; no web server
		if p, ok := w.Policy(t.Context(), domain); ok {
			t.Errorf("%s: %+v", domain, p)
		}
	}
	if w.asked() != 0 {
		t.Errorf("the web server was asked %d times", w.asked())
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	p, _ := Parse(good)
	p.ID, p.Fetched = "7", time.Unix(1772366400, 0)
	got, err := Decode(p.Encode())
	if err != nil || fmt.Sprint(got) != fmt.Sprint(p) {
		t.Errorf("%+v (%v), want %+v", got, err, p)
	}
	for _, bad := range []string{"", "2 1 a\n", "1 x a\n" + good, "1 5 a\nmode: enforce"} {
		if _, err := Decode([]byte(bad)); err == nil || !Expired([]byte(bad), time.Unix(6, 0)) {
			t.Errorf("%q was taken", bad)
		}
	}
	if Expired(p.Encode(), p.Fetched.Add(time.Hour)) || !Expired(p.Encode(), p.Fetched.Add(25*time.Hour)) {
		t.Error("the time of a policy is not kept")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("version: STSv1\nmode: none\nmax_age: 1")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		p.ID, p.Fetched = "1", time.Unix(1, 0)
		if got, err := Decode(p.Encode()); err != nil || fmt.Sprint(got) != fmt.Sprint(p) {
			t.Errorf("%q: %+v (%v), want %+v", text, got, err, p)
		}
	})
}
