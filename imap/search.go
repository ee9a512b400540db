package imap

import (
	"bufio"
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"tripost/message"
	"tripost/store"
)

// search answers SEARCH and UID SEARCH. RFC 3501 section 6.4.4.
func (s *session) search(ctx context.Context, cmd *command) (completion, error) {
	root, err := cmd.args.searchProgram(s.srv.cfg.Limits)
	if err != nil {
		return completion{}, err
	}
	if err := s.view.Load(ctx); err != nil {
		return completion{}, err
	}
	search := newSearcher(s, root)
	found, err := search.run(ctx)
	if err != nil {
		return completion{}, err
	}
	s.tellFound(found, cmd.uid)
	return ok("Done"), nil
}

// tellFound writes the SEARCH response, RFC 3501 section 7.2.5.
func (s *session) tellFound(found []int, uid bool) {
	b := append(s.c.Out(), "* SEARCH"...)
	for _, seq := range found {
		n := uint64(seq)
		if uid {
			n = uint64(s.view.At(seq).UID)
		}
		b = strconv.AppendUint(append(b, ' '), n, 10)
		if len(b) > pieceSize {
			s.c.Done(b)
			b = s.c.Out()
		}
	}
	s.c.Done(append(b, "\r\n"...))
}

// verdict is what is known of a message so far.
type verdict uint8

const (
	fails verdict = iota
	matches
	unknown // needs the record, or the message's octets
)

func verdictOf(b bool) verdict {
	if b {
		return matches
	}
	return fails
}

// candidate is a message with what has been read of it.
type candidate struct {
	seq     int
	message store.Message
	record  message.Record // nil: not read yet
	found   []bool         // by needle; nil: its octets were not read yet
}

// searcher decides about messages cheap things first: most by the index that the
// session has, those left over by their stored records, read many at a time, and
// only what then is still open by reading the message.
type searcher struct {
	s        *session
	root     *searchKey
	needles  []*searchKey // keys with text to be found, by index
	finder   finder
	fold     []byte
	progress time.Time // when the client last heard of us

	window   []candidate
	verdicts []verdict
	bodies   []store.Body
	arena    []byte

	header []byte        // the block that is being looked through
	raw    *bufio.Reader // the octets of a text
	text   []byte        // and a piece of it, decoded
}

func newSearcher(s *session, root *searchKey) *searcher {
	e := &searcher{s: s, root: root, progress: time.Now()}
	e.prepare(root)
	e.finder = finder{found: make([]bool, len(e.needles)), wanted: make([]bool, len(e.needles))}
	for _, k := range e.needles {
		e.finder.needles = append(e.finder.needles, k.text)
		if k.kind >= keyBody && e.raw == nil {
			e.raw, e.text = bufio.NewReaderSize(nil, pieceSize), make([]byte, pieceSize)
		}
	}
	return e
}

// prepare resolves sets and keywords against the mailbox, and puts the cheap keys
// of every conjunction first.
func (e *searcher) prepare(k *searchKey) {
	view := e.s.view
	switch k.kind {
	case keySet:
		if k.uid {
			k.seqs = resolveUIDs(k.set, view)
		} else {
			k.seqs, _ = resolveSeqs(k.set, view.Len(), false)
		}
	case keyWord:
		for i, name := range view.Keywords() {
			if strings.EqualFold(name, k.text) {
				k.flag = 1 << (store.FirstKeyword + i)
			}
		}
	case keyField, keyBody, keyText:
		k.needle = len(e.needles)
		e.needles = append(e.needles, k)
	}
	for _, sub := range k.keys {
		e.prepare(sub)
	}
	if k.kind == keyAnd || k.kind == keyOr {
		slices.SortStableFunc(k.keys, func(a, b *searchKey) int { return a.cost() - b.cost() })
	}
}

// cost orders keys by what it takes to decide them.
func (k *searchKey) cost() int {
	cost := int(k.kind)
	for _, sub := range k.keys {
		cost = max(cost, sub.cost())
	}
	return cost
}

// searchWindow is how many messages are decided together.
const searchWindow = 512

// run returns the sequence numbers of the messages that match, ascending.
func (e *searcher) run(ctx context.Context) ([]int, error) {
	var found []int
	for from, n := 1, e.s.view.Len(); from <= n; from += searchWindow {
		if err := e.alive(ctx); err != nil {
			return nil, err
		}
		if err := e.decide(ctx, from, min(from+searchWindow-1, n)); err != nil {
			return nil, err
		}
		for i, v := range e.verdicts {
			if v == matches {
				found = append(found, from+i)
			}
		}
	}
	return found, nil
}

// alive ends a search when the server stops. A client that has to wait is told
// from time to time, by which it is noticed too when it has gone.
func (e *searcher) alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if time.Since(e.progress) < e.s.srv.cfg.Timeouts.Progress {
		return nil
	}
	e.progress = time.Now()
	e.s.untagged("OK", "", "Still searching")
	return broken(e.s.c.Flush())
}

// decide finds the verdicts on the messages from..to.
func (e *searcher) decide(ctx context.Context, from, to int) error {
	e.window, e.verdicts = e.window[:0], e.verdicts[:0]
	open := 0
	for seq := from; seq <= to; seq++ {
		c := candidate{seq: seq, message: e.s.view.At(seq)}
		v := e.eval(e.root, &c)
		if v == unknown {
			open++
		}
		e.window = append(e.window, c)
		e.verdicts = append(e.verdicts, v)
	}
	for open > 0 {
		n, err := e.byRecord(ctx)
		if err != nil {
			return err
		}
		open -= n
		for i, v := range e.verdicts {
			if v == unknown && e.window[i].record != nil {
				if err := e.byOctets(ctx, i); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// searchOctets bounds the records that are kept at a time.
const searchOctets = 1 << 20

// byRecord decides what is open by the stored records, as many as fit into
// searchOctets, and says how many it has looked at. Those of messages that stay
// open are kept.
func (e *searcher) byRecord(ctx context.Context) (int, error) {
	var at []int
	e.bodies, e.arena = e.bodies[:0], e.arena[:0]
	for i, v := range e.verdicts {
		if v == unknown {
			at = append(at, i)
			e.bodies = append(e.bodies, e.window[i].message.Body)
			e.verdicts[i] = fails // unless its record is there: else it was removed for good
		}
	}
	looked := len(at)
	_, err := e.s.srv.cfg.Store.Records(ctx, e.bodies, func(j int, r message.Record) bool {
		c := &e.window[at[j]]
		c.record = r
		v := e.eval(e.root, c)
		if e.verdicts[at[j]] = v; v == unknown {
			start := len(e.arena)
			e.arena = append(e.arena, r...)
			c.record = e.arena[start:len(e.arena):len(e.arena)]
		}
		if len(e.arena) < searchOctets {
			return true
		}
		looked = j + 1
		return false
	})
	for _, i := range at[looked:] {
		e.verdicts[i] = unknown
	}
	return looked, err
}

// eval finds a key's verdict on a message by what has been read of it.
func (e *searcher) eval(k *searchKey, c *candidate) verdict {
	switch k.kind {
	case keyAnd, keyOr:
		return e.evalList(k, c)
	case keyNot:
		switch e.eval(k.keys[0], c) {
		case matches:
			return fails
		case fails:
			return matches
		}
		return unknown
	case keyAll:
		return matches
	case keySet:
		return verdictOf(k.seqs.contains(c.seq))
	case keyFlag, keyWord:
		return verdictOf(k.flag != 0 && c.message.Flags&k.flag == k.flag)
	case keyRecent:
		return verdictOf(e.s.view.IsRecent(c.message.UID))
	case keyBefore, keyOn, keySince:
		return compareDay(k.kind, floorDay(c.message.Date), k.day)
	case keyLarger:
		return verdictOf(c.message.Size > k.size)
	case keySmaller:
		return verdictOf(c.message.Size < k.size)
	}
	return e.evalRecord(k, c)
}

func (e *searcher) evalList(k *searchKey, c *candidate) verdict {
	decides, result := fails, matches // of a conjunction
	if k.kind == keyOr {
		decides, result = matches, fails
	}
	for _, sub := range k.keys {
		switch v := e.eval(sub, c); v {
		case decides:
			return v
		case unknown:
			result = unknown
		}
	}
	return result
}

// evalRecord is eval for the keys that need more than the index.
func (e *searcher) evalRecord(k *searchKey, c *candidate) verdict {
	if c.record == nil {
		return unknown
	}
	switch k.kind {
	case keySentBefore, keySentOn, keySentSince:
		date := c.record.Date()
		if date == 0 {
			return fails
		}
		return compareDay(k.kind-keySentBefore+keyBefore, floorDay(date+60*int64(c.record.Zone())), k.day)
	case keyField:
		if v := e.storedField(k, c.record); v != unknown {
			return v
		}
	case keyText:
		for _, field := range storedFields {
			if e.contains(field(c.record), k.text) {
				return matches
			}
		}
	}
	if c.found == nil {
		return unknown
	}
	return verdictOf(c.found[k.needle])
}

// storedFields are the header fields that stand decoded in a record.
var storedFields = map[string]func(message.Record) []byte{
	"subject":    message.Record.Subject,
	"from":       message.Record.From,
	"to":         message.Record.To,
	"cc":         message.Record.Cc,
	"bcc":        message.Record.Bcc,
	"message-id": message.Record.MessageID,
}

// cutField is the length from which a stored field may have been cut.
const cutField = 8<<10 - 64

// storedField decides a key about a header field, if the record can.
func (e *searcher) storedField(k *searchKey, r message.Record) verdict {
	field := storedFields[k.field]
	if field == nil {
		return unknown
	}
	text := field(r)
	switch {
	case e.contains(text, k.text) && len(text) > 0:
		return matches
	case len(text) == 0 && k.text == "", len(text) > cutField: // is it there at all; is there more of it
		return unknown
	}
	return fails
}

func (e *searcher) contains(text []byte, needle string) bool {
	e.fold = appendFolded(e.fold[:0], text)
	return bytes.Contains(e.fold, []byte(needle))
}

// compareDay compares days for keyBefore, keyOn and keySince.
func compareDay(kind keyKind, day, with int64) verdict {
	switch kind {
	case keyBefore:
		return verdictOf(day < with)
	case keyOn:
		return verdictOf(day == with)
	}
	return verdictOf(day >= with)
}

// floorDay returns the day of a time in Unix seconds.
func floorDay(unix int64) int64 {
	day := unix / secondsOfDay
	if unix%secondsOfDay < 0 {
		day--
	}
	return day
}
