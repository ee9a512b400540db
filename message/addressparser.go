package message

import (
	"bytes"
	"slices"
)

// addressKind says what [addressParser.next] found.
type addressKind int

const (
	mailbox addressKind = iota
	groupStart
	groupEnd
)

// addressParser walks over an address list (RFC 5322 section 3.4 and 4.4) one
// member at a time. Its slices are good until the next step. It always moves
// on, and looks at each octet a bounded number of times.
type addressParser struct {
	s []byte // what is left

	kind   addressKind
	name   []byte // display name, or the group's: quotes removed, encoded words left
	route  []byte // of an obsolete route; empty without
	local  []byte // quotes removed
	domain []byte

	bad       bool // something was not as RFC 5322 has it
	inGroup   bool
	endGroup  bool // the next step reports the end of the group
	noQuote   bool // a quote that does not end was met: none ends from there on
	noComment bool // a comment that does not end was met: the rest is taken as none
	noLiteral bool // a domain literal that does not end was met, as with quotes

	words   []word
	text    []byte // the words' octets
	comment []byte // the last comment of this member
}

// word is a piece of a member.
type word struct {
	start, end int // in text
	kind       wordKind
	space      bool // white space or a comment stands before it
}

type wordKind byte

const (
	atomWord    wordKind = 'a'
	quotedWord  wordKind = 'q'
	literalWord wordKind = '['
	dotWord     wordKind = '.'
	atWord      wordKind = '@'
)

// reset begins a new list, keeping the buffers.
func (p *addressParser) reset(s []byte) {
	*p = addressParser{
		s: s, words: p.words[:0], text: p.text[:0], comment: p.comment[:0],
		name: p.name[:0], route: p.route[:0], local: p.local[:0], domain: p.domain[:0],
	}
}

// next finds the next mailbox, group start or group end.
func (p *addressParser) next() bool {
	for {
		if p.endGroup {
			p.kind, p.inGroup, p.endGroup = groupEnd, false, false
			return true
		}
		if len(p.s) == 0 {
			p.endGroup = p.inGroup
			if p.bad = p.bad || p.inGroup; !p.inGroup {
				return false
			}
			continue
		}
		if p.member() {
			return true
		}
	}
}

// member reads one member with the delimiter after it; false if it is empty.
func (p *addressParser) member() bool {
	p.name, p.route, p.local, p.domain = p.name[:0], p.route[:0], p.local[:0], p.domain[:0]
	p.comment = p.comment[:0]
	p.kind = mailbox
	switch p.readWords(memberStops) {
	case '<':
		return p.angle()
	case ':':
		p.skip()
		p.kind, p.inGroup = groupStart, true
		p.name = p.appendPhrase(p.name, p.words)
		return true
	}
	p.delimiter()
	return p.bare()
}

func (p *addressParser) skip() { p.s = p.s[1:] }

// delimiter takes the comma or semicolon after a member. A semicolon ends a
// group; elsewhere it is what some mail programs put for a comma.
func (p *addressParser) delimiter() {
	if len(p.s) == 0 {
		return
	}
	if p.s[0] == ';' {
		p.endGroup = p.inGroup
	}
	p.skip()
}

// bare reads the words as an address without angle brackets. Words around it
// that it cannot hold are taken for the name.
func (p *addressParser) bare() bool {
	w := p.words
	if len(w) == 0 {
		return false
	}
	at := len(w) - 1
	for at >= 0 && w[at].kind != atWord {
		at--
	}
	if at < 0 {
		p.local = p.appendPhrase(p.local, w)
		p.bad = p.bad || p.hasGap(w)
	} else {
		first, end := p.addressRun(w, at)
		p.takeAddress(w[first:at], w[at+1:end])
		p.name = p.appendPhrase(p.name, w[:first])
		if len(p.name) == 0 {
			p.name = p.appendPhrase(p.name, w[end:])
		}
		p.bad = p.bad || first > 0 || end < len(w)
	}
	p.nameFromComment()
	return true
}

// addressRun finds the words of the address around the "@" at index at: those
// joined without white space, or by a dot with white space around it.
func (p *addressParser) addressRun(w []word, at int) (first, end int) {
	first, end = at, at+1
	for first > 0 && (first == at || joined(w[first-1], w[first])) {
		first--
	}
	for end < len(w) && (end == at+1 || joined(w[end-1], w[end])) {
		end++
	}
	return first, end
}

func joined(a, b word) bool {
	return !b.space || a.kind == dotWord || b.kind == dotWord
}

func (p *addressParser) hasGap(w []word) bool {
	for i := 1; i < len(w); i++ {
		if !joined(w[i-1], w[i]) {
			return true
		}
	}
	return false
}

// angle reads an address in angle brackets, whose name is in the words, and
// what follows it up to the end of the member.
func (p *addressParser) angle() bool {
	p.name = p.appendPhrase(p.name, p.words)
	for len(p.s) > 0 && p.s[0] == '<' {
		p.skip()
	}
	p.readRoute()
	stop := p.readWords(angleStops)
	p.splitAddress()
	if stop != '>' {
		p.bad = true
		p.delimiter()
	} else {
		for p.skip(); len(p.s) > 0 && p.s[0] == '>'; p.skip() {
			p.bad = true
		}
		p.tail()
	}
	p.nameFromComment()
	if len(p.local)+len(p.domain)+len(p.name) == 0 {
		p.bad = true
		return false
	}
	return true
}

// tail reads what follows an angle bracket, up to the end of the member. Words
// there are the name if it is missing. When another address in brackets comes
// before a comma, they are its name.
func (p *addressParser) tail() {
	before := p.s
	stop := p.readWords(tailStops)
	p.bad = p.bad || len(p.words) > 0
	if stop == '<' {
		p.s, p.bad = before, true
		return
	}
	if len(p.name) == 0 {
		p.name = p.appendPhrase(p.name, p.words)
	}
	p.delimiter()
}

// splitAddress takes the words in angle brackets as local part and domain.
func (p *addressParser) splitAddress() {
	w := p.words
	at := len(w) - 1
	for at >= 0 && w[at].kind != atWord {
		at--
	}
	p.bad = p.bad || p.hasSpace(w)
	if at < 0 {
		p.local = p.appendPhrase(p.local, w)
		return
	}
	p.takeAddress(w[:at], w[at+1:])
}

// takeAddress keeps the words before and after the last "@" as local part and
// domain. An earlier "@" outside quotes belongs to the local part, wrongly.
func (p *addressParser) takeAddress(local, domain []word) {
	p.bad = p.bad || slices.ContainsFunc(local, func(w word) bool { return w.kind == atWord })
	p.local = p.appendJoined(p.local, local)
	p.domain = p.appendJoined(p.domain, domain)
}

// hasSpace reports words apart where an address has none.
func (p *addressParser) hasSpace(w []word) bool {
	for i := 1; i < len(w); i++ {
		if !joined(w[i-1], w[i]) && w[i].kind != atWord && w[i-1].kind != atWord {
			return true
		}
	}
	return false
}

// readRoute reads the obsolete "@host,@host:" before an address (RFC 5322
// section 4.4).
func (p *addressParser) readRoute() {
	s := bytes.TrimLeft(p.s, " \t\r\n")
	if len(s) == 0 || s[0] != '@' {
		return
	}
	i := bytes.IndexAny(s, ":<>;")
	if i < 0 || s[i] != ':' {
		return
	}
	for _, c := range s[:i] {
		if !isSpace(c) {
			p.route = append(p.route, c)
		}
	}
	p.s = s[i+1:]
}

// nameFromComment takes a comment for the name that is missing, as in
// "joe@example.com (Joe)".
func (p *addressParser) nameFromComment() {
	if len(p.name) == 0 {
		p.name = append(p.name, trimBlank(p.comment)...)
	}
}

// readWords collects words up to one of the octets in stops, which it leaves and
// returns, or to the end, for which it returns 0.
func (p *addressParser) readWords(stops *octetSet) byte {
	p.words, p.text = p.words[:0], p.text[:0]
	space := false
	for len(p.s) > 0 {
		c := p.s[0]
		switch {
		case isSpace(c):
			p.skip()
			space = true
			continue
		case c == '(' && p.readComment():
			space = true
			continue
		case stops[c] && (c != ':' || p.groupHere()):
			return c
		}
		p.readWord(c, space)
		space = false
	}
	return 0
}

// groupHere reports whether a colon at this place ends a group's name.
func (p *addressParser) groupHere() bool {
	if p.inGroup || len(p.words) == 0 {
		return false
	}
	for _, w := range p.words {
		if w.kind == atWord {
			return false
		}
	}
	return true
}

// readComment reads the comment at the head; false when it does not end.
func (p *addressParser) readComment() bool {
	if p.noComment {
		return false
	}
	n := commentLength(p.s)
	if n == 0 {
		p.noComment, p.bad = true, true
		return false
	}
	p.comment = appendUnescaped(p.comment[:0], p.s[1:n-1])
	p.s = p.s[n:]
	return true
}

// readWord reads one word, which begins with c. Words beyond [maxWords] are taken
// as one with the last.
func (p *addressParser) readWord(c byte, space bool) {
	full := len(p.words) == maxWords
	if full && space {
		p.text = append(p.text, ' ')
	}
	w := word{start: len(p.text), kind: atomWord, space: space}
	switch {
	case c == '"' && p.readQuoted():
		w.kind = quotedWord
	case c == '[' && p.afterAt() && p.readLiteral():
		w.kind = literalWord
	case c == '.' || c == '@':
		w.kind = wordKind(c)
		p.text = append(p.text, c)
		p.skip()
	default:
		p.readAtom()
	}
	w.end = len(p.text)
	if full {
		p.words[maxWords-1].end, p.bad = w.end, true
		return
	}
	p.words = append(p.words, w)
}

func (p *addressParser) afterAt() bool {
	return len(p.words) > 0 && p.words[len(p.words)-1].kind == atWord
}

func (p *addressParser) readQuoted() bool {
	if p.noQuote {
		return false
	}
	for i := 1; i < len(p.s); i++ {
		switch p.s[i] {
		case '\\':
			i++
		case '"':
			p.text = appendUnescaped(p.text, p.s[1:i])
			p.s = p.s[i+1:]
			return true
		}
	}
	p.noQuote, p.bad = true, true
	return false
}

func (p *addressParser) readLiteral() bool {
	if p.noLiteral {
		return false
	}
	i := bytes.IndexByte(p.s, ']')
	if i < 0 {
		p.noLiteral, p.bad = true, true
		return false
	}
	for _, c := range p.s[:i+1] {
		if !isSpace(c) {
			p.text = append(p.text, c)
		}
	}
	p.s = p.s[i+1:]
	return true
}

// readAtom reads octets up to the next special one. The first is taken whatever
// it is, so that a stray special does not stop the parser.
func (p *addressParser) readAtom() {
	p.bad = p.bad || straySpecials[p.s[0]]
	i := 1
	for i < len(p.s) && !atomEnds[p.s[i]] {
		i++
	}
	p.text = append(p.text, p.s[:i]...)
	p.s = p.s[i:]
}

// appendPhrase appends words as a display name: a space where there was some.
func (p *addressParser) appendPhrase(b []byte, words []word) []byte {
	for i, w := range words {
		if i > 0 && w.space {
			b = append(b, ' ')
		}
		b = append(b, p.text[w.start:w.end]...)
	}
	return b
}

// appendJoined appends words as a part of an address: without white space.
func (p *addressParser) appendJoined(b []byte, words []word) []byte {
	for _, w := range words {
		b = append(b, p.text[w.start:w.end]...)
	}
	return b
}
