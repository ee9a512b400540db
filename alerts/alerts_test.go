package alerts

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/store"
	"tripost/store/storetest"
	"tripost/syslog"
	"tripost/syslog/syslogtest"
)

func TestOldestFirstScopesMerged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post("server", "one")
	w.post("ann", "two")
	w.post("@company.example", "three") // an alias of the domain
	w.post("bob", "for bob")
	w.post("@client1.test", "for client1")
	w.post("server", "four")
	w.wantAll("ann", "one", "two", "three", "four")
	w.wantAll("ann")
	w.wantAll("bob", "one", "three", "for bob", "four")
	w.wantAll("carl@client1.test", "one", "for client1", "four")
	w.post("@company.test", "five")
	w.wantAll("ann", "five")
	w.wantAll("carl@client1.test")
}

func TestAccountAlertsGoWhenShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post("server", "wide")
	w.post("ann@company.test", "own")
	ann := to("ann")
	if got := w.list(nil); got != "wide|own" {
		t.Errorf("listed: %s", got)
	}
	if got := w.list(&ann); got != "own" {
		t.Errorf("listed for ann: %s", got)
	}
	w.wantAll("ann", "wide", "own")
	if got := w.list(nil); got != "wide" {
		t.Errorf("listed when shown: %s", got)
	}
	for _, only := range []Target{{Scope: Domain, Name: "company.test"}, ann} {
		if got := w.list(&only); got != "" {
			t.Errorf("listed for %s: %s", only, got)
		}
	}
}

func TestNewAccountIsNotShownOlderAlerts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post("server", "old")
	w.post("@company.test", "old too")
	w.add("dora") // at the same time by the clock
	w.post("server", "new")
	w.wantAll("dora", "new")
	w.clock.move(-time.Hour) // a clock that was set right
	w.add("emil")
	w.post("@company.test", "newest")
	w.wantAll("emil", "newest")
	w.wantAll("dora", "newest")
	w.wantAll("ann", "old", "old too", "new", "newest")
}

func TestGivenBackComesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post("server", "one")
	w.post("ann", "two")
	w.post("@company.test", "three")
	_, one := w.take("ann")
	_, two := w.take("ann")
	_, three := w.take("ann")
	three()
	one()
	one()
	two()
	w.wantAll("ann", "one", "two", "three")
	one() // long after: the alert was shown since
	w.wantAll("ann")
	w.wantAll("bob", "one", "three")
}

func TestGivenBackAndRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, after := w.post("server", "before"), w.post("server", "after")
	_, one := w.take("ann")
	_, two := w.take("ann")
	one()
	w.remove(before)
	w.remove(after)
	two()
	w.post("server", "last")
	w.wantAll("ann", "last")
}

// Sessions that sign in at once are shown each alert once among them.
func TestSessionsRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want []string
	for i := range 20 {
		text := fmt.Sprintf("alert %d", i)
		w.post([]string{"server", "ann", "@company.test"}[i%3], text)
		want = append(want, text)
	}
	ann := w.account("ann")
	var mu sync.Mutex
	seen, failed := map[string]int{}, map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				text, giveBack, ok, err := w.Take(t.Context(), ann)
				if err != nil {
					t.Error(err)
				}
				if !ok {
					return
				}
				mu.Lock()
				again := !failed[text] && len(failed) < 5 // its line could not be written
				if again {
					failed[text] = true
				} else {
					seen[text]++
				}
				mu.Unlock()
				if again {
					giveBack()
				}
			}
		})
	}
	wg.Wait()
	for { // what was given back when the others had gone
		text, _ := w.take("ann")
		if text == "" {
			break
		}
		seen[text]++
	}
	for _, text := range want {
		if seen[text] != 1 {
			t.Errorf("%q was shown %d times", text, seen[text])
		}
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var last ID
	t.Run("before", func(t *testing.T) {
		w := furnish(t, storetest.Open(t, dir, store.Options{}), Options{})
		w.post("server", "one")
		w.post("@company.test", "two")
		last = w.post("ann", "three")
		if text, _ := w.take("ann"); text != "one" {
			t.Errorf("shown %q", text)
		}
	})
	t.Run("after", func(t *testing.T) {
		w := open(t, storetest.Open(t, dir, store.Options{}), Options{})
		w.clock.move(-time.Hour)
		w.wantAll("ann", "two", "three")
		w.wantAll("bob", "one", "two")
		if id := w.post("server", "four"); id <= last {
			t.Errorf("%s is not after %s", id, last)
		}
		w.wantAll("ann", "four")
	})
}

// Ids ascend and differ although the clock stands still, and are read back.
func TestIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post("ann", "only one")
	first := w.post("server", "one")
	w.remove(first)
	second := w.post("server", "two")
	if second <= first {
		t.Errorf("%s after %s", second, first)
	}
	if got := second.String(); got != "2027-01-15T08:00:00.000002Z" {
		t.Errorf("id is %s", got)
	}
	for _, s := range []string{"2027-01-15T08:00:00.000002Z", "2027-01-15T09:00:00.000002+01:00"} {
		if id, err := ParseID(s); err != nil || id != second {
			t.Errorf("%s is read as %s, %v", s, id, err)
		}
	}
	for _, s := range []string{"", "2", "2027-01-15", "1969-01-15T08:00:00Z", strings.Repeat("9", 1000), "2027-01-15T08:00:00.000002Z\r\n"} {
		if _, err := ParseID(s); !errors.Is(err, ErrBadID) || len(err.Error()) > 200 {
			t.Errorf("%.30q: %v", s, err)
		}
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wide, own := w.post("@company.test", "wide"), w.post("bob", "own")
	w.wantAll("ann", "wide")
	if n := w.keys(keySeen); n != 1 {
		t.Errorf("%d have seen it", n)
	}
	removed, err := w.Remove(t.Context(), wide)
	if err != nil || removed.Target.String() != "domain company.test" || removed.Text != "wide" || removed.ID != wide {
		t.Errorf("removed %+v, %v", removed, err)
	}
	w.remove(own)
	w.wantAll("bob")
	if got := w.list(nil); got != "" {
		t.Errorf("left: %s", got)
	}
	if n := w.keys(keySeen) + w.keys(keyPosted) + w.keys(keyDomain) + w.keys(keyAccount); n != 0 {
		t.Errorf("%d records are left", n)
	}
	for _, id := range []ID{wide, own, 0, 1 << 62} {
		if _, err := w.Remove(t.Context(), id); !errors.Is(err, ErrNoAlert) {
			t.Errorf("removing again: %v", err)
		}
	}
}

func TestTargetsThatAreNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for target, want := range map[string]error{
		"nobody": accounts.ErrNoAccount, "ann@elsewhere.test": accounts.ErrNoDomain, "": accounts.ErrNoAccount,
		"@elsewhere.test": accounts.ErrNoDomain, "ann@": accounts.ErrNoDomain,
	} {
		if _, err := w.Post(t.Context(), to(target), "text"); !errors.Is(err, want) {
			t.Errorf("posting to %q: %v", target, err)
		}
		only := to(target)
		if _, err := w.List(t.Context(), &only); !errors.Is(err, want) {
			t.Errorf("listing of %q: %v", target, err)
		}
	}
	if _, err := w.Post(t.Context(), Target{Scope: Quota, Name: "ann"}, "text"); err == nil {
		t.Error("a quota alert was posted")
	}
}

func TestNotify(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.account("ann").ID
	if err := w.Notify(t.Context(), ann, "removed from \xff\r\n"+strings.Repeat("x", 1000)); err != nil {
		t.Fatal(err)
	}
	w.wantAll("ann", "removed from ? "+strings.Repeat("x", MaxText-18)+"...")
	w.wantAll("bob")
	if err := w.Notify(t.Context(), 99, "text"); !errors.Is(err, accounts.ErrNoAccount) {
		t.Errorf("to nobody: %v", err)
	}
	if err := w.Notify(t.Context(), ann, "\r\n"); !errors.Is(err, ErrBadText) {
		t.Errorf("an empty text: %v", err)
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	w := furnish(t, storetest.New(t), Options{Limit: 2})
	for _, target := range []string{"server", "@company.test", "@client1.test", "ann", "bob"} {
		w.post(target, "one")
		w.post(target, "two")
		if _, err := w.Post(t.Context(), to(target), "three"); !errors.Is(err, ErrTooMany) {
			t.Errorf("%s: %v", target, err)
		}
	}
	w.wantAll("bob", "one", "two", "one", "two", "one", "two")
	w.post("bob", "there is room again")
}

func TestWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	woken := 0
	stop := w.Watch(w.account("ann").ID, func() { woken++ }) // called before Post returns
	for _, target := range []string{"server", "@company.test", "ann"} {
		before := woken
		w.post(target, "text")
		if woken == before {
			t.Errorf("not woken by an alert for %s", target)
		}
	}
	before := woken
	w.post("bob", "text")
	if woken != before {
		t.Error("woken by an alert for bob")
	}
	stop()
	w.post("server", "text")
	if woken != before {
		t.Error("woken after stop")
	}
}

func TestSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.post("server", "text")
	own := w.post("ann", "own")
	_, giveBack := w.take("carl@client1.test")
	w.take("bob")
	w.clock.move(time.Hour)
	w.take("ann")
	giveBack()
	seen, err := w.Seen(t.Context(), id)
	if got := fmt.Sprint(seen); err != nil ||
		got != "[{ann@company.test 2027-01-15 09:00:00 +0000 UTC} {bob@company.test 2027-01-15 08:00:00 +0000 UTC}]" {
		t.Errorf("seen by %s, %v", got, err)
	}
	if seen, err := w.Seen(t.Context(), own); err != nil || len(seen) != 0 {
		t.Errorf("seen by %v, %v", seen, err)
	}
	if _, err := w.Seen(t.Context(), 1); !errors.Is(err, ErrNoAlert) {
		t.Errorf("seen: %v", err)
	}
}

// What belonged to removed accounts and domains is shown to nobody and goes.
func TestRemovedAccountsAndDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.post("carl@client1.test", "own")
	w.post("@client1.test", "of the domain")
	w.post("server", "wide")
	_, giveBack := w.take("carl@client1.test")
	carl := w.account("carl@client1.test")
	w.take("carl@client1.test")
	if err := w.dir.RemoveAccount(ctx, "carl@client1.test"); err != nil {
		t.Fatal(err)
	}
	giveBack()
	if _, _, ok, err := w.Take(ctx, carl); ok || err != nil {
		t.Errorf("a session of a removed account takes: %v, %v", ok, err)
	}
	if got := w.list(nil); got != "of the domain|wide" {
		t.Errorf("listed: %s", got)
	}
	if err := w.dir.RemoveDomain(ctx, "client1.test"); err != nil {
		t.Fatal(err)
	}
	w.clock.move(time.Second)
	if _, err := w.dir.AddDomain(ctx, "client1.test"); err != nil {
		t.Fatal(err)
	}
	w.add("carl@client1.test")
	if got := w.list(nil); got != "wide" {
		t.Errorf("listed: %s", got)
	}
	w.wantAll("carl@client1.test")
	w.take("bob")
	if err := w.dir.RemoveAccount(ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	w.post("carl@client1.test", "again")
	if p, d, a, s := w.keys(keyPosted), w.keys(keyDomain), w.keys(keyAccount), w.keys(keyShown); p != 2 || d != 0 || a != 1 || s != 1 {
		t.Errorf("%d posted, %d of domains, %d of accounts and %d states are left", p, d, a, s)
	}
	w.wantAll("carl@client1.test", "again")
}

// More is left behind than one Post clears away.
func TestSweepIsBounded(t *testing.T) {
	t.Parallel()
	w := furnish(t, storetest.New(t), Options{Limit: 2000})
	ctx := t.Context()
	carl := w.account("carl@client1.test").ID
	err := w.store.Update(ctx, func(tx *store.Tx) error {
		for i := range uint64(1500) {
			p := posted{scope: Account, account: carl, text: "text"}
			put(tx, postedKey(ID(i+1)), p.encode())
			put(tx, stampKey(p.prefix(), i+1), encodeNumber(0))
			put(tx, seenKey(5, store.AccountID(i+100)), encodeNumber(1))
		}
		return nil
	})
	if err == nil {
		err = w.dir.RemoveAccount(ctx, "carl@client1.test")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []int{501, 2, 3, 4} {
		w.post("ann", "text")
		if n := w.keys(keyPosted); n != left {
			t.Errorf("%d alerts, want %d", n, left)
		}
	}
	if p, s := w.keys(keyPosted), w.keys(keySeen); p != 4 || s != 0 {
		t.Errorf("%d posted and %d seen are left", p, s)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	log, read := syslogtest.Open(t, syslog.Raw)
	w := furnish(t, storetest.New(t), Options{Log: log.Tag("ALERT")})
	w.post("@company.example", "The server\r\nstops")
	own := w.post("ann", "own")
	ctx := WithSession(t.Context(), "POP-000123")
	_, giveBack, _, err := w.Take(ctx, w.account("ann"))
	if err != nil {
		t.Fatal(err)
	}
	giveBack()
	w.wantAll("bob", "The server stops")
	w.remove(own)
	got := read()
	for _, want := range []string{
		" 2 ALERT posted alert 2027-01-15T08:00:00.000000Z for domain company.test: The server stops\n",
		" 2 ALERT shown to ann@company.test by POP-000123: alert 2027-01-15T08:00:00.000000Z for domain company.test\n",
		" 3 ALERT not sent to ann@company.test by POP-000123: alert 2027-01-15T08:00:00.000000Z for domain company.test: it comes again\n",
		" 2 ALERT shown to bob@company.test: alert 2027-01-15T08:00:00.000000Z for domain company.test\n",
		" 2 ALERT removed alert 2027-01-15T08:00:00.000001Z for account ann@company.test: own\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the log:\n%s", want, got)
		}
	}
}

// A record that cannot be read is an error that says so, and shows nothing.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	for _, kind := range []byte{keyPosted, keyServer, keyShown} {
		w := newWorld(t)
		id := w.post("server", "text")
		ann := w.account("ann")
		key := map[byte][]byte{keyPosted: postedKey(id), keyServer: stampKey([]byte{keyServer}, uint64(id)), keyShown: shownKey(ann.ID)}[kind]
		err := w.store.Update(t.Context(), func(tx *store.Tx) error {
			put(tx, key, []byte{recordVersion + 1, 0})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if text, _, ok, err := w.Take(t.Context(), ann); ok || !errors.Is(err, errRecord) {
			t.Errorf("with a damaged %c: %q, %v", kind, text, err)
		}
	}
}

// TestNotifyOnce tells of a thing that lasts again after a pause only, and of
// another thing at once.
func TestNotifyOnce(t *testing.T) {
	w := newWorld(t)
	ann := w.account("ann")
	tell := func(kind, text string, want bool) {
		t.Helper()
		told, err := w.NotifyOnce(t.Context(), ann.ID, kind, time.Hour, text)
		if err != nil || told != want {
			t.Errorf("%s: told %t, %v", text, told, err)
		}
	}
	tell("disk", "one", true)
	tell("disk", "two", false)
	tell("guesses", "three", true)
	w.clock.move(time.Hour)
	tell("disk", "four", true)
	for _, want := range []string{"one", "three", "four", ""} {
		if got, _ := w.take("ann"); got != want {
			t.Errorf("took %q, want %q", got, want)
		}
	}
	if _, err := w.NotifyOnce(t.Context(), ann.ID, "", time.Hour, "x"); err == nil {
		t.Error("a notice of no kind")
	}
	if err := w.dir.RemoveAccount(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	w.post("server", "clears away")
	if n := w.keys(keyNotice); n != 0 {
		t.Errorf("%d records of notices are left", n)
	}
}
