package search

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"tripost/message"
	"tripost/store"
)

// fieldMail is a message of which some fields stand several times, or are empty, cut
// by folding, or in encoded words. Those that records have stand once.
func fieldMail(r *rand.Rand) string {
	values := []string{"", "one", "Two", "=?utf-8?q?zw=C3=B6lf?=", "zw\xc3\xb6lf", "a\r\n\tb", "one, two", "=?utf-8?b?DQo=?= x", "STRASSE ss", "\xff odd", "stra\xc3\x9fe"}
	pick := func() string { return values[r.IntN(len(values))] }
	var b strings.Builder
	for _, name := range []string{"Subject", "Cc", "Bcc"} {
		if r.IntN(3) > 0 {
			fmt.Fprintf(&b, "%s: %s\r\n", name, pick())
		}
	}
	for _, name := range []string{"X-Some", "x-some", "MIME-Version", "X-Long"} {
		for range r.IntN(3) {
			value := pick()
			if name == "X-Long" {
				value += strings.Repeat(" "+value+".", r.IntN(300))
			}
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	return b.String() + "\r\nX-Some: not a field, one\r\n"
}

// hasField reads a key about a field as it is written.
func hasField(k *Key, mail string, c Collation) bool {
	header, _, _ := strings.Cut(mail, "\r\n\r\n")
	return slices.ContainsFunc(message.Fields([]byte(header+"\r\n")), func(f message.Field) bool {
		return f.Is(k.Field) && bytes.Contains(c.Append(nil, []byte(message.DecodeHeader(f.Value()))), c.Append(nil, []byte(k.Text)))
	})
}

// TestFieldsAgainstPlain searches a mailbox in which messages come and go for header
// fields, with much, little and nothing kept, from both ends, and not always to the
// end, and compares with a plain reading.
func TestFieldsAgainstPlain(t *testing.T) {
	r := random(t)
	w := newWorld(t)
	mails := map[store.UID]string{}
	rooms := map[string]*Columns{"nothing": nil, "all": NewColumns(1 << 20), "little": NewColumns(3000)}
	names := []string{"subject", "cc", "bcc", "x-some", "mime-version", "x-long", "x-none", ""}
	needles := []string{"", "ONE", "zwö", "two", "b", "ss", "x\n", "\n", " x", ",", "�"}
	for range 12 {
		for range r.IntN(40) {
			mail := fieldMail(r)
			w.deliver(mail, 1000, 0)
			mails[store.UID(len(mails)+1)] = mail
		}
		v, err := w.store.Open(w.ctx, w.id, w.box, false)
		must(t, err)
		must(t, v.Load(w.ctx))
		for range 12 {
			k := Key{Kind: Field, Field: names[r.IntN(len(names))], Text: needles[r.IntN(len(needles))]}
			other := Key{Kind: Field, Field: names[r.IntN(len(names))], Text: needles[r.IntN(len(needles))]}
			c, backward, most := Collation(r.IntN(3)), r.IntN(2) == 0, 1+r.IntN(v.Len()+1)
			var want []int
			for i := range v.Len() {
				seq := i + 1
				if backward {
					seq = v.Len() - i
				}
				mail := mails[v.At(seq).UID]
				if (hasField(&k, mail, c) || !hasField(&other, mail, c)) && len(want) < most {
					want = append(want, seq)
				}
			}
			for name, room := range rooms {
				o := w.options()
				o.Columns, o.Collation = room, c
				one, two := k, other
				var got []int
				e := New(v, &Key{Kind: Or, Keys: []*Key{&one, Negated(&two)}}, o)
				must(t, e.Run(w.ctx, backward, func(seq int) bool {
					got = append(got, seq)
					return len(got) < most
				}))
				if !slices.Equal(got, want) {
					t.Fatalf("%q with %q or %q without %q by %v, with %s kept:\ngot  %v\nwant %v", k.Field, k.Text, other.Field, other.Text, c, name, got, want)
				}
				if room != nil {
					room.check(t)
				}
			}
		}
		last := store.UID(len(mails))
		lo := 1 + store.UID(r.IntN(len(mails)+1))
		_, err = v.Expunge(w.ctx, store.UIDSet{{Lo: lo, Hi: min(last, lo+store.UID(r.IntN(40)))}}, true)
		must(t, err)
		v.Close()
	}
}

// check looks whether what is kept is in order and within the room.
func (c *Columns) check(t *testing.T) {
	t.Helper()
	held := int64(0)
	for _, at := range c.all {
		held += at.Value.(kept).size()
		if kept, is := at.Value.(*texts); is {
			for i, u := range kept.uids {
				if i > 0 && kept.uids[i-1] >= u {
					t.Fatalf("%q of message %d stands behind that of %d", kept.key.field, u, kept.uids[i-1])
				}
			}
		}
	}
	if held != c.held || held > c.limit || c.gathering.Load() != 0 {
		t.Fatalf("%d octets are kept, said to be %d, of %d, and %d are gathered", held, c.held, c.limit, c.gathering.Load())
	}
}

// TestFieldsAreReadOnce reads the headers of a mailbox at the first search for a
// field, and after it those of messages that came since.
func TestFieldsAreReadOnce(t *testing.T) {
	w := newWorld(t)
	columns := NewColumns(1 << 20)
	reads := func(c Collation, text string) (octets int64, found int) {
		t.Helper()
		o := w.options()
		o.Columns, o.Collation = columns, c
		e := New(w.open(), &Key{Kind: And, Keys: []*Key{{Kind: Field, Field: "x-some", Text: text}}}, o)
		must(t, e.Run(w.ctx, false, func(int) bool { found++; return true }))
		return e.Octets(), found
	}
	mail := "X-Some: one\r\nX-Some: two\r\n\r\ntext"
	header := int64(len(mail) - len("text"))
	for range 100 {
		w.deliver(mail, 1000, 0)
	}
	for i, test := range []struct {
		collation Collation
		text      string
		arrived   int
		octets    int64
		found     int
	}{
		{UnicodeCasemap, "ONE", 0, 100 * header, 100},
		{UnicodeCasemap, "two", 0, 0, 100},
		{UnicodeCasemap, "three", 0, 0, 0},
		{UnicodeCasemap, "two", 3, 3 * header, 103},
		{UnicodeCasemap, "", 0, 0, 103},
		{Octet, "ONE", 0, 103 * header, 0},
		{Octet, "one", 1, header, 104},
	} {
		for range test.arrived {
			w.deliver(mail, 1000, 0)
		}
		octets, found := reads(test.collation, test.text)
		if octets != test.octets || found != test.found {
			t.Errorf("search %d read %d octets and found %d, want %d and %d", i, octets, found, test.octets, test.found)
		}
	}
}

// TestLongFieldsAreNotKept reads values again that are longer than is kept, and finds
// what stands in them each time.
func TestLongFieldsAreNotKept(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("word ", longValues/5) + "end"
	w.deliver("X-Some: "+long+"\r\n\r\n", 1000, 0)
	w.deliver("X-Some: end\r\n\r\n", 1000, 0)
	v := w.open()
	o := w.options()
	o.Columns = NewColumns(1 << 20)
	for i := range 2 {
		e := New(v, &Key{Kind: And, Keys: []*Key{{Kind: Field, Field: "x-some", Text: "END"}}}, o)
		n := 0
		must(t, e.Run(w.ctx, false, func(int) bool { n++; return true }))
		if n != 2 || e.Octets() < int64(len(long)) {
			t.Errorf("search %d found %d in %d octets", i, n, e.Octets())
		}
	}
	if kept := o.Columns.texts(New(v, &Key{}, o).columnKey(0, "x-some"), 2); !slices.Equal(kept.uids, []store.UID{2}) {
		t.Errorf("kept are %v", kept.uids)
	}
}

// TestFieldsAreGatheredWithinTheRoom has a search with many keys gather no more than
// may be kept, and give back what it has gathered, also when it is broken off.
func TestFieldsAreGatheredWithinTheRoom(t *testing.T) {
	w := newWorld(t)
	for range 100 {
		w.deliver("X-1: "+strings.Repeat("one ", 20)+"\r\nX-2: "+strings.Repeat("two ", 20)+"\r\n\r\n", 1000, 0)
	}
	v := w.open()
	o := w.options()
	const room = 50_000
	o.Columns = NewColumns(room)
	and := &Key{Kind: And}
	for i := range 30 {
		and.Keys = append(and.Keys, Negated(&Key{Kind: Field, Field: fmt.Sprintf("x-%d", i), Text: "three"}))
	}
	broken := errors.New("broken off")
	asked := 0
	o.Alive = func(int) error {
		if n := o.Columns.gathering.Load(); n > room {
			t.Errorf("%d octets are gathered", n)
		}
		if asked++; asked == 6 {
			return broken
		}
		return nil
	}
	e := New(v, and, o)
	for i := range 3 {
		n := 0
		err := e.Run(w.ctx, false, func(int) bool { n++; return true })
		if i == 0 && !errors.Is(err, broken) || i > 0 && (err != nil || n != 100) {
			t.Errorf("run %d found %d, %v", i, n, err)
		}
		if left, held := o.Columns.gathering.Load(), o.Columns.held; left != 0 || held > room || held == 0 {
			t.Errorf("run %d: %d octets are gathered and %d held", i, left, held)
		}
	}
}

// TestFieldsOfDamaged tells of a message that cannot be read at each search, and does
// not take it for one without the field.
func TestFieldsOfDamaged(t *testing.T) {
	w := newWorld(t)
	for range 9 {
		w.deliver("X-Some: y\r\n\r\n", 0, 0)
	}
	v := w.open()
	o := w.options()
	o.Columns = NewColumns(1 << 20)
	var told []store.UID
	o.Damaged = func(u store.UID, _ error) { told = append(told, u) }
	for i, box := range []Mailbox{faultyBox{v, []int{3}, []int{7}, nil}, faultyBox{v, []int{3}, nil, nil}, v} {
		told = nil
		got := 0
		root := Negated(&Key{Kind: Field, Field: "x-some", Text: "none"})
		must(t, New(box, root, o).Run(w.ctx, false, func(int) bool { got++; return true }))
		if want := [][]store.UID{{3, 7}, {3}, nil}[i]; !slices.Equal(told, want) || got != 9-len(want) {
			t.Errorf("search %d told of %v and found %d", i, told, got)
		}
	}
}

// TestFieldsShared has several search one mailbox at a time for several fields.
func TestFieldsShared(t *testing.T) {
	w := newWorld(t)
	for i := range 300 {
		w.deliver(fmt.Sprintf("X-A: %d\r\nX-B: %d\r\nSubject: %d\r\n\r\n", i%7, i%5, i%3), 1000, 0)
	}
	v := w.open()
	o := w.options()
	o.Columns = NewColumns(20_000) // not for all
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 20 {
				a, b := (g+i)%7, i%5
				n := 0
				root := &Key{Kind: And, Keys: []*Key{
					{Kind: Field, Field: "x-a", Text: fmt.Sprint(a)}, {Kind: Field, Field: "x-b", Text: fmt.Sprint(b)}, {Kind: Field, Field: "subject", Text: "1"},
				}}
				err := New(v, root, o).Run(w.ctx, g%2 == 0, func(seq int) bool {
					if i := seq - 1; i%7 != a || i%5 != b || i%3 != 1 {
						t.Errorf("found %d", seq)
					}
					n++
					return true
				})
				if err != nil || n < 2 {
					t.Errorf("%d found, %v", n, err)
				}
			}
		})
	}
	all.Wait()
}

// TestScoresWithFieldsKept has the scores of a search be the same whether its fields
// are kept or not.
func TestScoresWithFieldsKept(t *testing.T) {
	w := newWorld(t)
	for i := range 6 {
		w.deliver(fmt.Sprintf("Subject: quick %s fox\r\nFrom: ann@x\r\nX-Some: y\r\n\r\n", []string{"brown", "browne", "red"}[i%3]), 1000, 0)
	}
	v := w.open()
	for _, field := range []string{"from", "x-some"} {
		var first []int
		for i := range 3 {
			o := w.options()
			o.Columns = w.columns
			root := &Key{Kind: Or, Scored: true, Keys: []*Key{{Kind: Field, Field: field, Text: ""}, {Kind: FuzzyField, Field: "subject", Text: "brown fox"}}}
			var scores []int
			e := New(v, root, o)
			must(t, e.Run(w.ctx, false, func(seq int) bool { scores = append(scores, e.Score(seq)); return true }))
			if i == 0 {
				first = scores
			}
			if !slices.Equal(scores, first) || len(scores) != 6 {
				t.Errorf("%s: scores %v, at first %v", field, scores, first)
			}
		}
	}
}
