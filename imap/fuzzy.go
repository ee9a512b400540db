package imap

import (
	"slices"
	"strconv"

	"tripost/imap/search"
)

// SEARCH=FUZZY, RFC 6203: how texts are matched, and what scores mean, stands in
// imap/search.

// maxFuzzyWords bounds the words that the fuzzy keys of one command look for: every word
// of a text is compared with each of them.
const maxFuzzyWords = 100

// fuzzyKey consumes the key behind FUZZY. Strings are matched fuzzily in it, everything
// else as it is. Section 3.
func (p *searchParser) fuzzyKey() *search.Key {
	before := p.fuzzy
	p.fuzzy, p.scored = true, true
	defer func() { p.fuzzy = before }()
	return p.key()
}

// loosen makes a key that looks for a string a fuzzy one.
func (p *searchParser) loosen(k *search.Key) {
	if p.words += search.FuzzyWords(k.Text); p.words > maxFuzzyWords {
		p.limit("Too many words are to be found fuzzily")
	}
	k.Kind = search.FuzzyKind(k.Kind)
}

// errNotFuzzy refuses to tell scores that there are none of. Sections 4 and 6.
var errNotFuzzy = &syntaxError{"RELEVANCY needs a FUZZY search key"}

// scorable says whether a search has the scores that are asked for.
func scorable(ret *returns, by []search.Criterion, root *search.Key) error {
	sorted := slices.ContainsFunc(by, func(c search.Criterion) bool { return c.Key == search.ByRelevancy })
	if (ret.relevancy || sorted) && !root.Scored {
		return errNotFuzzy
	}
	return nil
}

// appendScores appends the scores of the messages of ALL, or of PARTIAL where that is
// asked for, in their order. Section 4.
func (s *session) appendScores(b []byte, ret *returns, f *findings) []byte {
	seqs := f.seqs
	if ret.page != nil {
		seqs = f.page
	}
	if len(seqs) == 0 {
		return b
	}
	b = append(b, " RELEVANCY ("...)
	for i, seq := range seqs {
		if i > 0 {
			b = append(b, ' ')
		}
		b = s.spill(strconv.AppendInt(b, int64(f.score(seq)), 10))
	}
	return append(b, ')')
}
