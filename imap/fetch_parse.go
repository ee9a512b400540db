package imap

import (
	"bytes"
	"math"
	"strconv"
)

// fetchItems are the items of FETCH that need no section, as bits.
type fetchItems uint16

const (
	fetchUID fetchItems = 1 << iota
	fetchFlags
	fetchDate
	fetchSize
	fetchModSeq
	fetchSaveDate
	fetchEmailID
	fetchThreadID
	fetchEnvelope
	fetchBody
	fetchStructure

	fetchFast = fetchFlags | fetchDate | fetchSize
	fetchAll  = fetchFast | fetchEnvelope
	fetchFull = fetchAll | fetchBody

	ofRecord = fetchEnvelope | fetchBody | fetchStructure | fetchEmailID | fetchThreadID // stand in the stored record
)

// fetchNames are the items by name; macros have an entry in fetchMacros.
var fetchNames = map[string]fetchItems{
	"UID": fetchUID, "FLAGS": fetchFlags, "INTERNALDATE": fetchDate, "RFC822.SIZE": fetchSize,
	"MODSEQ": fetchModSeq, "SAVEDATE": fetchSaveDate, "EMAILID": fetchEmailID, "THREADID": fetchThreadID,
	"ENVELOPE": fetchEnvelope, "BODY": fetchBody, "BODYSTRUCTURE": fetchStructure,
}

var fetchMacros = map[string]fetchItems{"ALL": fetchAll, "FAST": fetchFast, "FULL": fetchFull}

// fetchPlan is what a FETCH asks for.
type fetchPlan struct {
	items    fetchItems
	sections []section
	marks    bool // a section without PEEK: sets \Seen
	record   bool // the stored record is needed
}

// texts tells whether the client gets more than headers.
func (p *fetchPlan) texts() bool {
	for i := range p.sections {
		switch s := &p.sections[i]; {
		case s.kind == sectionBinarySize:
		case s.text == sectionAll, s.text == sectionBodyText:
			return true
		}
	}
	return false
}

// sectionPart is what of a part is asked for.
type sectionPart uint8

const (
	sectionAll sectionPart = iota
	sectionHeader
	sectionBodyText
	sectionMIME
	sectionFields
	sectionFieldsNot
)

// sectionKind is which item a section belongs to.
type sectionKind uint8

const (
	sectionText       sectionKind = iota // BODY[...]
	sectionBinary                        // BINARY[...]
	sectionBinarySize                    // BINARY.SIZE[...]
	sectionPreview                       // PREVIEW
)

// section is one BODY[...], RFC 3501 section 6.4.5, or another item that is made
// from the octets.
type section struct {
	kind    sectionKind
	label   []byte // as it is answered: "BODY[1.HEADER]<0>"
	path    []uint16
	text    sectionPart
	fields  [][]byte
	partial bool
	offset  uint32
	length  uint32
}

// fetchParser builds a plan within limits.
type fetchParser struct {
	*parser
	plan fetchPlan
	left int // items, part numbers and field names still allowed
}

// fetchPlan consumes what FETCH asks for: a macro, one item, or a list.
func (p *parser) fetchPlan(limit int) fetchPlan {
	f := fetchParser{parser: p, left: limit}
	if p.peek() == '(' {
		p.list(false, func() { f.item(false) })
	} else {
		f.item(true)
	}
	f.plan.record = f.plan.items&ofRecord != 0
	for _, s := range f.plan.sections {
		f.plan.record = f.plan.record || len(s.path) > 0 || s.text != sectionAll || s.kind != sectionText
	}
	return f.plan
}

// spend counts something against the limit.
func (f *fetchParser) spend() {
	if f.left--; f.left < 0 {
		f.limit("FETCH asks for too much at once")
	}
}

// itemName consumes letters, digits and dots.
func (f *fetchParser) itemName() string {
	start := f.i
	for c := f.peek(); c == '.' || 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'; c = f.peek() {
		f.i++
	}
	return string(bytes.ToUpper(f.b[start:f.i]))
}

func (f *fetchParser) item(alone bool) {
	f.spend()
	name := f.itemName()
	if f.err == nil && f.peek() == '[' {
		f.bodySection(name)
		return
	}
	if items, found := fetchNames[name]; found {
		f.plan.items |= items
		return
	}
	if items, found := fetchMacros[name]; found && alone {
		f.plan.items |= items
		return
	}
	switch name {
	case "RFC822":
		f.add(section{label: []byte(name)}, true)
	case "RFC822.HEADER":
		f.add(section{label: []byte(name), text: sectionHeader}, false)
	case "RFC822.TEXT":
		f.add(section{label: []byte(name), text: sectionBodyText}, true)
	case "PREVIEW":
		f.previewItem()
	default:
		f.fail("Unknown FETCH item")
	}
}

func (f *fetchParser) add(s section, marks bool) {
	f.plan.sections = append(f.plan.sections, s)
	f.plan.marks = f.plan.marks || marks
}

// bodySection consumes "[...]" and "<...>" after BODY or BODY.PEEK.
func (f *fetchParser) bodySection(name string) {
	switch name {
	case "BODY", "BODY.PEEK":
	case "BINARY", "BINARY.PEEK", "BINARY.SIZE":
		f.binarySection(name)
		return
	default:
		f.fail("Unknown FETCH item")
		return
	}
	var s section
	f.expect('[')
	numbers := f.sectionSpec(&s)
	f.expect(']')
	s.label = s.answerLabel(numbers)
	f.partial(&s)
	f.add(s, name == "BODY")
}

// partial consumes "<offset.length>", if it is there.
func (f *fetchParser) partial(s *section) {
	if !f.accept('<') {
		return
	}
	s.partial = true
	s.offset = f.number()
	f.expect('.')
	s.length = f.number()
	f.expect('>')
	if f.err == nil && s.length == 0 {
		f.fail("A partial fetch of no octets")
	}
	s.label = append(strconv.AppendUint(append(s.label, '<'), uint64(s.offset), 10), '>')
}

// sectionSpec consumes a section-spec: part numbers, a text, or both. It returns
// the numbers as they were written.
func (f *fetchParser) sectionSpec(s *section) (numbers []byte) {
	numbers, more := f.partNumbers(s)
	if f.err == nil && more && f.peek() != ']' {
		f.sectionText(s)
	}
	return numbers
}

// partNumbers consumes part numbers, which it also returns as they were written.
// more says that something may follow: there are none, or a dot is behind them.
func (f *fetchParser) partNumbers(s *section) (numbers []byte, more bool) {
	start := f.i
	for f.err == nil && f.peek()-'0' <= 9 {
		f.spend()
		n := f.number()
		if n == 0 {
			f.fail("Part numbers begin with 1")
			return nil, false
		}
		s.path = append(s.path, uint16(min(n, math.MaxUint16)))
		numbers = f.b[start:f.i]
		if !f.accept('.') {
			return numbers, false
		}
		if f.peek() == ']' {
			f.fail("Expected a part number")
		}
	}
	return numbers, true
}

// sectionText consumes a section-text.
func (f *fetchParser) sectionText(s *section) {
	switch name := f.itemName(); {
	case name == "HEADER":
		s.text = sectionHeader
	case name == "TEXT":
		s.text = sectionBodyText
	case name == "MIME" && len(s.path) > 0:
		s.text = sectionMIME
	case name == "HEADER.FIELDS":
		s.text = sectionFields
		f.fieldNames(s)
	case name == "HEADER.FIELDS.NOT":
		s.text = sectionFieldsNot
		f.fieldNames(s)
	default:
		f.fail("Unknown section")
	}
}

func (f *fetchParser) fieldNames(s *section) {
	f.space()
	f.list(false, func() {
		f.spend()
		s.fields = append(s.fields, bytes.Clone(f.astring()))
	})
}

// answerLabel returns the section as it is named in the answer: as it was asked
// for, without PEEK.
func (s *section) answerLabel(numbers []byte) []byte {
	b := append([]byte("BODY["), numbers...)
	if name := sectionNames[s.text]; name != "" {
		if len(numbers) > 0 {
			b = append(b, '.')
		}
		b = append(b, name...)
	}
	for i, field := range s.fields {
		b = append(b, ' ')
		if i == 0 {
			b = append(b, '(')
		}
		b = appendAstring(b, field)
	}
	if s.fields != nil {
		b = append(b, ')')
	}
	return append(b, ']')
}

var sectionNames = [...]string{
	sectionHeader: "HEADER", sectionBodyText: "TEXT", sectionMIME: "MIME",
	sectionFields: "HEADER.FIELDS", sectionFieldsNot: "HEADER.FIELDS.NOT",
}
