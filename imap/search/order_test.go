package search

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tripost/message"
	"tripost/store"
)

// known is what the plain implementations below know of a message.
type known struct {
	seq     int
	message store.Message
	summary *message.Summary
}

// scanned reads the messages of a mailbox anew.
func (w *world) scanned(v *store.View, mails []string) map[int]*known {
	all := make(map[int]*known)
	for i, mail := range mails {
		s := message.NewScanner(message.Limits{})
		s.Write([]byte(mail))
		all[i+1] = &known{i + 1, v.At(i + 1), s.Finish()}
	}
	return all
}

func (k *known) sent() int64 {
	if k.summary.Date != 0 {
		return k.summary.Date
	}
	return k.message.Date
}

func (k *known) base() (string, bool) {
	base, reply := message.BaseSubject(k.summary.Subject)
	return slowFold(base), reply
}

// compare is RFC 5256 section 3, SORT, criterion by criterion.
func compare(a, b *known, by []Criterion) int {
	for _, c := range by {
		n := 0
		switch c.Key {
		case ByArrival:
			n = cmp.Compare(a.message.Date, b.message.Date)
		case BySize:
			n = cmp.Compare(a.message.Size, b.message.Size)
		case ByDate:
			n = cmp.Compare(a.sent(), b.sent())
		default:
			n = strings.Compare(a.text(c.Key), b.text(c.Key))
		}
		if c.Reverse {
			n = -n
		}
		if n != 0 {
			return n
		}
	}
	return a.seq - b.seq
}

func (k *known) text(key SortKey) string {
	s := k.summary
	if key == BySubject {
		base, _ := k.base()
		return base
	}
	return slowFold(map[SortKey]string{
		ByFrom: s.FromMailbox, ByTo: s.ToMailbox, ByCc: s.CcMailbox, ByDisplayFrom: s.FromDisplay, ByDisplayTo: s.ToDisplay,
	}[key])
}

// randomMails have few subjects, people, dates and identifiers, so that much is
// alike, with references that make loops, name messages twice and such as are not
// there.
func randomMails(r *rand.Rand, n int) []string {
	subjects := []string{"", "a", "A ", "Re: a", "[x] a", "fwd: [fwd: a]", "b", "re: B", "B (fwd)", "=?utf-8?q?=C3=84?=", "Re: ä", "c", "d", "e"}
	people := []string{"", "ann@x.test", "Bob <bob@x.test>", "bob@y.test", "\"zoe\" <ANN@x.test>", "=?utf-8?q?=C3=89va?= <eva@x.test>"}
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	id := func() string {
		switch k := r.IntN(24); k {
		case 0:
			return `<"1"@x>`
		default:
			return fmt.Sprintf("<%d@x>", k)
		}
	}
	var mails []string
	for range n {
		var b strings.Builder
		fmt.Fprintf(&b, "Subject: %s\r\nFrom: %s\r\nTo: %s\r\nCc: %s\r\n", pick(subjects), pick(people), pick(people), pick(people))
		if r.IntN(4) > 0 {
			fmt.Fprintf(&b, "Date: %d Mar 2026 10:00:00 +0%d00\r\n", 1+r.IntN(5), r.IntN(3))
		}
		if r.IntN(8) > 0 {
			fmt.Fprintf(&b, "Message-ID: %s\r\n", id())
		}
		if k := r.IntN(5); k > 0 {
			b.WriteString("References:")
			for range k {
				b.WriteString(" " + id())
			}
			b.WriteString("\r\n")
		} else if r.IntN(2) == 0 {
			fmt.Fprintf(&b, "In-Reply-To: %s someone@x\r\n", id())
		}
		fmt.Fprintf(&b, "\r\n%s", strings.Repeat("x", r.IntN(4)))
		mails = append(mails, b.String())
	}
	return mails
}

// subset picks some sequence numbers, ascending.
func subset(r *rand.Rand, n int) []int {
	var seqs []int
	share := 1 + r.IntN(n)
	for seq := 1; seq <= n; seq++ {
		if r.IntN(n) < share {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}

// TestOrderAgainstPlain compares SORT and THREAD with plain implementations, on
// messages made at random and on the test mails.
func TestOrderAgainstPlain(t *testing.T) {
	r := random(t)
	for name, mails := range map[string][]string{"random": randomMails(r, 120), "corpus": corpus(t)} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, mail := range mails {
				w.deliver(mail, 1_772_000_000+int64(r.IntN(400_000)), 0)
			}
			v := w.open()
			all := w.scanned(v, mails)
			rounds := 400
			if name == "corpus" {
				rounds = 6
			}
			for range rounds {
				seqs := subset(r, len(mails))
				if name == "random" && r.IntN(2) == 0 && len(seqs) > 12 {
					seqs = seqs[:12] // small ones are easier to read when they fail
				}
				var by []Criterion
				for range 1 + r.IntN(3) {
					by = append(by, Criterion{SortKey(r.IntN(int(ByDisplayTo) + 1)), r.IntN(2) == 0})
				}
				w.checkSort(t, v, all, seqs, by)
				w.checkThreads(t, v, all, seqs)
			}
		})
	}
}

func (w *world) checkSort(t *testing.T, v *store.View, all map[int]*known, seqs []int, by []Criterion) {
	t.Helper()
	want := slices.Clone(seqs)
	slices.SortFunc(want, func(a, b int) int { return compare(all[a], all[b], by) })
	for name, kept := range map[string]*Columns{"nothing": nil, "columns": w.columns, "few columns": w.fewColumns} {
		o := w.options()
		o.Columns = kept
		got, err := New(v, &Key{Kind: All}, o).Sort(w.ctx, slices.Clone(seqs), by)
		must(t, err)
		if !slices.Equal(got, want) {
			t.Fatalf("%v sorted by %v, with %s kept:\ngot  %v\nwant %v", seqs, by, name, got, want)
		}
	}
}

func (w *world) checkThreads(t *testing.T, v *store.View, all map[int]*known, seqs []int) {
	t.Helper()
	e := New(v, &Key{Kind: All}, w.options())
	got, err := e.References(w.ctx, seqs)
	must(t, err)
	if got, want := text(got), plainReferences(all, seqs); got != want {
		for _, seq := range seqs {
			s := all[seq].summary
			t.Logf("%d: %d %q %s %q %v", seq, all[seq].sent(), s.Subject, s.MessageID, s.InReplyTo, s.References)
		}
		t.Fatalf("by references:\ngot  %s\nwant %s", got, want)
	}
	if got, err = e.OrderedSubject(w.ctx, seqs); err != nil {
		t.Fatal(err)
	}
	if got, want := text(got), plainOrderedSubject(all, seqs); got != want {
		t.Fatalf("by subject:\ngot  %s\nwant %s", got, want)
	}
}

func bySent(all map[int]*known) func(a, b int) int {
	return func(a, b int) int { return cmp.Or(cmp.Compare(all[a].sent(), all[b].sent()), a-b) }
}

// plainOrderedSubject is RFC 5256's ORDEREDSUBJECT as it is written there.
func plainOrderedSubject(all map[int]*known, seqs []int) string {
	sorted := slices.Clone(seqs)
	slices.SortFunc(sorted, func(a, b int) int { return compare(all[a], all[b], []Criterion{{Key: BySubject}, {Key: ByDate}}) })
	var threads [][]int
	for i, seq := range sorted {
		if i > 0 && all[seq].text(BySubject) == all[sorted[i-1]].text(BySubject) {
			threads[len(threads)-1] = append(threads[len(threads)-1], seq)
		} else {
			threads = append(threads, []int{seq})
		}
	}
	slices.SortFunc(threads, func(a, b []int) int { return bySent(all)(a[0], b[0]) })
	var list []*Thread
	for _, th := range threads {
		root := &Thread{Seq: th[0]}
		for _, seq := range th[1:] {
			root.Children = append(root.Children, &Thread{Seq: seq})
		}
		list = append(list, root)
	}
	return text(list)
}

// TestThreadExamples are from RFC 5256: the quoting of identifiers, and threads
// whose head is not there.
func TestThreadExamples(t *testing.T) {
	for name, test := range map[string]struct{ mails, want string }{
		"quoted identifier":   {`i<"01KF8JCEOCBS0045PS"@xxx.yyy.com> s:one|i<b@x> r<01KF8JCEOCBS0045PS@xxx.yyy.com> s:two`, "(1 2)"},
		"two of a missing":    {"i<a@x> r<m@x>|i<b@x> r<m@x>", "((1)(2))"},
		"one of a missing":    {"i<a@x> r<m@x>", "(1)"},
		"branches":            {"i<1@x>|i<2@x> r<1@x>|i<3@x> r<1@x><2@x>|i<4@x> r<1@x><2@x>|i<5@x> r<4@x>", "(1 2 (3)(4 5))"},
		"itself":              {"i<1@x> r<1@x>", "(1)"},
		"loop":                {"i<1@x> r<2@x>|i<2@x> r<1@x>", "(2 1)"},
		"duplicate":           {"i<1@x>|i<1@x>|i<2@x> r<1@x>", "(1 3)(2)"},
		"subject":             {"s:hi|s:Re: hi|s:RE: hi", "(1 (2)(3))"},
		"two of a subject":    {"s:hi|s:hi", "((1)(2))"},
		"case of identifiers": {"i<A@x>|i<2@x> r<a@x>", "(1)(2)"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for i, mail := range strings.Split(test.mails, "|") {
				w.deliver(header(mail), int64(1000+i), 0)
			}
			v := w.open()
			seqs := w.find(v, &Key{Kind: All}, false)
			threads, err := New(v, &Key{Kind: All}, w.options()).References(w.ctx, seqs)
			must(t, err)
			if got := text(threads); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// header spells out "i<id> r<reference> s:subject".
func header(short string) string {
	short, subject, _ := strings.Cut(short, "s:")
	id, references, _ := strings.Cut(short, "r<")
	h := "Subject: " + subject + "\r\n"
	if id, found := strings.CutPrefix(id, "i"); found {
		h += "Message-ID: " + id + "\r\n"
	}
	if references != "" {
		h += "References: <" + strings.ReplaceAll(references, "><", "> <") + "\r\n"
	}
	return h + "\r\n"
}

func TestOrderWithinMemory(t *testing.T) {
	w := newWorld(t)
	for range 40 {
		w.deliver("Subject: "+strings.Repeat("long ", 100)+"\r\nMessage-ID: <1@x>\r\n\r\n", 1000, 0)
	}
	v := w.open()
	seqs := w.find(v, &Key{Kind: All}, false)
	o := w.options()
	o.Memory = 10_000
	e := New(v, &Key{Kind: All}, o)
	if _, err := e.Sort(w.ctx, slices.Clone(seqs), []Criterion{{Key: BySubject}}); !errors.Is(err, ErrTooMuch) {
		t.Errorf("sorted with %v", err)
	}
	if _, err := e.References(w.ctx, seqs); !errors.Is(err, ErrTooMuch) {
		t.Errorf("threaded with %v", err)
	}
	if _, err := e.OrderedSubject(w.ctx, seqs); !errors.Is(err, ErrTooMuch) {
		t.Errorf("threaded by subject with %v", err)
	}
}
