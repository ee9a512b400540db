package search

import (
	"bytes"

	"tripost/message"
	"tripost/store"
)

// eval finds a key's verdict on a message by what has been read of it.
func (e *Search) eval(k *Key, c *candidate) verdict {
	switch k.Kind {
	case And, Or:
		return e.evalList(k, c)
	case Not:
		switch e.eval(k.Keys[0], c) {
		case matches:
			return fails
		case fails:
			return matches
		}
		return unknown
	case All:
		return matches
	case Among:
		return verdictOf(k.contains(c.seq))
	case Flag, Keyword:
		return verdictOf(k.Flags != 0 && c.message.Flags&k.Flags == k.Flags)
	case Recent:
		return verdictOf(e.box.IsRecent(c.message.UID))
	case SavedBefore, SavedOn, SavedSince:
		if !c.entered {
			return unknown
		}
		return compareDay(k.Kind-SavedBefore+Before, floorDay(c.saved), k.N)
	case Field:
		if e.scores != nil { // a score must not depend on what happens to be kept
			break
		}
		if v := e.keptField(k, c.message.UID); v != unknown {
			return v
		}
	}
	if k.Kind < SentBefore {
		return evalIndex(k, c.message)
	}
	return e.evalRecord(k, c)
}

// flagTest is what a conjunction asks of flags: most searches begin with that, and
// many ask nothing else.
type flagTest struct {
	mask, want store.Flags
	whole      bool // nothing else is asked
}

// take reads the test from a prepared conjunction.
func (f *flagTest) take(root *Key) {
	f.whole = root.Kind == And
	if !f.whole {
		return
	}
	for _, k := range root.Keys {
		flag, want := k, store.Flags(0)
		if k.Kind == Not {
			flag = k.Keys[0]
		}
		single := flag.Flags&(flag.Flags-1) == 0
		switch {
		case flag.Kind != Flag && flag.Kind != Keyword, flag.Flags == 0, !single:
			f.whole = false
			continue
		case k.Kind != Not:
			want = flag.Flags
		}
		if f.mask&flag.Flags != 0 && f.want&flag.Flags != want {
			f.whole = false // a flag and its opposite: eval says no
			continue
		}
		f.mask |= flag.Flags
		f.want |= want
	}
}

func (f *flagTest) passes(flags store.Flags) bool { return flags&f.mask == f.want }

func (e *Search) evalList(k *Key, c *candidate) verdict {
	decides, result := fails, matches // of a conjunction
	if k.Kind == Or {
		decides, result = matches, fails
	}
	for _, sub := range k.Keys {
		switch v := e.eval(sub, c); v {
		case decides:
			return v
		case unknown:
			result = unknown
		}
	}
	return result
}

// evalIndex decides about numbers that the index has.
func evalIndex(k *Key, m *store.Message) verdict {
	switch k.Kind {
	case Before, On, Since:
		return compareDay(k.Kind, floorDay(m.Date+m.Zone.Seconds()), k.N)
	case Older:
		return verdictOf(m.Date <= k.N)
	case Younger:
		return verdictOf(m.Date >= k.N)
	case Larger:
		return verdictOf(m.Size > k.N)
	case Smaller:
		return verdictOf(m.Size < k.N)
	}
	return verdictOf(uint64(m.ModSeq) >= uint64(k.N)) // ModSeq
}

// evalRecord is eval for the keys that need more than the index.
func (e *Search) evalRecord(k *Key, c *candidate) verdict {
	if c.record == nil {
		return unknown
	}
	switch k.Kind {
	case InRecord:
		return verdictOf(k.Record(c.record))
	case SentBefore, SentOn, SentSince:
		date := c.record.Date()
		if date == 0 {
			return fails
		}
		return compareDay(k.Kind-SentBefore+Before, floorDay(date+60*int64(c.record.Zone())), k.N)
	case Field:
		if v := e.storedField(k, c.record); v != unknown {
			return v
		}
		if !c.record.MayHaveField(k.Field) {
			return fails
		}
	case FuzzyField:
		if v, _ := e.fuzzyField(k, c.record); v != unknown {
			return v
		}
		if !c.record.MayHaveField(k.Field) {
			return fails
		}
	case FuzzyText:
		if _, decided := e.fuzzySubject(k, c.record); decided {
			return matches
		}
	case Text:
		for _, field := range storedTexts {
			if e.contains(field(c.record), k.folded) {
				return matches
			}
		}
	}
	if c.found == nil {
		return unknown
	}
	return verdictOf(c.found[k.needle])
}

// storedField returns what a record has decoded of a header field, nil for fields
// that do not stand in it.
func storedField(name string) func(message.Record) []byte {
	switch name {
	case "subject":
		return message.Record.Subject
	case "from":
		return message.Record.From
	case "to":
		return message.Record.To
	case "cc":
		return message.Record.Cc
	case "bcc":
		return message.Record.Bcc
	case "message-id":
		return message.Record.MessageID
	}
	return nil
}

// storedTexts are those fields, for TEXT, which looks through all.
var storedTexts = [...]func(message.Record) []byte{
	message.Record.Subject, message.Record.From, message.Record.To,
	message.Record.Cc, message.Record.Bcc, message.Record.MessageID,
}

// cutField is the length from which a stored field may have been cut.
const cutField = 8<<10 - 64

// storedField decides a key about a header field, if the record can.
func (e *Search) storedField(k *Key, r message.Record) verdict {
	field := storedField(k.Field)
	if field == nil {
		return unknown
	}
	text := field(r)
	switch {
	case len(text) > 0 && e.contains(text, k.folded):
		return matches
	case len(text) == 0 && k.Text == "", len(text) > cutField: // is it there at all; is there more of it
		return unknown
	}
	return fails
}

func (e *Search) contains(text, needle []byte) bool {
	if len(needle) > maxGrowth*len(text) {
		return false
	}
	e.fold = e.o.Collation.Append(e.fold[:0], text)
	return bytes.Contains(e.fold, needle)
}

// maxGrowth is more than the octets that one octet of text can become: 18
// characters of three octets (U+FDFA) from three octets.
const maxGrowth = 20

// compareDay compares days for Before, On and Since.
func compareDay(kind Kind, day, with int64) verdict {
	switch kind {
	case Before:
		return verdictOf(day < with)
	case On:
		return verdictOf(day == with)
	}
	return verdictOf(day >= with)
}
