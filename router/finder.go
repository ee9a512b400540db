package router

import (
	"bytes"
	"strings"
)

// finder finds the first record that is for an address. What it costs does not
// grow with the number of records: it looks texts up, and for asterisks the
// beginning and the end of a text in each of the lengths that occur.
type finder struct {
	accounts matcher // patterns as "local@domain"
	domains  matcher
}

// found is a record that is for an address.
type found struct {
	index    int    // of the record
	captured string // what the asterisk stands for
}

// find returns the first record for a, if there is one. main is the name of the
// Main Domain: records may name it, addresses here do not.
func (f *finder) find(a address, main string) (found, bool) {
	best := found{index: none}
	if !f.accounts.empty() {
		var buf [maxLocal + 1 + maxDomain]byte
		text := appendText(buf[:0], a.local, a.domain)
		best = best.or(f.accounts.first(text), a)
		if a.domain == "" && main != "" {
			text = append(text, main...)
			best = best.or(f.accounts.first(text), address{local: a.local, domain: main})
		}
	}
	if a.domain != "" && !f.domains.empty() {
		var buf [maxDomain]byte
		m := f.domains.first(append(buf[:0], a.domain...))
		if m.index < best.index {
			best = found{m.index, a.domain[m.from:m.to]}
		}
	}
	return best, best.index != none
}

// or returns the earlier one of two: what was found before, and a match for a.
func (best found) or(m match, a address) found {
	if m.index < best.index {
		return found{m.index, capture(a, m)}
	}
	return best
}

// appendText appends the text that account patterns are compared with.
func appendText(b []byte, local, domain string) []byte {
	for i := range len(local) {
		b = append(b, lower(local[i]))
	}
	b = append(b, '@')
	return append(b, domain...)
}

// capture returns the text of a that an asterisk stands for, as it was written.
func capture(a address, m match) string {
	if m.to <= len(a.local) {
		return a.local[m.from:m.to]
	}
	return a.domain[m.from-len(a.local)-1 : m.to-len(a.local)-1]
}

// matcher is a set of patterns, each with the index of its record.
type matcher struct {
	exact  map[string]int
	wild   map[affixes]int
	shapes []shape
}

// affixes are what stands before and after an asterisk.
type affixes struct{ before, after string }

// shape is how long they are, and the lowest index among the patterns of that shape.
type shape struct{ before, after, lowest int }

// match is a pattern that fits a text; its asterisk stands for text[from:to].
type match struct{ index, from, to int }

// none is larger than any index.
const none = int(^uint(0) >> 1)

func (m *matcher) empty() bool { return len(m.exact) == 0 && len(m.shapes) == 0 }

// add enters a pattern. Of two that are the same the first counts.
func (m *matcher) add(text string, index int) {
	before, after, wild := strings.Cut(text, "*")
	if !wild {
		if m.exact == nil {
			m.exact = make(map[string]int)
		}
		if _, have := m.exact[text]; !have {
			m.exact[text] = index
		}
		return
	}
	if m.wild == nil {
		m.wild = make(map[affixes]int)
	}
	key := affixes{before, after}
	if _, have := m.wild[key]; have {
		return
	}
	m.wild[key] = index
	for _, s := range m.shapes {
		if s.before == len(before) && s.after == len(after) {
			return // an earlier record made it
		}
	}
	m.shapes = append(m.shapes, shape{len(before), len(after), index})
}

// first returns the first pattern that fits a text. The '@' of an address is
// never part of what an asterisk stands for.
func (m *matcher) first(text []byte) match {
	best := match{index: none}
	if i, ok := m.exact[string(text)]; ok {
		best.index = i
	}
	at := bytes.LastIndexByte(text, '@')
	for _, s := range m.shapes {
		if s.lowest > best.index {
			break // shapes are in the order of their first records
		}
		from, to := s.before, len(text)-s.after
		if from > to || from <= at && at < to {
			continue
		}
		i, ok := m.wild[affixes{string(text[:from]), string(text[to:])}]
		if ok && i < best.index {
			best = match{i, from, to}
		}
	}
	return best
}

// covering returns the first pattern that fits every text that this one fits.
func (m *matcher) covering(pattern string) int {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return m.first([]byte(pattern)).index
	}
	best := none
	for _, s := range m.shapes {
		if s.before > len(before) || s.after > len(after) {
			continue
		}
		if i, ok := m.wild[affixes{before[:s.before], after[len(after)-s.after:]}]; ok {
			best = min(best, i)
		}
	}
	return best
}
