package imap

import "strings"

// pattern matches mailbox names as LIST does (RFC 3501 section 6.3.8): "*" stands
// for any octets, "%" for any but the hierarchy delimiter.
//
// It keeps, as bits, all places in the pattern that the name read so far can have
// led to: bit i means that the first i literal octets are matched. So a name costs
// its length times the length of the pattern over 64, whatever the wildcards.
type pattern struct {
	literal  []byte      // the pattern without its wildcards
	words    int         // of a bit set
	octets   [256][]word // the places before which an octet stands in literal; nil: none
	any      []word      // places with "*" : any octet keeps them
	level    []word      // places with "%" : any octet but the delimiter keeps them
	from, to []word
}

type word = uint64

func newPattern(text string) *pattern {
	p := &pattern{}
	n := len(text) - strings.Count(text, "*") - strings.Count(text, "%")
	p.words = n/64 + 1
	p.any, p.level = make([]word, p.words), make([]word, p.words)
	p.from, p.to = make([]word, p.words), make([]word, p.words)
	p.literal = make([]byte, 0, n)
	for i := 0; i < len(text); i++ {
		at := len(p.literal)
		switch c := text[i]; c {
		case '*':
			set(p.any, at)
		case '%':
			set(p.level, at)
		default:
			if p.octets[c] == nil {
				p.octets[c] = make([]word, p.words)
			}
			set(p.octets[c], at)
			p.literal = append(p.literal, c)
		}
	}
	return p
}

func set(b []word, i int)      { b[i/64] |= 1 << (i % 64) }
func has(b []word, i int) bool { return b != nil && b[i/64]&(1<<(i%64)) != 0 }

// match says whether the whole of name matches. The word INBOX at the start of a
// name matches in any case.
func (p *pattern) match(name string) bool {
	if len(p.literal) > len(name) {
		return false
	}
	inbox := name == "INBOX" || strings.HasPrefix(name, "INBOX/")
	clear(p.from)
	p.from[0] = 1
	for i := 0; i < len(name); i++ {
		c := name[i]
		p.step(p.octets[c], c)
		if inbox && i < len("INBOX") {
			p.also(p.octets[c|0x20])
		}
		p.from, p.to = p.to, p.from
	}
	return has(p.from, len(p.literal))
}

// step reads one octet: the places it leads to are in to.
func (p *pattern) step(next []word, c byte) {
	for w := range p.words {
		keep := p.any[w]
		if c != '/' {
			keep |= p.level[w]
		}
		p.to[w] = p.from[w] & keep
	}
	p.also(next)
}

// also adds the places that follow those of from whose literal octet is in next.
func (p *pattern) also(next []word) {
	if next == nil {
		return
	}
	carry := word(0)
	for w := range p.words {
		moved := p.from[w] & next[w]
		p.to[w] |= moved<<1 | carry
		carry = moved >> 63
	}
}
