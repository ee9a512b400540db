package queue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tripost/store"
)

// dueNow lists the ids that are due, in order.
func (w *world) dueNow() []string {
	w.t.Helper()
	var ids []string
	for _, j := range w.jobs(NewSender(w.Queue, SenderOptions{})) {
		for _, id := range j.ids {
			ids = append(ids, formatID(id))
		}
	}
	slices.Sort(ids)
	return ids
}

// jobs returns what a sender would begin now.
func (w *world) jobs(s *Sender) (all []*job) {
	w.t.Helper()
	list, lost := w.notices.hear()
	s.schedule.hear(list, lost, w.clock())
	_, err := s.scan(w.ctx)
	must(w.t, err)
	for s.running+len(all) < s.o.Workers {
		l := s.schedule.next()
		if l == nil {
			break
		}
		if l.more {
			must(w.t, s.refill(w.ctx, l))
		}
		if j := s.schedule.job(l); j != nil {
			all = append(all, j)
		}
	}
	return all
}

func TestHoldAndRetry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Retry: []time.Duration{time.Hour}})
	id := w.submit("ann@example.test", "joe@client.test").ID
	if got := w.dueNow(); len(got) != 1 {
		t.Fatalf("due after Submit: %q", got)
	}
	w.try(deferred, "451 4.3.0 not now")
	if it := w.only(); it.Attempts != 1 || !it.Next.Equal(w.now.Add(time.Hour)) || it.LastError != "451 4.3.0 not now" || it.Recipients[0].Status != it.LastError {
		t.Errorf("after an attempt: %+v", it)
	}
	if got := w.dueNow(); len(got) != 0 {
		t.Errorf("due while waiting: %q", got)
	}
	must(t, w.steer(Retry, id))
	if got := w.dueNow(); !slices.Equal(got, []string{id}) {
		t.Errorf("due after Retry: %q", got)
	}
	must(t, w.steer(Hold, id))
	if it := w.only(); !it.Held || it.Recipients[0].Status != "held" || !it.Next.IsZero() {
		t.Errorf("held: %+v", it)
	}
	must(t, w.steer(Retry, id))
	w.pass(48 * time.Hour)
	if got := w.dueNow(); len(got) != 0 {
		t.Errorf("due while held: %q", got)
	}
	must(t, w.steer(Release, id))
	if got := w.dueNow(); !slices.Equal(got, []string{id}) {
		t.Errorf("due after release: %q", got)
	}
}

func TestDropAndBounce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	before := w.blobs()
	dropped := w.submit("ann@example.test", "joe@client.test", "eve@other.test").ID
	bounced := w.submit("bob@example.test", "joe@client.test", "eve@other.test").ID
	must(t, w.steer(Drop, dropped))
	must(t, w.steer(Bounce, bounced))
	if items := w.items(); len(items) != 0 {
		t.Errorf("still there: %+v", items)
	}
	if n := len(w.inbox("ann")); n != 0 {
		t.Errorf("the sender of the dropped message has %d reports", n)
	}
	reports := w.inbox("bob")
	if len(reports) != 2 || !strings.Contains(reports[0], "given up by an administrator") {
		t.Errorf("the other sender has %q, want a report for each destination", reports)
	}
	if n := w.blobs() - before; n != 2 {
		t.Errorf("%d bodies are left, want the 2 reports", n)
	}
	if got := w.dueNow(); len(got) != 0 {
		t.Errorf("still due: %q", got)
	}
}

func TestNoItem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, id := range []string{"99", "0", "-1", "x", "", "99999999999999999999999"} {
		for name, err := range map[string]error{
			"Retry":  w.steer(Retry, id),
			"Hold":   w.steer(Hold, id),
			"Drop":   w.steer(Drop, id),
			"Bounce": w.steer(Bounce, id),
		} {
			if !errors.Is(err, ErrNoItem) {
				t.Errorf("%s(%q): %v, want ErrNoItem", name, id, err)
			}
		}
		if _, err := w.Item(w.ctx, id); !errors.Is(err, ErrNoItem) {
			t.Errorf("Item(%q): %v", id, err)
		}
	}
}

// A listing goes over pages, in the order of submission.
func TestItemsPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	var want []string
	for range 2*pageSize + 3 {
		want = append(want, w.submit("ann@example.test", "joe@client.test").ID)
	}
	var got []string
	for _, it := range w.items() {
		got = append(got, it.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %d messages, want %d in order", len(got), len(want))
	}
	for range w.Items(w.ctx) {
		break // must not go on
	}
	it, err := w.Item(w.ctx, want[7])
	must(t, err)
	if it.ID != want[7] {
		t.Errorf("Item gave %+v", it)
	}
}

// The schedule keeps to the limits of destinations, connections and batches, and
// to that of memory, and comes to everything in the end.
func TestDueLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for range 7 {
		w.submit("ann@example.test", "joe@a.test")
	}
	for i := range 5 {
		w.submit("ann@example.test", fmt.Sprintf("joe@b%d.test", i))
	}
	for _, c := range []struct {
		o       SenderOptions
		running int
		want    string
	}{
		{SenderOptions{}, 0, "a.test:7 b0.test:1 b1.test:1 b2.test:1 b3.test:1 b4.test:1"},
		{SenderOptions{Batch: 3, PerHost: 2}, 0, "a.test:3 b0.test:1 b1.test:1 b2.test:1 b3.test:1 b4.test:1"},
		{SenderOptions{Batch: 3, PerHost: 1}, 0, "a.test:3 b0.test:1 b1.test:1 b2.test:1 b3.test:1 b4.test:1"},
		{SenderOptions{Workers: 2}, 0, "a.test:7 b0.test:1"},
		{SenderOptions{Workers: 2}, 2, ""},
		{SenderOptions{Workers: 1, Batch: 4}, 0, "a.test:4"},
	} {
		s := NewSender(w.Queue, c.o)
		s.running = c.running
		var b strings.Builder
		for _, j := range w.jobs(s) {
			fmt.Fprintf(&b, "%s:%d ", j.lane.name, len(j.ids))
		}
		if got := strings.TrimSpace(b.String()); got != c.want {
			t.Errorf("%+v: %q, want %q", c, got, c.want)
		}
	}

	s := NewSender(w.Queue, SenderOptions{Ready: 3, Batch: 1})
	seen := map[work]int{}
	for range 100 {
		for _, j := range w.jobs(s) {
			for _, id := range j.ids {
				seen[work{id, j.lane.name}]++
				must(t, w.steer(Drop, formatID(id)))
			}
			s.schedule.release(j)
		}
		if n := len(s.schedule.known); n > 3 {
			t.Fatalf("%d are known, want 3 at most", n)
		}
	}
	if len(seen) != 12 || !w.empty() {
		t.Errorf("of 12 messages %d had their turn", len(seen))
	}
	for one, n := range seen {
		if n != 1 {
			t.Errorf("%+v had its turn %d times", one, n)
		}
	}
}

// Records are read back as they were, and damaged ones are refused.
func TestRecords(t *testing.T) {
	t.Parallel()
	m := &message{id: 7, from: "a@b", account: "c@d", body: 9, offset: 33, size: 1 << 40, created: time.UnixMilli(1234567), bits8: true, utf8: true, pending: 3, returns: ReturnFull, envelope: "id 7"}
	d := &destination{id: 7, host: "h.test", port: 2525, direct: true, attempts: 4, next: time.UnixMilli(99), tried: time.UnixMilli(98),
		held: true, warned: true, lastError: "451 x", recipients: []recipient{{"a@h.test", "b@c", "450 y", NotifyNever, "rfc822;b@c", false}, {address: "d@h.test"}}}
	m2, err := decodeMessage(7, m.encode())
	must(t, err)
	if *m2 != *m {
		t.Errorf("message %+v became %+v", m, m2)
	}
	d2, err := decodeDestination(7, d.encode())
	must(t, err)
	if fmt.Sprint(d2) != fmt.Sprint(d) || d2.name() != "=h.test:2525" {
		t.Errorf("destination %+v became %+v", d, d2)
	}
	for n := range len(m.encode()) {
		if _, err := decodeMessage(7, m.encode()[:n]); !errors.Is(err, errRecord) {
			t.Errorf("a message cut at %d: %v", n, err)
		}
	}
	for n := range len(d.encode()) {
		if _, err := decodeDestination(7, d.encode()[:n]); !errors.Is(err, errRecord) {
			t.Errorf("a destination cut at %d: %v", n, err)
		}
	}
	newer := m.encode()
	newer[0] = recordVersion + 1
	if _, err := decodeMessage(7, newer); !errors.Is(err, errRecord) {
		t.Errorf("a newer record: %v", err)
	}
}

// Records of the first version are read: a queue outlives an upgrade.
func TestRecordsVersion1(t *testing.T) {
	t.Parallel()
	m, err := decodeMessage(7, []byte("\x01\x03a@b\x03c@d\t!\x80\x80\x80\x80\x80 \x87\xadK\x01\x03"))
	must(t, err)
	if want := (message{id: 7, from: "a@b", account: "c@d", body: 9, offset: 33, size: 1 << 40, created: time.UnixMilli(1234567), bits8: true, pending: 3}); *m != want {
		t.Errorf("message %+v, want %+v", *m, want)
	}
	d, err := decodeDestination(7, []byte("\x01\x06h.test\xdd\x13\a\x04cb\x05451 x\x02\ba@h.test\x03b@c\x05450 y\bd@h.test\x00\x00"))
	must(t, err)
	want := destination{id: 7, host: "h.test", port: 2525, direct: true, attempts: 4, next: time.UnixMilli(99), tried: time.UnixMilli(98),
		held: true, warned: true, lastError: "451 x", recipients: []recipient{{address: "a@h.test", original: "b@c", reply: "450 y"}, {address: "d@h.test"}}}
	if fmt.Sprint(*d) != fmt.Sprint(want) {
		t.Errorf("destination %+v, want %+v", *d, want)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add((&message{from: "a"}).encode())
	f.Add((&destination{host: "h", recipients: []recipient{{"a", "b", "c", NotifyDelay, "d", false}}}).encode())
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMessage(1, b); err == nil {
			if _, err := decodeMessage(1, m.encode()); err != nil {
				t.Errorf("%x: %v", b, err)
			}
		}
		if d, err := decodeDestination(1, b); err == nil {
			if _, err := decodeDestination(1, d.encode()); err != nil {
				t.Errorf("%x: %v", b, err)
			}
		}
	})
}

func TestBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.submit("ann@example.test", "joe@client.test", "eve@other.test")
	w.submit("ann@example.test", "joe@client.test")
	n := 0
	must(t, w.store.View(w.ctx, func(r *store.Snapshot) error {
		for _, err := range Bodies(r) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	}))
	if n != 2 {
		t.Errorf("%d references, want 2", n)
	}
}

// A message that is due again while it is still in flight for the schedule is
// not lost when the job ends.
func TestDueAgainInFlight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Retry: []time.Duration{time.Second}})
	id := w.submit("ann@example.test", "joe@client.test").ID
	s := NewSender(w.Queue, SenderOptions{})
	jobs := w.jobs(s)
	if len(jobs) != 1 {
		t.Fatalf("%d jobs, want one", len(jobs))
	}
	w.try(deferred, "451 4.3.0 not now") // the job goes on with other messages
	w.pass(time.Second)
	if more := w.jobs(s); len(more) != 0 {
		t.Fatalf("it is in flight twice: %+v", more)
	}
	s.schedule.release(jobs[0])
	jobs = w.jobs(s)
	if len(jobs) != 1 || len(jobs[0].ids) != 1 || formatID(jobs[0].ids[0]) != id {
		t.Errorf("after the job: %+v", jobs)
	}
}
