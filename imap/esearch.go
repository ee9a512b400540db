package imap

import (
	"context"
	"math"
	"slices"
	"strconv"

	"tripost/imap/search"
	"tripost/store"
)

// returns are the result options of a search: RFC 4731 section 3.1, SAVE of RFC
// 5182, PARTIAL of RFC 9394, RELEVANCY of RFC 6203.
type returns struct {
	asked                      bool // RETURN was there: the answer is ESEARCH
	min, max, all, count, save bool
	relevancy                  bool
	page                       *page
}

// page is the part of a result that PARTIAL asks for: the lo-th to the hi-th
// message found, counted from the last one backwards if last.
type page struct {
	lo, hi int
	last   bool
}

// tells says whether the options ask for an answer; SAVE alone does not.
func (r *returns) tells() bool {
	return r.min || r.max || r.all || r.count || r.relevancy || r.page != nil
}

// whole says whether all messages must be found.
func (r *returns) whole() bool {
	return !r.asked || r.all || r.count || r.relevancy && r.page == nil || r.save && !r.tells()
}

// returns consumes result options, if there are any. None named means ALL.
func (p *parser) returns() (r returns) {
	if !p.acceptSpaced("RETURN") {
		return r
	}
	r.asked = true
	p.space()
	p.list(true, func() { p.returnOption(&r) })
	if r.page != nil && r.all {
		p.fail("PARTIAL and ALL exclude each other")
	}
	r.all = r.all || !r.tells() && !r.save
	return r
}

func (p *parser) returnOption(r *returns) {
	switch p.word() {
	case "MIN":
		r.min = true
	case "MAX":
		r.max = true
	case "ALL":
		r.all = true
	case "COUNT":
		r.count = true
	case "SAVE":
		r.save = true
	case "RELEVANCY":
		r.relevancy = true
	case "PARTIAL":
		p.space()
		if r.page != nil {
			p.fail("PARTIAL may be given once")
		}
		r.page = p.page()
	default:
		p.fail("Unknown result option")
	}
}

// acceptSpaced consumes a space and the atom w, given in upper case, if they are
// next.
func (p *parser) acceptSpaced(w string) bool {
	start := p.i
	if p.accept(' ') && p.acceptWord(w) {
		return true
	}
	p.i = start
	return false
}

// page consumes a range such as 1:100 or -1:-100. RFC 9394 section 4.
func (p *parser) page() *page {
	last := p.accept('-')
	lo := p.pageNumber()
	p.expect(':')
	if last {
		p.expect('-')
	}
	hi := p.pageNumber()
	return &page{min(lo, hi), max(lo, hi), last}
}

func (p *parser) pageNumber() int {
	n := p.number()
	if n == 0 {
		p.fail("Zero in a range")
	}
	return int(min(n, math.MaxInt32))
}

// append appends the range as it was asked for.
func (g *page) append(b []byte) []byte {
	sign := ""
	if g.last {
		sign = "-"
	}
	b = strconv.AppendInt(append(b, sign...), int64(g.lo), 10)
	return strconv.AppendInt(append(append(b, ':'), sign...), int64(g.hi), 10)
}

// findings are what a search came to.
type findings struct {
	seqs     []int // all messages, if all had to be found
	page     []int // those of PARTIAL
	min, max int   // 0: none, or not asked for
	any      bool  // something was found

	score func(seq int) int // of a search with fuzzy keys
}

// search runs a search as far as the answer needs it.
func (f *findings) search(ctx context.Context, e *search.Search, ret *returns) error {
	f.score = e.Score
	if ret.whole() {
		err := e.Run(ctx, false, func(seq int) bool { f.seqs = append(f.seqs, seq); return true })
		f.any = len(f.seqs) > 0
		f.parts(ret)
		return err
	}
	if ret.page != nil {
		if err := f.onePage(ctx, e, ret.page); err != nil {
			return err
		}
	}
	if ret.min {
		if err := e.Run(ctx, false, func(seq int) bool { f.min, f.any = seq, true; return false }); err != nil {
			return err
		}
	}
	if ret.max {
		return e.Run(ctx, true, func(seq int) bool { f.max, f.any = seq, true; return false })
	}
	return nil
}

// parts takes out of a whole result what else is asked for.
func (f *findings) parts(ret *returns) {
	if n := len(f.seqs); n > 0 {
		f.min, f.max = f.seqs[0], f.seqs[n-1]
	}
	if ret.page != nil {
		f.page = ret.page.cut(f.seqs)
	}
}

// onePage finds a page, and nothing behind it.
func (f *findings) onePage(ctx context.Context, e *search.Search, g *page) error {
	n := 0
	err := e.Run(ctx, g.last, func(seq int) bool {
		if n++; n >= g.lo && n <= g.hi {
			f.page = append(f.page, seq)
		}
		return n < g.hi
	})
	f.any = n > 0
	if g.last {
		slices.Reverse(f.page)
	}
	return err
}

// cut returns the page of a whole result.
func (g *page) cut(seqs []int) []int {
	n := len(seqs)
	if g.lo > n {
		return nil
	}
	hi := min(g.hi, n)
	if g.last {
		return seqs[n-hi : n-g.lo+1]
	}
	return seqs[g.lo-1 : hi]
}

// cutSet is cut for a set.
func (g *page) cutSet(q seqSet) (out seqSet) {
	n := q.count()
	lo, hi := g.lo, g.hi
	if g.last {
		lo, hi = n-g.hi+1, n-g.lo+1
	}
	before := 0
	for _, r := range q {
		from, to := max(r.lo, r.lo+lo-1-before), min(r.hi, r.lo+hi-1-before)
		if from <= to {
			out = append(out, seqRange{from, to})
		}
		before += r.hi - r.lo + 1
	}
	return out
}

// kept are the messages that SAVE saves: all, or those that are told where only
// some had to be found. RFC 5182 section 2.4, RFC 9394 section 3.2.
func (f *findings) kept(ret *returns) seqSet {
	seqs := f.seqs
	if !ret.whole() {
		seqs = slices.Clone(f.page)
		if ret.min && f.min > 0 {
			seqs = append(seqs, f.min)
		}
		if ret.max && f.max > 0 {
			seqs = append(seqs, f.max)
		}
	}
	var q seqSet
	for _, seq := range seqs {
		if n := len(q); n > 0 && q[n-1].hi == seq-1 {
			q[n-1].hi = seq
			continue
		}
		q = append(q, seqRange{seq, seq})
	}
	return merged(q)
}

// modSeq is the highest mod-sequence of the messages that the answer is about. RFC
// 7162 section 3.1.5, RFC 4731 section 3.2.
func (f *findings) modSeq(ret *returns, v *store.View) (highest store.ModSeq) {
	for _, r := range f.kept(ret) {
		for _, m := range v.Range(r.lo, r.hi) {
			highest = max(highest, m.ModSeq)
		}
	}
	return highest
}

// searchCorrelator says to which command an ESEARCH response belongs.
func searchCorrelator(cmd *command) []byte {
	return append(strconv.AppendQuote([]byte("(TAG "), cmd.tag), ')')
}

// tellExtended writes an ESEARCH response, RFC 4731 section 3.1 and RFC 4466
// section 2.6.2.
func (s *session) tellExtended(correlator []byte, uid bool, ret *returns, f *findings, number func(int) uint64, modSeq store.ModSeq) {
	b := append(append(s.c.Out(), "* ESEARCH "...), correlator...)
	if uid {
		b = append(b, " UID"...)
	}
	if ret.min && f.min > 0 {
		b = strconv.AppendUint(append(b, " MIN "...), number(f.min), 10)
	}
	if ret.max && f.max > 0 {
		b = strconv.AppendUint(append(b, " MAX "...), number(f.max), 10)
	}
	if ret.count {
		b = strconv.AppendInt(append(b, " COUNT "...), int64(len(f.seqs)), 10)
	}
	if ret.all && len(f.seqs) > 0 {
		b = s.appendNumbers(append(b, " ALL "...), f.seqs, number)
	}
	if ret.page != nil {
		b = append(ret.page.append(append(b, " PARTIAL ("...)), ' ')
		if len(f.page) > 0 {
			b = append(s.appendNumbers(b, f.page, number), ')')
		} else {
			b = append(b, "NIL)"...)
		}
	}
	if ret.relevancy {
		b = s.appendScores(b, ret, f)
	}
	if modSeq > 0 {
		b = strconv.AppendUint(append(b, " MODSEQ "...), uint64(modSeq), 10)
	}
	s.c.Done(append(b, "\r\n"...))
}

// appendNumbers appends a set in the order given, neighbours that ascend as ranges.
// What is much goes out on the way.
func (s *session) appendNumbers(b []byte, seqs []int, number func(int) uint64) []byte {
	for i := 0; i < len(seqs); {
		if i > 0 {
			b = append(b, ',')
		}
		first := number(seqs[i])
		last := first
		for i++; i < len(seqs) && number(seqs[i]) == last+1; i++ {
			last++
		}
		b = strconv.AppendUint(b, first, 10)
		if last > first {
			b = strconv.AppendUint(append(b, ':'), last, 10)
		}
		b = s.spill(b)
	}
	return b
}

// spill gives a line that grows long to the connection piece by piece.
func (s *session) spill(b []byte) []byte {
	if len(b) <= pieceSize {
		return b
	}
	s.c.Done(b)
	return s.c.Out()
}

// tellFound writes a SEARCH or SORT response: numbers, and where the client asked
// about modseqs the highest (RFC 7162 sections 3.1.5 and 3.1.6). RFC 3501 section
// 7.2.5, RFC 5256 section 4.
func (s *session) tellFound(name string, seqs []int, number func(int) uint64, modSeq store.ModSeq) {
	b := append(append(s.c.Out(), "* "...), name...)
	for _, seq := range seqs {
		b = s.spill(strconv.AppendUint(append(b, ' '), number(seq), 10))
	}
	if modSeq > 0 {
		b = strconv.AppendUint(append(b, " (MODSEQ "...), uint64(modSeq), 10)
		b = append(b, ')')
	}
	s.c.Done(append(b, "\r\n"...))
}
