package alerts

import (
	"math"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/store"
	"tripost/store/storetest"
)

// One alert for each crossing of the threshold, and one a day at most.
func TestQuotaThrottled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wantAll("ann")
	w.quota("ann", 1000)
	w.fill("ann", 899)
	w.wantAll("ann")
	w.fill("ann", 21)
	w.post("ann", "posted later")
	w.wantAll("ann", "posted later", "Your mail storage is 92% full")
	w.clock.move(48 * time.Hour)
	w.wantAll("ann") // it is still the same crossing

	w.quota("ann", 2000)
	w.wantAll("ann") // below
	w.quota("ann", 1000)
	w.wantAll("ann", "Your mail storage is 92% full")

	w.quota("ann", 2000)
	w.wantAll("ann")
	w.quota("ann", 1000)
	w.wantAll("ann") // above again, on the same day
	w.clock.move(24*time.Hour - time.Second)
	w.wantAll("ann")
	w.clock.move(time.Second)
	w.wantAll("ann", "Your mail storage is 92% full")
	w.quota("ann", 0)
	w.wantAll("ann")
}

// A full account signs in at the second attempt.
func TestQuotaFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("ann", 300)
	w.quota("ann", 100)
	w.wantAll("ann", "Your mail storage is 300% full: new mail is refused until you delete some")
}

func TestQuotaGivenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("ann", 95)
	w.quota("ann", 100)
	_, giveBack := w.take("ann")
	w.wantAll("ann")
	giveBack()
	w.wantAll("ann", "Your mail storage is 95% full")
	giveBack()
	w.wantAll("ann")
}

func TestQuotaThreshold(t *testing.T) {
	t.Parallel()
	for percent, want := range map[int]string{50: "Your mail storage is 50% full", 51: "", -1: ""} {
		w := furnish(t, storetest.New(t), Options{QuotaPercent: percent})
		w.fill("ann", 500)
		w.quota("ann", 1000)
		if got, _ := w.take("ann"); got != want {
			t.Errorf("told from %d%%: %q", percent, got)
		}
	}
}

func TestUsedPercent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		u    store.Usage
		want int
	}{
		{store.Usage{}, 0},
		{store.Usage{Octets: 5}, 0},
		{store.Usage{Octets: 899, OctetLimit: 1000}, 89},
		{store.Usage{Octets: 1, Messages: 9, OctetLimit: 100, MessageLimit: 10}, 90},
		{store.Usage{Octets: 50, Messages: 1, OctetLimit: 100, MessageLimit: 10}, 50},
		{store.Usage{Octets: math.MaxInt64, OctetLimit: math.MaxInt64}, 100},
		{store.Usage{Octets: math.MaxInt64, OctetLimit: 1}, 1000},
	} {
		if got := UsedPercent(c.u); got != c.want {
			t.Errorf("%+v is %d%%", c.u, got)
		}
	}
}

// Signing in with nothing due writes nothing.
func TestNothingDueCostsNoWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post("server", "text")
	w.quota("ann", 1000)
	w.fill("ann", 950)
	w.wantAll("ann", "text", "Your mail storage is 95% full")
	writes := 0
	defer w.Watch(w.account("ann").ID, func() { writes++ })()
	defer w.Watch(w.account("carl@client1.test").ID, func() { writes++ })()
	w.wantAll("ann")
	w.wantAll("carl@client1.test", "text")
	w.wantAll("carl@client1.test")
	if writes != 1 {
		t.Errorf("%d writes, want the one that shows carl's", writes)
	}
}

// An account's own threshold counts before that of its domain, and that before
// the server's.
func TestQuotaThresholdOfPolicy(t *testing.T) {
	t.Parallel()
	const told = "Your mail storage is 60% full"
	for _, tt := range []struct {
		server          int
		account, domain accounts.Setting[int]
		want            string
	}{
		{server: 90},
		{server: 60, want: told},
		{server: 90, domain: accounts.Set(60), want: told},
		{server: -1, domain: accounts.Set(50), want: told},
		{server: 50, domain: accounts.Set(0)},
		{server: 50, domain: accounts.Set(50), account: accounts.Set(61)},
		{server: 90, domain: accounts.Set(0), account: accounts.Set(60), want: told},
		{server: 50, account: accounts.Set(0)},
	} {
		w := furnish(t, storetest.New(t), Options{QuotaPercent: tt.server})
		ctx := t.Context()
		if _, err := w.dir.SetAccount(ctx, "ann", func(a *accounts.Account) error { a.QuotaAlert = tt.account; return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := w.dir.SetDomain(ctx, "company.test", func(d *accounts.Domain) error { d.QuotaAlert = tt.domain; return nil }); err != nil {
			t.Fatal(err)
		}
		w.fill("ann", 600)
		w.quota("ann", 1000)
		if got, _ := w.take("ann"); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}
