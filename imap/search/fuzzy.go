package search

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	xhtml "golang.org/x/net/html"

	"tripost/message"
)

// Fuzzy matching, RFC 6203. A text matches a fuzzy key if each word of the key is
// like some word of it, in whatever order, or if the key stands in it as it is, as it
// would have to for a key that is not fuzzy. Words are compared without case, without
// accents and in compatible forms, whatever comparator is active.
//
// How relevant a message is goes by how like the words are, by where they are, and by
// whether they stand together. It depends on nothing but the message and the key, so
// that scores of several mailboxes can be compared.

// loosely is what words count for, in hundredths, where the key does not stand as it is.
const loosely = 90

// spot is where in a message a text stands.
type spot uint8

const (
	inField  spot = iota // the field that the key names
	inHeader             // a field of the message's header
	inSubject
	inPart // the header of a part
	inBody
)

// counts is what a spot counts for, in hundredths.
func (k *Key) counts(at spot) int {
	switch {
	case k.Kind == FuzzyText && at == inHeader, k.Kind == FuzzyBody && at == inPart:
		return 80
	case k.Kind == FuzzyText && (at == inPart || at == inBody):
		return 60
	}
	return 100
}

// FuzzyKind returns the kind that a key of FUZZY has in the place of one that looks for
// a string.
func FuzzyKind(k Kind) Kind {
	switch k {
	case Field:
		return FuzzyField
	case Body:
		return FuzzyBody
	case Text:
		return FuzzyText
	}
	return k
}

func (k *Key) fuzzy() bool { return k.Kind == FuzzyField || k.Kind == FuzzyBody || k.Kind == FuzzyText }

// is says whether a key is of a kind that looks for a string, or of its fuzzy one.
func (k *Key) is(kind Kind) bool { return k.Kind == kind || k.Kind == FuzzyKind(kind) }

// FuzzyWords counts the words of a string that a fuzzy key looks for, which are what its
// matching costs.
func FuzzyWords(text string) int { return len(fuzzyWords(text)) }

// looseNeedle is a fuzzy key while a message is looked through.
type looseNeedle struct {
	key   *Key
	place int     // what the present spot counts for; 0: it is not looked for here
	best  []uint8 // of each word: how like, by what the spot counts for, in hundredths
	whole uint8   // likewise of the key as it stands
}

// begin forgets what has been found.
func (l *looseNeedle) begin(k *Key) {
	l.key, l.whole, l.place = k, 0, 0
	l.best = append(l.best[:0], make([]uint8, len(k.words))...)
}

// see looks at a word.
func (l *looseNeedle) see(w *word) {
	for i := range l.best {
		if int(l.best[i]) < l.place {
			l.best[i] = max(l.best[i], uint8(like(&l.key.words[i], w)*l.place/100))
		}
	}
}

// seeWhole notes that the key stands in a text as it is.
func (l *looseNeedle) seeWhole(at spot) { l.whole = max(l.whole, uint8(l.key.counts(at))) }

// score is the relevancy, 1 to 100, and 0 where the key does not match. A key that
// stands there in the midst of words counts as words do.
func (l *looseNeedle) score() uint8 {
	sum, all := 0, true
	for _, b := range l.best {
		sum += int(b)
		all = all && b > 0
	}
	words := 0
	switch whole := int(l.whole); {
	case len(l.best) == 0:
		return l.whole
	case all && whole > 0:
		words = sum / len(l.best)
	case all:
		words = max(sum*loosely/100/len(l.best), 1)
	}
	return uint8(max(words, int(l.whole)*likeInside/100))
}

// looseFinder looks for the words of fuzzy keys in the texts of a message.
type looseFinder struct {
	needles []*looseNeedle // by needle; nil: it is not fuzzy
	wanted  []bool         // in this text
	paused  bool           // words are not looked at
	split   splitter
	fold    []byte
}

func newLooseFinder(keys []*Key) *looseFinder {
	l := &looseFinder{needles: make([]*looseNeedle, len(keys)), wanted: make([]bool, len(keys))}
	for i, k := range keys {
		if k.fuzzy() {
			l.needles[i] = new(looseNeedle)
			l.needles[i].begin(k)
		}
	}
	l.split = splitter{limit: maxWord, take: l.take}
	return l
}

func (l *looseFinder) take(w *word) {
	for i, n := range l.needles {
		if l.wanted[i] {
			n.see(w)
		}
	}
}

// begin starts a text. It returns how many fuzzy keys are looked for in it.
func (l *looseFinder) begin(wanted func(i int) bool, at spot) (n int) {
	l.split.end()
	l.paused = false
	for i, needle := range l.needles {
		if l.wanted[i] = needle != nil && wanted(i); l.wanted[i] {
			needle.place = needle.key.counts(at)
			n++
		}
	}
	return n
}

// looking says whether words are looked for.
func (l *looseFinder) looking() bool { return l != nil && !l.paused && slices.Contains(l.wanted, true) }

// enter says in what field of a header block the words to come are: those of fields that
// programs write are not looked at.
func (l *looseFinder) enter(name []byte, at spot) {
	l.split.end()
	l.paused = !isWritten(name)
	if at == inHeader && strings.EqualFold(string(name), "subject") {
		at = inSubject
	}
	for i, needle := range l.needles {
		if l.wanted[i] {
			needle.place = needle.key.counts(at)
		}
	}
}

// write looks at a piece of text that holds whole characters; folded is its canonical
// form by a collation.
func (l *looseFinder) write(c Collation, piece, folded []byte) {
	if c != UnicodeCasemap {
		l.fold = UnicodeCasemap.Append(l.fold[:0], piece)
		folded = l.fold
	}
	l.split.write(folded)
}

// finish tells what has been found of the fuzzy keys in the message, and begins anew.
func (l *looseFinder) finish(found []bool, scores []uint8) {
	l.split.end()
	for i, n := range l.needles {
		if n != nil {
			scores[i] = n.score()
			found[i] = scores[i] > 0
			n.begin(n.key)
		}
	}
}

// markup looks at the words of HTML as it is shown, and has the finder look at it as it
// stands.
func (f *finder) markup(ctx context.Context, html io.Reader) error {
	f.loose.paused = true
	defer func() { f.loose.paused = false }()
	z := xhtml.NewTokenizer(io.TeeReader(html, f))
	z.SetMaxBuf(maxMarkup)
	for hidden := false; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch kind := z.Next(); kind {
		case xhtml.ErrorToken:
			if errors.Is(z.Err(), xhtml.ErrBufferExceeded) { // no HTML that anybody writes
				_, err := io.Copy(f, html)
				return err
			}
			return z.Err()
		case xhtml.TextToken:
			if !hidden {
				f.loose.write(Octet, []byte(xhtml.UnescapeString(string(z.Raw()))), nil)
			}
		case xhtml.StartTagToken, xhtml.EndTagToken:
			name, _ := z.TagName()
			f.loose.split.end()
			if tag := string(name); tag == "script" || tag == "style" {
				hidden = kind == xhtml.StartTagToken
			}
		}
	}
}

// maxMarkup bounds a tag or a text between two of them.
const maxMarkup = 256 << 10

// written are the fields that people write, RFC 5322 sections 3.6.2, 3.6.3 and 3.6.5.
func isWritten(name []byte) bool {
	switch strings.ToLower(string(name[:min(len(name), len("reply-to")+1)])) {
	case "subject", "comments", "keywords", "from", "sender", "reply-to", "to", "cc", "bcc":
		return true
	}
	return false
}

// fuzzyField decides about a fuzzy key by a field that the record has, if it can, and
// scores it.
func (e *Search) fuzzyField(k *Key, r message.Record) (verdict, uint8) {
	field := storedField(k.Field)
	if field == nil {
		return unknown, 0
	}
	text := field(r)
	if len(text) == 0 && k.Text == "" || len(text) > cutField { // is it there at all; is there more of it
		return unknown, 0
	}
	score := e.scoreText(k, text, inField)
	return verdictOf(score > 0), score
}

// fuzzySubject scores a fuzzy key of TEXT by the subject, where nothing else in the
// message can better that.
func (e *Search) fuzzySubject(k *Key, r message.Record) (score uint8, decided bool) {
	score = e.scoreText(k, r.Subject(), inSubject)
	return score, int(score) == k.counts(inSubject)
}

// scoreText scores a fuzzy key by a text that is at hand.
func (e *Search) scoreText(k *Key, text []byte, at spot) uint8 {
	l := &e.loose
	l.begin(k)
	if e.contains(text, k.folded) {
		l.seeWhole(at)
	}
	l.place = k.counts(at)
	e.fold = UnicodeCasemap.Append(e.fold[:0], text)
	s := splitter{limit: maxWord, take: l.see}
	s.write(e.fold)
	s.end()
	return l.score()
}

// score says how relevant a message is that matches: the fuzzy keys of a conjunction
// count alike, of a disjunction the best that matches. It is not counted where nothing
// fuzzy has had a part in it.
func (e *Search) score(k *Key, c *candidate) (score int, counted bool) {
	switch {
	case k.fuzzy():
		s := e.keyScore(k, c)
		return int(s), s > 0
	case k.Kind != And && k.Kind != Or:
		return 0, false
	}
	sum, n, best := 0, 0, 0
	for _, sub := range k.Keys {
		if k.Kind == Or && e.eval(sub, c) != matches {
			continue
		}
		if s, counted := e.score(sub, c); counted {
			sum, n, best = sum+s, n+1, max(best, s)
		}
	}
	switch {
	case n == 0:
		return 0, false
	case k.Kind == Or:
		return best, true
	}
	return sum / n, true
}

// keyScore is the score of a fuzzy key by what has been read of a message; 0 is none.
func (e *Search) keyScore(k *Key, c *candidate) uint8 {
	if c.record == nil {
		return 0
	}
	switch k.Kind {
	case FuzzyField:
		if v, score := e.fuzzyField(k, c.record); v != unknown {
			return score
		}
	case FuzzyText:
		if score, decided := e.fuzzySubject(k, c.record); decided {
			return score
		}
	}
	if c.found == nil {
		return 0
	}
	return c.scores[k.needle]
}

// settle finds the verdict on a message by what has been read of it, and its score.
func (e *Search) settle(c *candidate) {
	c.verdict = e.eval(e.root, c)
	if c.verdict != matches || e.scores == nil {
		return
	}
	if score, counted := e.score(e.root, c); counted {
		e.scores[c.seq-1] = uint8(score)
	}
}

// Score returns how relevant a message is that has been found: 1 to 100, which it is where
// nothing fuzzy has had a part in it. RFC 6203 section 4.
func (e *Search) Score(seq int) int {
	if e.scores == nil || e.scores[seq-1] == 0 {
		return likeSame
	}
	return int(e.scores[seq-1])
}
