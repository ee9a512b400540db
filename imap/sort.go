package imap

import (
	"context"

	"tripost/imap/search"
)

// sort answers SORT and UID SORT. RFC 5256 section 3; with RETURN, ESORT of RFC 5267
// section 3, where MIN is the first of the sorted messages and MAX the last.
func (s *session) sort(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	ret := p.returns()
	by := p.sortCriteria()
	root, err := p.charsetProgram(s.searchTerms())
	if err == nil {
		err = scorable(&ret, by, root)
	}
	if err == nil {
		err = s.findSorted(ctx, cmd, &ret, by, root)
	}
	return s.searched(&ret, err)
}

func (s *session) findSorted(ctx context.Context, cmd *command, ret *returns, by []search.Criterion, root *search.Key) error {
	e, f, err := s.findAll(ctx, cmd, root)
	if err != nil {
		return err
	}
	if f.seqs, err = e.Sort(ctx, f.seqs, s.comparator.sorted(by)); err != nil {
		return err
	}
	f.parts(ret)
	s.tellResult("SORT", cmd, ret, root, &f)
	return nil
}

// sortKeys are the keys of RFC 5256 section 3, of RFC 5957 and RFC 6203.
var sortKeys = map[string]search.SortKey{
	"ARRIVAL": search.ByArrival, "SIZE": search.BySize, "DATE": search.ByDate, "SUBJECT": search.BySubject,
	"FROM": search.ByFrom, "TO": search.ByTo, "CC": search.ByCc,
	"RELEVANCY":   search.ByRelevancy, // RFC 6203
	"DISPLAYFROM": search.ByDisplayFrom, "DISPLAYTO": search.ByDisplayTo,
}

// maxCriteria bounds the criteria of one SORT: there are not so many different ones.
const maxCriteria = 32

// sortCriteria consumes a space and the list of criteria.
func (p *parser) sortCriteria() (by []search.Criterion) {
	p.space()
	p.list(false, func() {
		c := search.Criterion{Reverse: p.acceptWord("REVERSE")}
		if c.Reverse {
			p.space()
		}
		key, found := sortKeys[p.word()]
		if !found {
			p.fail("Unknown sort criterion")
		}
		if len(by) == maxCriteria {
			p.limit("Too many sort criteria")
		}
		c.Key = key
		by = append(by, c)
	})
	return by
}
