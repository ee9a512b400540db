package router

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/store"
	"tripost/store/storetest"
)

func lead(t testing.TB, r *Router, addr string) string {
	t.Helper()
	res, err := r.Route(t.Context(), addr, ForMail, false)
	if err != nil {
		t.Error(err)
	}
	return res.describe()
}

// A change counts for every address routed after Change has returned, also in
// another router on the same store, and a later revision never gives way to an
// earlier one.
func TestChangeTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	other := New(r.directory, testOptions())
	setTable(t, r, "moving.test = to0.test")
	var done sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		done.Go(func() {
			last := 0
			for {
				select {
				case <-stop:
					return
				default:
				}
				var n int
				if _, err := fmt.Sscanf(lead(t, other, "x@moving.test"), "send x@to%d.test", &n); err != nil {
					t.Errorf("after %d: %v", last, err)
				}
				if n < last {
					t.Errorf("after %d came %d", last, n)
				}
				last = n
			}
		})
	}
	for i := range 60 {
		setTable(t, r, fmt.Sprintf("moving.test = to%d.test", i))
		want := fmt.Sprintf("send x@to%d.test to the MX hosts of to%d.test", i, i)
		for _, r := range []*Router{r, other} {
			if got := lead(t, r, "x@moving.test"); got != want {
				t.Errorf("change %d: %s", i, got)
			}
		}
	}
	close(stop)
	done.Wait()
}

// Changes at the same time are all made.
func TestChangesDoNotGetLost(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	var done sync.WaitGroup
	for i := range 20 {
		done.Go(func() {
			if _, err := r.Change(t.Context(), Insert(fmt.Sprintf("a%d.test = null", i), 0)); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	st, err := r.Table(t.Context())
	if err != nil || st.Revision != 20 || strings.Count(st.Text, "= null\n") != 20 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestEdits(t *testing.T) {
	t.Parallel()
	const table = "; head\na.test = b.test\r\nMail: <x> = null\n<x> = boss ; why"
	for _, c := range []struct {
		edit func(Stored) (string, error)
		want string // or the error
	}{
		{Insert("<y> = boss", 0), "; head\na.test = b.test\nMail: <x> = null\n<x> = boss ; why\n<y> = boss\n"},
		{Insert("<y> = boss ; new", 1), "<y> = boss ; new\n; head\na.test = b.test\nMail: <x> = null\n<x> = boss ; why\n"},
		{Insert("<y> = boss", 5), "; head\na.test = b.test\nMail: <x> = null\n<x> = boss ; why\n<y> = boss\n"},
		{Insert("<y> = boss", 6), "line 6: no such record in the router table: it has 4 lines"},
		{Insert("<y> = boss", -1), "line -1: no such record"},
		{Insert("; only a comment", 0), "line: there is no record; expected LEFT = RIGHT"},
		{Insert("<y> = boss\n<z> = boss", 0), "line: expected one record on one line"},
		{Insert("<y> = b b", 0), `right side: "b b" is not an address`},
		{Remove("A.test"), "; head\nMail: <x> = null\n<x> = boss ; why\n"},
		{Remove("a.test = B.test"), "; head\nMail: <x> = null\n<x> = boss ; why\n"},
		{Remove("<x>"), `"<x>": no such record in the router table: it could be line 3 or line 4; give the whole record`},
		{Remove("<x> = boss"), "; head\na.test = b.test\nMail: <x> = null\n"},
		{Remove("mail:<x>=null"), "; head\na.test = b.test\n<x> = boss ; why\n"},
		{Remove("<y>"), `"<y>": no such record`},
		{Remove("<y"), "left side: expected '>' after the address"},
		{Remove(""), "left side:"},
		{At(7, Replace("")), ""},
		{At(6, Replace("")), "the router table has been changed meanwhile"},
	} {
		got, err := c.edit(Stored{Text: table, Revision: 7})
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || c.want == "" || !strings.HasPrefix(got, c.want)) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// A refused change leaves everything as it was.
func TestRefusedChange(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	setTable(t, r, "<x> = boss")
	for _, edit := range []func(Stored) (string, error){
		Replace("<x> = jsmith\nnothing"), Insert("<x> = <", 0), Remove("<y>"), At(9, Replace("<x> = jsmith")),
	} {
		if _, err := r.Change(t.Context(), edit); err == nil {
			t.Error("it was made")
		}
	}
	if got := lead(t, r, "x"); got != "account boss@company.test" {
		t.Error(got)
	}
	if st, err := r.Table(t.Context()); err != nil || st.Revision != 1 || st.Text != "<x> = boss" {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestDifferences routes names and holds what a change of the table would mean
// for them.
func TestDifferences(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	for _, addr := range []string{"jsmith", "info@company.test", "jim@far.test", "x@[203.0.113.1]", "a\nb", "nobody"} {
		lead(t, r, addr)
	}
	for _, name := range []string{"jsmith", "secret password", "nobody"} {
		r.RouteLogin(t.Context(), name, netip.Addr{})
	}
	if _, err := r.Route(t.Context(), "boss", ForMail, true); err != nil {
		t.Error(err) // explained: nobody's mail
	}
	report, err := r.Preview(t.Context(), Replace("Mail: <jsmith> = boss\nRelay: far.test = far.test\n<nobody> = spamtrap\n<boss> = null"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Difference{
		{"jsmith", false, "account jsmith@company.test", "accept and throw away"},
		{"nobody", false, "refuse: 550 5.1.1 no such account in company.test", "refuse the whole message (spam trap)"},
		{"jim@far.test", false, "send jim@far.test to the MX hosts of far.test", "send jim@far.test to the MX hosts of far.test, also for strangers"},
	}
	if report.Tested != 6 || report.Changed != 3 || report.Lost != 1 || !slices.Equal(report.Differences, want) {
		t.Errorf("%+v", report)
	}
	report, err = r.Preview(t.Context(), Replace("Access: <jsmith> = boss"))
	if want := []Difference{{"jsmith", true, "account jsmith@company.test", "account boss@company.test"}}; err != nil || !slices.Equal(report.Differences, want) {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestDifferencesOfManyNames tries a table on as many names as some days may
// leave. Whatever there is of the rest, the few that would be lost are told first.
func TestDifferencesOfManyNames(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	o := testOptions()
	o.Now = func() time.Time { return now }
	r := openRouter(t, o)
	const days = 2
	for day := range days {
		for i := range maxNames[leadsHere] {
			r.recent.note(fmt.Sprintf("client%d-%d@old.test", day, i), ForMail, &Result{Kind: Local})
		}
		for i := range maxNames[leadsOut] {
			r.recent.note(fmt.Sprintf("friend%d-%d@far.test", day, i), ForMail, &Result{Kind: Remote})
		}
		for i := range maxNames[leadsNowhere] {
			r.recent.note(fmt.Sprintf("guess%d-%d", day, i), ForMail, &Result{Kind: Refused})
		}
		r.flush(t.Context())
		now = now.AddDate(0, 0, 1)
	}
	now = now.AddDate(0, 0, -1)
	r.recent.note("jsmith", ForLogin, &Result{Kind: Local})
	r.recent.note("jsmith", ForMail, &Result{Kind: Local})
	report, err := r.Preview(t.Context(), Replace("old.test = company.test\nfar.test = elsewhere.test\n<jsmith> = error"))
	if err != nil {
		t.Fatal(err)
	}
	// The clients are sent to another host now, and would have to be accounts.
	clients, friends := days*maxNames[leadsHere], days*maxNames[leadsOut]
	if report.Tested != days*10_000+2 || report.Changed != clients+friends+2 || report.Lost != clients+2 || len(report.Differences) != maxDifferences {
		t.Fatalf("%d tried, %d lead elsewhere, %d nowhere, %d told", report.Tested, report.Changed, report.Lost, len(report.Differences))
	}
	if d := report.Differences; !d[0].Login || d[0].Address != "jsmith" || d[1].Address != "jsmith" || d[2].Address != "client0-0@old.test" {
		t.Errorf("first %+v", d[:3])
	}
}

// TestRecentNamesAreKept follows names through flushes, days and a restart.
func TestRecentNamesAreKept(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	o := testOptions()
	o.Now = func() time.Time { return now }
	r := openRouter(t, o)
	tested := func(r *Router) int {
		t.Helper()
		report, err := r.Preview(t.Context(), Replace(""))
		if err != nil {
			t.Fatal(err)
		}
		return report.Tested
	}
	lead(t, r, "one@far.test")
	r.flush(t.Context())
	lead(t, r, "one@far.test")
	lead(t, r, "two@far.test")
	if n := tested(r); n != 2 {
		t.Errorf("%d names on the first day", n)
	}
	r.flush(t.Context())
	again := New(r.directory, o)
	if n := tested(again); n != 2 {
		t.Errorf("%d names after a restart", n)
	}
	now = now.AddDate(0, 0, keepDays-1)
	lead(t, r, "three@far.test")
	r.flush(t.Context())
	lead(t, r, "one@far.test")
	r.flush(t.Context())
	if n := tested(again); n != 3 {
		t.Errorf("%d names on the last day", n)
	}
	now = now.AddDate(0, 0, 1)
	if n := tested(again); n != 2 {
		t.Errorf("%d names on the day after", n)
	}
	now = now.AddDate(0, 0, keepDays)
	lead(t, r, "four@far.test")
	r.flush(t.Context())
	if n := tested(again); n != 1 {
		t.Errorf("%d names later", n)
	}
}

// Names that lead nowhere take no room from the others, and no day keeps more
// than it may.
func TestRecentNamesAreBounded(t *testing.T) {
	t.Parallel()
	var r recent
	for i := range 20_000 {
		r.note(fmt.Sprintf("%d", i), ForMail, &Result{Kind: Refused})
		r.note(fmt.Sprintf("%d@far.test", i), ForMail, &Result{Kind: Remote})
		r.note(fmt.Sprintf("%d@here.test", i), ForMail, &Result{Kind: Local})
	}
	r.note(strings.Repeat("x", maxNameLength+1), ForMail, &Result{Kind: Local})
	if len(r.names) != 10_000 || len(r.fresh) != 10_000 || r.count != maxNames {
		t.Errorf("%d names, %d to write, %v", len(r.names), len(r.fresh), r.count)
	}
	batches := encodeNames(r.fresh)
	var all []noted
	for _, b := range batches {
		names, err := decodeNames(b)
		if err != nil || len(b) > maxBatch {
			t.Errorf("a batch of %d octets: %v", len(b), err)
		}
		all = append(all, names...)
	}
	if !slices.Equal(all, r.fresh) {
		t.Errorf("%d names read back", len(all))
	}
	for _, b := range [][]byte{nil, {2}, {1, 0}, {1, 0, 5, 'x'}, {1, 7, 1, 'x'}, {1, 0, 0xff, 0xff}} {
		if names, err := decodeNames(b); !errors.Is(err, errFormat) {
			t.Errorf("%v: %v, %v", b, names, err)
		}
	}
}

// Run writes what is left when it ends.
func TestRunWritesTheLastNames(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	waiting := func() int {
		r.recent.mu.Lock()
		defer r.recent.mu.Unlock()
		return len(r.recent.fresh)
	}
	lead(t, r, "one@far.test")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	cancel()
	if err := <-ended; err != nil || waiting() != 0 {
		t.Errorf("%d names wait, %v", waiting(), err)
	}
	if report, err := New(r.directory, testOptions()).Preview(t.Context(), Replace("")); err != nil || report.Tested != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

// A restart does not let a day keep more.
func TestRunKnowsTheNamesOfToday(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	o := testOptions()
	o.Now = func() time.Time { return now }
	r := openRouter(t, o)
	lead(t, r, "one@far.test")
	lead(t, r, "jsmith")
	r.flush(t.Context())
	again := New(r.directory, o)
	written, err := again.writtenNames(t.Context(), dayOf(now))
	again.recent.begin(dayOf(now), written)
	if want := [len(maxNames)]int{leadsHere: 1, leadsOut: 1}; err != nil || again.recent.count != want {
		t.Errorf("%v, %v", again.recent.count, err)
	}
	lead(t, again, "one@far.test")
	if len(again.recent.fresh) != 0 {
		t.Errorf("%v is to be written again", again.recent.fresh)
	}
}

func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "\x01", "\x02\x01<x> = y", "\x01\xff\xff", "\x01\x01nothing"} {
		r := New(accounts.New(storetest.New(t), accounts.Options{}), Options{})
		putTable(t, r, value)
		if res, err := r.Route(t.Context(), "x@far.test", ForMail, false); err == nil {
			t.Errorf("%q: %+v", value, res)
		}
		putTable(t, r, "\x01\x02far.test = null")
		if got := lead(t, r, "x@far.test"); got != "accept and throw away" {
			t.Error(got)
		}
	}
}

func putTable(t *testing.T, r *Router, value string) {
	t.Helper()
	err := r.store().Update(t.Context(), func(tx *store.Tx) error {
		tx.Put(store.SpaceRouter, []byte{keyTable}, []byte(value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
