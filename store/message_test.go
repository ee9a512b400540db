package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tripost/message"
	"tripost/store"
)

func TestRecent(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	add := func() { appendTo(t, s, store.System(), inbox, mail("x"), store.FlagSet{}) }
	recent := func(v *store.View, want string) {
		t.Helper()
		var list []string
		for seq := 1; seq <= v.Len(); seq++ {
			if v.IsRecent(v.At(seq).UID) {
				list = append(list, fmt.Sprint(v.At(seq).UID))
			}
		}
		equal(t, "recent", fmt.Sprint(v.Recent(), ": ", strings.Join(list, " ")), want)
	}
	add()
	add()
	look, err := s.Open(ctx, ann, inbox, true)
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close()
	look.Load(ctx)
	recent(look, "2: 1 2")
	quiet, err := s.OpenQuietly(ctx, ann, inbox)
	if err != nil {
		t.Fatal(err)
	}
	defer quiet.Close()
	if _, _, err := quiet.SetFlags(ctx, uids(1), store.FlagsAdd, store.FlagSet{System: seen}, 0); err != nil {
		t.Fatal(err)
	}
	recent(quiet, "0: ")
	_, st, _ := s.Mailbox(ctx, ann, inbox)
	equal(t, "in the state, looked at", st.Recent, 2)

	first := openView(t, s, ann, inbox)
	recent(first, "2: 1 2")
	second := openView(t, s, ann, inbox)
	recent(second, "0: ")
	_, st, _ = s.Mailbox(ctx, ann, inbox)
	equal(t, "in the state, claimed", st.Recent, 0)

	add()
	refresh(t, first, false)
	recent(first, "3: 1 2 3")
	third := openView(t, s, ann, inbox)
	recent(third, "1: 3")
	refresh(t, second, false)
	recent(second, "0: ")
	if _, err := third.Expunge(ctx, uids(2, 3), true); err != nil {
		t.Fatal(err)
	}
	refresh(t, first, true)
	recent(first, "3: 1 2 3")
	refresh(t, first, false)
	recent(first, "1: 1")
}

func TestKeywords(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	appendTo(t, s, ann, inbox, mail("x"), store.FlagSet{Keywords: []string{"$Forwarded", "$FORWARDED", "work"}})
	v := openView(t, s, ann, inbox)
	equal(t, "case does not matter", show(v), "1[$Forwarded work]")
	set := func(op store.FlagOp, keywords ...string) error {
		_, _, err := v.SetFlags(ctx, span(1, 1), op, store.FlagSet{Keywords: keywords}, 0)
		return err
	}
	if err := set(store.FlagsRemove, "WORK", "unknown"); err != nil {
		t.Fatal(err)
	}
	equal(t, "removed", show(v), "1[$Forwarded]")
	equal(t, "names", strings.Join(v.Keywords(), " "), "$Forwarded work")
	for _, bad := range []string{"", "a b", "a(b", "a\"b", "\\Seen", "ü", strings.Repeat("x", 129)} {
		if err := set(store.FlagsAdd, bad); !errors.Is(err, store.ErrKeywords) {
			t.Errorf("keyword %q: %v", bad, err)
		}
	}
	var many []string
	for n := range store.MaxKeywords - 2 {
		many = append(many, fmt.Sprint("k", n))
	}
	if err := set(store.FlagsReplace, many...); err != nil {
		t.Fatal(err)
	}
	if err := set(store.FlagsAdd, "one-too-many"); !errors.Is(err, store.ErrKeywords) {
		t.Errorf("keyword 57: %v", err)
	}
	_, err := tryAppend(s, ann, inbox, mail("x"), store.FlagSet{Keywords: []string{"one-too-many"}})
	if !errors.Is(err, store.ErrKeywords) {
		t.Errorf("appending with keyword 57: %v", err)
	}

	// A copy keeps what there is room for.
	if err := s.Create(ctx, ann, box(ann, "b"), store.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	appendTo(t, s, ann, box(ann, "b"), mail("x"), store.FlagSet{System: flagged, Keywords: []string{"k3", "new", "WORK"}})
	if _, err := openView(t, s, ann, box(ann, "b")).Copy(ctx, span(1, 1), inbox); err != nil {
		t.Fatal(err)
	}
	refresh(t, v, false)
	m := v.At(2)
	equal(t, "copied", strings.Join(flagNames(v.Keywords(), m.Flags), " "), "F k3 work")
}

// What others changed matters only where it is what is to be changed: RFC 7162
// section 3.1.12. Whether a keyword was ever set can be asked: section 3.1.3.
func TestUnchangedSinceOfOneFlag(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	for range 3 {
		appendTo(t, s, ann, inbox, mail("x"), store.FlagSet{Keywords: []string{"known"}})
	}
	v, other := openView(t, s, ann, inbox), openView(t, s, ann, inbox)
	since := v.State().HighestModSeq
	change := func(v *store.View, set store.UIDSet, op store.FlagOp, f store.FlagSet, since store.ModSeq) string {
		t.Helper()
		seqs, modified, err := v.SetFlags(ctx, set, op, f, since)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(seqs, modified)
	}
	change(other, uids(1), store.FlagsAdd, store.FlagSet{System: flagged}, 0)
	change(other, uids(2), store.FlagsAdd, store.FlagSet{System: seen}, 0)
	equal(t, "seen", change(v, span(1, 3), store.FlagsAdd, store.FlagSet{System: seen}, since), "[1 3] 2")
	refresh(t, v, false)
	equal(t, "known again", change(v, span(1, 3), store.FlagsAdd, store.FlagSet{System: deleted}, since), "[] 1:3")
	equal(t, "a system flag", change(v, span(1, 3), store.FlagsAdd, store.FlagSet{System: flagged}, store.NeverSet), "[] 1:3")
	equal(t, "a keyword", change(v, span(1, 3), store.FlagsAdd, store.FlagSet{Keywords: []string{"known"}}, store.NeverSet), "[] 1:3")
	equal(t, "a new keyword", change(v, uids(2), store.FlagsAdd, store.FlagSet{Keywords: []string{"new"}}, store.NeverSet), "[2] ")
	equal(t, "for some", change(v, span(1, 3), store.FlagsAdd, store.FlagSet{Keywords: []string{"new"}}, store.NeverSet), "[1 3] 2")
}

// A view whose messages are read late tells of flags that were changed before.
func TestFlagsChangedBeforeLoading(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	for range 3 {
		appendTo(t, s, ann, inbox, mail("x"), store.FlagSet{})
	}
	v, other := openOnly(t, s, ann, inbox), openView(t, s, ann, inbox)
	if _, _, err := other.SetFlags(ctx, uids(2), store.FlagsAdd, store.FlagSet{System: flagged}, 0); err != nil {
		t.Fatal(err)
	}
	equal(t, "told", fmt.Sprint(refresh(t, v, false).Flags), "[2]")
	equal(t, "messages", show(v), "1 2[F] 3")
}

func TestUnchangedSince(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	for range 4 {
		appendTo(t, s, ann, inbox, mail("x"), store.FlagSet{})
	}
	v, other := openView(t, s, ann, inbox), openView(t, s, ann, inbox)
	since := v.State().HighestModSeq
	if _, _, err := other.SetFlags(ctx, uids(2), store.FlagsAdd, store.FlagSet{System: flagged}, 0); err != nil {
		t.Fatal(err)
	}
	seqs, modified, err := v.SetFlags(ctx, span(1, 3), store.FlagsReplace, store.FlagSet{System: seen}, since)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "changed and refused", fmt.Sprint(seqs, modified), "[1 3] 2")
	ch := refresh(t, v, false)
	equal(t, "told", fmt.Sprint(ch.Flags), "[2]")
	equal(t, "messages", show(v), "1[S] 2[F] 3[S] 4")
	for seq, higher := range []bool{true, true, true, false} {
		if (v.At(seq+1).ModSeq > since) != higher {
			t.Errorf("message %d has modseq %d, before %d", seq+1, v.At(seq+1).ModSeq, since)
		}
	}
	// Flags that are so already change nothing.
	before := v.State().HighestModSeq
	if seqs, _, err = v.SetFlags(ctx, uids(1), store.FlagsAdd, store.FlagSet{System: seen}, 0); err != nil || len(seqs) != 1 {
		t.Fatal(seqs, err)
	}
	refresh(t, v, false)
	equal(t, "modseq after no change", v.State().HighestModSeq, before)
}

func TestReadOnlyView(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	appendTo(t, s, ann, inbox, mail("x"), store.FlagSet{})
	v, err := s.Open(ctx, ann, inbox, true)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	_, _, flagErr := v.SetFlags(ctx, span(1, 1), store.FlagsAdd, store.FlagSet{System: seen}, 0)
	_, moveErr := v.Move(ctx, span(1, 1), inbox)
	_, expungeErr := v.Expunge(ctx, nil, false)
	for what, err := range map[string]error{"flags": flagErr, "move": moveErr, "expunge": expungeErr} {
		if !errors.Is(err, store.ErrReadOnlyView) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := v.Copy(ctx, span(1, 1), inbox); err != nil {
		t.Errorf("copying out of a read-only view: %v", err)
	}
}

// An open body outlives its message.
func TestBodyOutlivesMessage(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	text := mail("x")
	appendTo(t, s, ann, inbox, text, store.FlagSet{})
	v := openView(t, s, ann, inbox)
	b, err := v.OpenBody(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	other := openView(t, s, ann, inbox)
	if _, err := other.Expunge(ctx, span(1, 1), true); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	if _, err := b.WriteTo(&got); err != nil || got.String() != text {
		t.Errorf("%q, %v", got.String(), err)
	}
	if _, err := v.Detail(ctx, 1); !errors.Is(err, store.ErrNoMessage) {
		t.Errorf("detail of an expunged message: %v", err)
	}
	equal(t, "known to be gone", v.Gone(1), true)
	if _, err := v.OpenBody(ctx, 1); !errors.Is(err, store.ErrNoMessage) {
		t.Errorf("body of an expunged message: %v", err)
	}
}

func TestDetail(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	if err := s.Create(ctx, ann, box(ann, "b"), store.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	d, err := s.Draft(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	text := mail("x")
	fmt.Fprint(d, text)
	sum := d.Finish()
	if _, err := fmt.Fprint(d, "more"); err == nil {
		t.Error("writing after Finish passes")
	}
	date := time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC)
	if _, err := s.Append(ctx, ann, inbox, d, store.FlagSet{}, date); err != nil {
		t.Fatal(err)
	}
	v := openView(t, s, ann, inbox)
	before, err := v.Detail(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if before.Date != date.Unix() || before.Digest != sum.Digest || before.Lines != sum.Lines || before.Size != int64(len(text)) {
		t.Errorf("%+v", before)
	}
	if _, err := v.Copy(ctx, span(1, 1), box(ann, "b")); err != nil {
		t.Fatal(err)
	}
	after, err := openView(t, s, ann, box(ann, "b")).Detail(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if after.Date != before.Date || after.Body != before.Body || after.Digest != before.Digest || after.Created <= before.Created || after.SaveDate < before.SaveDate {
		t.Errorf("copy %+v of %+v", after, before)
	}
}

func TestRecordsInAnyOrder(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	var want []string
	for n := range 40 {
		want = append(want, fmt.Sprint("number ", n))
		appendTo(t, s, ann, inbox, mail(want[n]), store.FlagSet{})
	}
	v := openView(t, s, ann, inbox)
	for _, c := range []struct {
		name  string
		order func(n int) int // index of the nth body; -1 for one that is not there
		stop  int
		given int
	}{
		{"ascending", func(n int) int { return n }, 99, 40},
		{"descending", func(n int) int { return 39 - n }, 99, 40},
		{"stopping", func(n int) int { return n }, 7, 8},
		{"far apart", func(n int) int { return n * 17 % 40 }, 99, 40},
		{"twice", func(n int) int { return n / 2 }, 99, 40},
		{"with gaps", func(n int) int {
			if n%5 == 3 {
				return -1
			}
			return n
		}, 99, 40},
	} {
		var bodies []store.Body
		for n := range 40 {
			if i := c.order(n); i >= 0 {
				bodies = append(bodies, v.At(i+1).Body)
			} else {
				bodies = append(bodies, 1<<40)
			}
		}
		next := 0
		given, err := s.Records(ctx, bodies, func(i int, r message.Record) bool {
			if i != next {
				t.Errorf("%s: record %d, want %d", c.name, i, next)
			}
			next++
			if at := c.order(i); at < 0 {
				if r != nil {
					t.Errorf("%s: a record for no body", c.name)
				}
			} else if string(r.Subject()) != want[at] {
				t.Errorf("%s: record %d is %q", c.name, i, r.Subject())
			}
			return i < c.stop
		})
		if err != nil || given != c.given || next != c.given {
			t.Errorf("%s: %d given, %d seen, %v", c.name, given, next, err)
		}
	}
}

// Expunging many is done in chunks and misses none.
func TestExpungeMany(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	fill(t, s, ann, inbox, 4500)
	v := openView(t, s, ann, inbox)
	odd := store.UIDSet{}
	for u := store.UID(1); u <= 4500; u += 2 {
		odd.Add(u, u)
	}
	if _, _, err := v.SetFlags(ctx, odd, store.FlagsAdd, store.FlagSet{System: deleted}, 0); err != nil {
		t.Fatal(err)
	}
	gone, err := v.Expunge(ctx, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "expunged", gone.String(), odd.String())
	ch := refresh(t, v, false)
	equal(t, "told", len(ch.Expunged), 2250)
	for n, seq := range ch.Expunged {
		if seq != n+1 { // each second one, after those before it have left
			t.Fatalf("expunge %d is number %d", n, seq)
		}
	}
	equal(t, "left", v.Len(), 2250)
	again, err := v.Expunge(ctx, nil, false)
	if err != nil || again != nil {
		t.Errorf("once more: %v, %v", again, err)
	}
}
