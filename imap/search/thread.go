package search

import (
	"cmp"
	"context"
	"slices"

	"tripost/message"
	"tripost/store"
)

// Thread is a message with the answers to it. Seq 0 is one that is not among the
// messages found: it holds together those below it.
type Thread struct {
	Seq      int
	Children []*Thread
}

// OrderedSubject makes threads of the messages with the same base subject: the
// first sent, and below it the others. RFC 5256 section 3, ORDEREDSUBJECT.
func (e *Search) OrderedSubject(ctx context.Context, seqs []int) ([]*Thread, error) {
	type entry struct {
		thread *Thread
		date   int64
	}
	var list []entry
	subjects := make(map[string][]entry)
	memory := e.o.Memory
	err := e.records(ctx, seqs, func(seq int, m *store.Message, r message.Record) error {
		base, _ := e.baseSubject(r)
		if !spend(&memory, len(base)+threadOverhead) {
			return ErrTooMuch
		}
		subjects[base] = append(subjects[base], entry{&Thread{Seq: seq}, sentDate(m, r)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	byDate := func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.date, b.date), a.thread.Seq-b.thread.Seq)
	}
	for _, same := range subjects {
		slices.SortFunc(same, byDate)
		for _, m := range same[1:] {
			same[0].thread.Children = append(same[0].thread.Children, m.thread)
		}
		list = append(list, same[0])
	}
	slices.SortFunc(list, byDate)
	threads := make([]*Thread, len(list))
	for i, m := range list {
		threads[i] = m.thread
	}
	return threads, nil
}

// baseSubject returns a message's base subject in its canonical form, and whether
// it is that of a reply or forward.
func (e *Search) baseSubject(r message.Record) (string, bool) {
	base, reply := message.BaseSubject(string(r.Subject()))
	e.fold = e.o.Collation.Append(e.fold[:0], []byte(base))
	return string(e.fold), reply
}

// threadOverhead is about what a message takes in memory besides its texts.
const threadOverhead = 200

// spend takes octets from a budget, where 0 at the beginning stands for none.
func spend(left *int64, n int) bool {
	if *left == 0 {
		return true
	}
	*left -= int64(n)
	return *left > 0
}
