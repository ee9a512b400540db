package imap

import (
	"context"
	"slices"
	"strings"

	"tripost/imap/search"
)

// comparator is how SEARCH, SORT and THREAD compare texts. RFC 5255 section 4.
type comparator struct {
	search.Collation
	inverted bool // SORT puts what is greater first
}

// defaultComparator is that of every session that has asked for no other.
var defaultComparator = comparator{Collation: search.UnicodeCasemap}

// String returns the name with the direction, if it is not the usual one: a
// collation-selected of RFC 4790 section 3.5.
func (c comparator) String() string {
	if c.inverted {
		return "-" + c.Collation.String()
	}
	return c.Collation.String()
}

// sorted are the criteria of a SORT as the comparator has them: an inverted one
// reverses those that compare texts.
func (c comparator) sorted(by []search.Criterion) []search.Criterion {
	if c.inverted {
		for i := range by {
			by[i].Reverse = by[i].Reverse != (by[i].Key >= search.BySubject)
		}
	}
	return by
}

// maxComparators bounds the arguments of one COMPARATOR: there are not so many
// collations.
const maxComparators = 100

// compareBy answers COMPARATOR: it tells the active comparator, or makes the first one
// that an argument matches the active one and tells all that match. RFC 5255
// sections 4.7 to 4.9.
func (s *session) compareBy(_ context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	var found []comparator
	asked := p.more()
	for n := 0; p.err == nil && p.more(); n++ {
		if n == maxComparators {
			p.limit("Too many comparators")
			break
		}
		p.space()
		for _, c := range matchingComparators(string(p.astring())) {
			if !slices.Contains(found, c) {
				found = append(found, c)
			}
		}
	}
	if err := p.end(); err != nil {
		return completion{}, err
	}
	if asked && len(found) == 0 {
		return no("BADCOMPARATOR", "No comparator matches"), nil
	}
	if asked {
		s.comparator = found[0]
	}
	b := append(append(s.c.Out(), "* COMPARATOR "...), s.comparator.String()...)
	if len(found) > 1 {
		names := make([]string, len(found))
		for i, c := range found {
			names[i] = c.String()
		}
		b = append(append(b, " ("...), strings.Join(names, " ")+")"...)
	}
	s.c.Done(append(b, "\r\n"...))
	return ok("Done"), nil
}

// matchingComparators finds the comparators that an argument of COMPARATOR matches:
// "default", or a collation-order of RFC 4790 section 3.5.
func matchingComparators(argument string) (found []comparator) {
	if strings.EqualFold(argument, "default") {
		return []comparator{defaultComparator}
	}
	pattern, inverted := strings.CutPrefix(argument, "-")
	if !inverted {
		pattern = strings.TrimPrefix(argument, "+")
	}
	for _, c := range search.Matching(pattern) {
		found = append(found, comparator{c, inverted})
	}
	return found
}
