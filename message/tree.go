package message

import "bytes"

// position is a place between two lines.
type position struct {
	offset   int64
	lines    int64   // lines before it
	previous lineEnd // of the line before it
}

// nodeKind is what a part turned out to be.
type nodeKind byte

const (
	leafNode      nodeKind = iota // no lines in its structure
	textNode                      // text: its structure tells its lines
	multipartNode                 // has parts
	messageNode                   // a message/rfc822 part: has one message
)

// span is a piece of one of the tree's buffers.
type span struct{ from, to int }

// node is one part while the structure grows.
type node struct {
	kind    nodeKind
	message bool // it is a whole message: the top one, or one inside a messageNode
	digest  bool // its parts are messages unless they say otherwise

	parent, child, last, next int32 // indices of nodes; 0 none (nothing has the top as child)
	number                    uint16

	header, body, end int64
	bodyLine          int64 // lines before the body
	lines             int64 // lines of the body

	head, ext, envelope    span // in details: pieces of the structure
	typ, encoding, charset span // in names
}

// open is an entity that has not ended: a multipart with its boundary, a message
// part, or the part whose lines come in now.
type open struct {
	node     int32
	boundary span // in boundaries; empty: none, or its last boundary has passed
}

// tree grows the MIME structure from the lines that matter to it: header lines
// and lines that could be boundaries. The entities being read are a stack, the
// innermost last; a line that is the boundary of an outer one ends those inside.
type tree struct {
	limits Limits
	nodes  []node
	stack  []open

	boundaries []byte // text of the open boundaries
	reading    bool   // the innermost entity's header comes in
	header     []byte // of the innermost entity, as far as it is kept
	headerMark int    // where the current line begins in it

	content  contentFields
	fields   envelopeFields
	writer   envelopeWriter
	details  []byte
	names    []byte
	envelope []byte // of the message itself
	top      topFields
	kept     []string // see [Summary.Kept]

	fieldNames FieldNames // of the message itself
}

func (t *tree) reset(l Limits) {
	if t.large() {
		*t = tree{}
	}
	t.limits = l
	t.nodes, t.stack = t.nodes[:0], t.stack[:0]
	t.boundaries, t.details, t.names, t.envelope = t.boundaries[:0], t.details[:0], t.names[:0], t.envelope[:0]
	t.top.reset()
	t.kept, t.fieldNames = nil, FieldNames{} // the summary has them
	t.push(node{message: true}, position{})
}

// large reports whether the buffers have grown past what real mail needs.
func (t *tree) large() bool {
	return cap(t.header)+cap(t.details)+cap(t.names)+cap(t.envelope)+cap(t.top.text) > 4*keepBuffer ||
		cap(t.nodes)+cap(t.fields.to)+cap(t.fields.cc)+cap(t.fields.bcc) > 1000
}

// push opens an entity whose header begins at pos.
func (t *tree) push(n node, pos position) {
	n.header = pos.offset
	t.nodes = append(t.nodes, n)
	t.stack = append(t.stack, open{node: int32(len(t.nodes) - 1)})
	t.reading = true
	t.header, t.headerMark = t.header[:0], 0
}

// addChild opens an entity as the next child of another.
func (t *tree) addChild(parent int32, n node, pos position) {
	child := int32(len(t.nodes))
	p := &t.nodes[parent]
	n.parent, n.number = parent, 1
	if p.child == 0 {
		p.child = child
	} else {
		t.nodes[p.last].next = child
		n.number = t.nodes[p.last].number + 1
	}
	p.last = child
	t.push(n, pos)
}

// inHeader reports whether the coming lines are header lines.
func (t *tree) inHeader() bool { return t.reading }

// hasBoundaries reports whether any line could be a boundary.
func (t *tree) hasBoundaries() bool { return len(t.boundaries) > 0 }

// keepHeader keeps octets of the current header line.
func (t *tree) keepHeader(p []byte) {
	if room := t.limits.Header - len(t.header); room > 0 {
		t.header = append(t.header, p[:min(room, len(p))]...)
	}
}

// headerLine ends a header line; next is the place after it.
func (t *tree) headerLine(empty bool, next position) {
	if empty {
		t.endHeader(next)
		return
	}
	t.headerMark = len(t.header)
}

// boundary takes a line that begins with two dashes, given without them, if it is
// the boundary of an open multipart. The innermost such multipart counts. White
// space may follow, nothing else (RFC 2046 section 5.1.1).
func (t *tree) boundary(text []byte, at, next position) bool {
	if len(t.boundaries) == 0 {
		return false
	}
	text = trimTrailing(text)
	for i := len(t.stack) - 1; i >= 0; i-- {
		b := t.boundaries[t.stack[i].boundary.from:t.stack[i].boundary.to]
		if len(b) == 0 || !bytes.HasPrefix(text, b) {
			continue
		}
		switch rest := text[len(b):]; {
		case len(rest) == 0 && t.repeated(i):
			t.nodes[len(t.nodes)-1].header = next.offset
			t.header = t.header[:0]
			return true
		case len(rest) == 0:
			t.closeInside(i, at)
			t.openPart(i, next)
			return true
		case string(rest) == "--":
			t.closeInside(i, at)
			t.boundaries = t.boundaries[:t.stack[i].boundary.from]
			t.stack[i].boundary = span{}
			return true
		}
	}
	return false
}

// repeated reports whether a boundary of the multipart at stack index i is the
// line before: some programs write it twice, and mean one part.
func (t *tree) repeated(i int) bool {
	return t.reading && t.headerMark == 0 && i == len(t.stack)-2
}

func trimTrailing(b []byte) []byte {
	for len(b) > 0 && (isBlank(b[len(b)-1]) || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}

// openPart begins the next part of the multipart at stack index i. The last part
// that the limit allows takes all that follows as plain text, so that clients
// can read it.
func (t *tree) openPart(i int, pos position) {
	parent := t.stack[i].node
	t.addChild(parent, node{}, pos)
	if len(t.nodes) < t.limits.Parts {
		return
	}
	t.reading = false
	t.boundaries = t.boundaries[:0]
	for i := range t.stack {
		t.stack[i].boundary = span{}
	}
	n := &t.nodes[len(t.nodes)-1]
	n.body, n.bodyLine = pos.offset, pos.lines
	t.describePlain(n, "8bit")
}

// endHeader ends the innermost entity's header; its body begins at pos.
func (t *tree) endHeader(pos position) {
	t.reading = false
	index := t.stack[len(t.stack)-1].node
	n := &t.nodes[index]
	n.body, n.bodyLine = pos.offset, pos.lines
	boundary := t.describe(n)
	switch n.kind {
	case multipartNode:
		from := len(t.boundaries)
		t.boundaries = append(t.boundaries, boundary...)
		t.stack[len(t.stack)-1].boundary = span{from, len(t.boundaries)}
	case messageNode:
		t.addChild(index, node{message: true}, pos)
	}
}

// mayNest reports whether the innermost entity may have entities inside it.
func (t *tree) mayNest() bool {
	return len(t.stack) <= t.limits.Depth && len(t.nodes) < t.limits.Parts
}

// closeInside ends all entities inside the one at stack index i, at a boundary
// line that begins at pos.
func (t *tree) closeInside(i int, pos position) {
	t.header = t.header[:min(len(t.header), t.headerMark)] // the boundary is no header line
	lines := pos.lines
	if pos.previous.empty {
		lines-- // what is left of it ends with the line end of the line before
	}
	end := position{offset: pos.offset - int64(pos.previous.octets), lines: lines}
	t.closeTo(i, end)
}

// closeTo ends the entities inside the one at stack index i. Nothing ends before
// it begins: a boundary right behind a header leaves an empty body.
func (t *tree) closeTo(i int, end position) {
	if len(t.stack) == i+1 {
		return
	}
	end.offset = max(end.offset, t.innermostStart())
	for t.reading {
		t.endHeader(end) // the header was not ended by an empty line
	}
	for len(t.stack) > i+1 {
		o := t.stack[len(t.stack)-1]
		t.stack = t.stack[:len(t.stack)-1]
		t.closeNode(o.node, end)
		if o.boundary.to > o.boundary.from {
			t.boundaries = t.boundaries[:o.boundary.from]
		}
	}
}

// innermostStart is the last offset at which an open entity begins.
func (t *tree) innermostStart() int64 {
	n := &t.nodes[t.stack[len(t.stack)-1].node]
	if t.reading {
		return n.header
	}
	return n.body
}

// closeNode records where a part ends. A multipart without parts gets one that
// holds what stands there, since its structure must have one and clients could
// not reach the text otherwise.
func (t *tree) closeNode(index int32, end position) {
	n := &t.nodes[index]
	n.end = end.offset
	n.lines = max(0, end.lines-n.bodyLine)
	if n.end == n.body {
		n.lines = 0
	}
	if n.kind != multipartNode || n.child != 0 {
		return
	}
	only := node{
		parent: index, number: 1,
		header: n.body, body: n.body, end: n.end, bodyLine: n.bodyLine, lines: n.lines,
	}
	n.child, n.last = int32(len(t.nodes)), int32(len(t.nodes))
	encoding := "8bit"
	if only.end == only.body {
		encoding = "7bit"
	}
	t.describePlain(&only, encoding)
	t.nodes = append(t.nodes, only)
}

// finish ends all entities at the end of the message.
func (t *tree) finish(end position) {
	t.closeTo(-1, end)
}
