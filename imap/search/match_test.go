package search

import (
	"io"
	"slices"
	"strings"
	"testing"

	"tripost/message"
	"tripost/store"
)

// plainText is what BODY looks through, and with header TEXT: everything decoded at
// once.
func plainText(mail string, s *message.Summary, header bool) string {
	var b strings.Builder
	decode := func(block string) {
		for _, f := range message.Fields([]byte(block)) {
			b.WriteString(string(f.Name) + ": " + message.DecodeHeader(f.Value()) + "\r\n")
		}
		b.WriteString("\x00")
	}
	if header {
		decode(mail[:s.HeaderSize])
	}
	for i, p := range s.Parts {
		if i > 0 && p.Body > p.Header {
			decode(mail[p.Header:p.Body])
		}
		if isText(p, s.Parts) {
			decoded, _ := io.ReadAll(message.DecodeText(strings.NewReader(mail[p.Body:p.End]), p.Encoding, p.Charset))
			b.Write(decoded)
			b.WriteString("\x00")
		}
	}
	return slowFold(b.String())
}

// TestSearchAgainstPlain searches the test mails for words out of them, and
// compares with a look through each of them, from both ends.
func TestSearchAgainstPlain(t *testing.T) {
	r := random(t)
	mails := corpus(t)
	r.Shuffle(len(mails), func(i, j int) { mails[i], mails[j] = mails[j], mails[i] })
	mails = mails[:300]
	w := newWorld(t)
	summaries := make([]*message.Summary, len(mails))
	for i, mail := range mails {
		w.deliver(mail, 1_772_000_000, store.Flags(r.IntN(4)))
		s := message.NewScanner(message.Limits{})
		s.Write([]byte(mail))
		summaries[i] = s.Finish()
	}
	v := w.open()
	needles := []string{"", "the", "ü", "zzzz nothing", "multipart", "=3D", "http://"}
	for range 12 {
		i := r.IntN(len(mails))
		words := strings.Fields(plainText(mails[i], summaries[i], false))
		if len(words) > 0 {
			needles = append(needles, strings.Trim(words[r.IntN(len(words))], "\x00\uFFFD"))
		}
	}
	bodies, texts := make([]string, len(mails)), make([]string, len(mails))
	for i, mail := range mails {
		bodies[i], texts[i] = plainText(mail, summaries[i], false), plainText(mail, summaries[i], true)
	}
	for _, needle := range needles {
		for kind, all := range map[Kind][]string{Body: bodies, Text: texts} {
			var want []int
			for i, text := range all {
				// A message without any text has none in which nothing could be found.
				if strings.Contains(text, slowFold(needle)) && (needle != "" || text != "") {
					want = append(want, i+1)
				}
			}
			root := func() *Key { return &Key{Kind: And, Keys: []*Key{{Kind: kind, Text: needle}}} }
			got := w.find(v, root(), false)
			if needle != "" && !slices.Equal(got, want) {
				t.Errorf("kind %d, %q: got %v, want %v", kind, needle, got, want)
			}
			back := w.find(v, root(), true)
			slices.Reverse(back)
			if !slices.Equal(got, back) {
				t.Errorf("kind %d, %q: %v from the end, %v from the beginning", kind, needle, back, got)
			}
		}
	}
}

// FuzzProgram builds a tree of keys from octets and compares the verdicts on some
// messages with those of a plain reading of the tree.
func FuzzProgram(f *testing.F) {
	mails := []string{
		"Subject: one\r\nFrom: ann@x\r\nX-Other: here\r\n\r\nfirst body\r\n",
		"Subject: =?utf-8?q?zw=C3=B6lf?=\r\nDate: Mon, 2 Mar 2026 10:00:00 +0000\r\n\r\nsecond b\xc3\xb6dy\r\n",
		"From: BOB@x\r\nContent-Transfer-Encoding: base64\r\nContent-Type: text/plain\r\n\r\ndGhpcmQgYm9keQ==\r\n",
	}
	w := newWorld(f)
	for i, mail := range mails {
		w.deliver(mail, 1_772_000_000+int64(i)*100_000, store.Flags(i))
	}
	v := w.open()
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte{0, 0, 9, 1, 12, 0, 1, 15, 2, 17, 3})
	f.Fuzz(func(t *testing.T, octets []byte) {
		if len(octets) > 40 {
			return
		}
		b := treeBuilder{octets: octets}
		root := &Key{Kind: And, Keys: []*Key{b.key(0), b.key(0)}}
		var want []int
		for seq := 1; seq <= v.Len(); seq++ {
			if holds(root, mails[seq-1], v.At(seq), seq) {
				want = append(want, seq)
			}
		}
		for _, kept := range []*Columns{nil, w.columns, w.columns} {
			o := w.options()
			o.Columns = kept
			var got []int
			err := New(v, root, o).Run(w.ctx, len(octets)%2 == 0, func(seq int) bool {
				got = append(got, seq)
				return true
			})
			slices.Sort(got)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("got %v, %v, want %v", got, err, want)
			}
		}
	})
}

type treeBuilder struct{ octets []byte }

func (b *treeBuilder) next() byte {
	if len(b.octets) == 0 {
		return 0
	}
	c := b.octets[0]
	b.octets = b.octets[1:]
	return c
}

var fuzzTexts = []string{"", "one", "BODY", "zwö", "ann", "bob", "here", "none of it"}

func (b *treeBuilder) key(depth int) *Key {
	if depth > 6 {
		return &Key{Kind: All}
	}
	switch c := b.next(); c % 12 {
	case 0:
		return &Key{Kind: All}
	case 1:
		return Negated(b.key(depth + 1))
	case 2:
		return &Key{Kind: Or, Keys: []*Key{b.key(depth + 1), b.key(depth + 1)}}
	case 3:
		return &Key{Kind: And, Keys: []*Key{b.key(depth + 1), b.key(depth + 1)}}
	case 4:
		return &Key{Kind: Flag, Flags: store.Flags(1 + b.next()%3)}
	case 5:
		return &Key{Kind: Larger, N: int64(b.next())}
	case 6:
		return &Key{Kind: Older, N: 1_772_000_000 + int64(b.next())*1000}
	case 7:
		seq := int(b.next() % 5)
		return &Key{Kind: Among, N: int64(seq), Resolve: func(Mailbox) func(int) bool { return func(s int) bool { return s == seq } }}
	case 8:
		return &Key{Kind: SentSince, N: int64(20_500 + int(b.next())%20)}
	case 9:
		return &Key{Kind: Field, Field: []string{"subject", "x-other", "from"}[b.next()%3], Text: fuzzTexts[b.next()%8]}
	case 10:
		return &Key{Kind: Body, Text: fuzzTexts[1+b.next()%7]}
	}
	return &Key{Kind: Text, Text: fuzzTexts[1+b.next()%7]}
}

// holds reads a tree as it is written.
func holds(k *Key, mail string, m store.Message, seq int) bool {
	s := message.NewScanner(message.Limits{})
	s.Write([]byte(mail))
	summary := s.Finish()
	sub := func(k *Key) bool { return holds(k, mail, m, seq) }
	switch k.Kind {
	case All:
		return true
	case Not:
		return !sub(k.Keys[0])
	case Or:
		return slices.ContainsFunc(k.Keys, sub)
	case And:
		return !slices.ContainsFunc(k.Keys, func(k *Key) bool { return !sub(k) })
	case Flag:
		return m.Flags&k.Flags == k.Flags
	case Larger:
		return m.Size > k.N
	case Older:
		return m.Date <= k.N
	case Among:
		return int64(seq) == k.N
	case SentSince:
		return summary.Date != 0 && floorDay(summary.Date) >= k.N
	case Body:
		return strings.Contains(plainText(mail, summary, false), slowFold(k.Text))
	case Text:
		return strings.Contains(plainText(mail, summary, true), slowFold(k.Text))
	}
	return slices.ContainsFunc(message.Fields([]byte(mail[:summary.HeaderSize])), func(f message.Field) bool {
		return f.Is(k.Field) && strings.Contains(slowFold(message.DecodeHeader(f.Value())), slowFold(k.Text))
	})
}
