package imap

import (
	"context"
	"strconv"

	"tripost/imap/search"
)

// thread answers THREAD and UID THREAD. RFC 5256 section 3.
func (s *session) thread(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	algorithm := p.word()
	make := (*search.Search).References
	switch algorithm {
	case "REFERENCES":
	case "ORDEREDSUBJECT":
		make = (*search.Search).OrderedSubject
	default:
		p.fail("Unknown threading algorithm")
	}
	var ret returns
	root, err := p.charsetProgram(s.searchTerms())
	if err != nil {
		return s.searched(&ret, err)
	}
	e, f, err := s.findAll(ctx, cmd, root)
	if err != nil {
		return s.searched(&ret, err)
	}
	threads, err := make(e, ctx, f.seqs)
	if err == nil {
		s.tellThreads(threads, numbering(s.view, cmd.uid))
	}
	return s.searched(&ret, err)
}

// tellThreads writes the THREAD response, RFC 5256 section 4.
func (s *session) tellThreads(threads []*search.Thread, number func(int) uint64) {
	b := append(s.c.Out(), "* THREAD"...)
	if len(threads) > 0 {
		b = s.appendThreads(append(b, ' '), threads, number)
	}
	s.c.Done(append(b, "\r\n"...))
}

// appendThreads appends siblings, each in parentheses: messages and their only
// answers one behind the other, and where there are several answers these as
// siblings again.
func (s *session) appendThreads(b []byte, siblings []*search.Thread, number func(int) uint64) []byte {
	for _, t := range siblings {
		b = append(b, '(')
		for ; t.Seq > 0; t = t.Children[0] {
			b = strconv.AppendUint(spaced(b), number(t.Seq), 10)
			if len(t.Children) != 1 {
				break
			}
		}
		if len(t.Children) > 0 {
			b = s.appendThreads(spaced(b), t.Children, number)
		}
		b = s.spill(append(b, ')'))
	}
	return b
}
