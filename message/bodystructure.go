package message

import "strconv"

// summarize fills in what the tree knows.
func (t *tree) summarize(s *Summary) {
	top := &t.nodes[0]
	s.HeaderSize = top.body
	s.BodyLines = s.Lines - top.bodyLine
	t.writeStructures(s)
	t.copyTop(s)
	s.Parts = t.parts()
	s.Kept, s.FieldNames = t.kept, t.fieldNames
}

// writeStructures writes the IMAP values into one piece of memory.
func (t *tree) writeStructures(s *Summary) {
	b := make([]byte, 0, len(t.envelope)+2*len(t.details)+48*len(t.nodes))
	b = append(b, t.envelope...)
	envelope := len(b)
	b = t.appendStructure(b, 0, true)
	structure := len(b)
	b = t.appendStructure(b, 0, false)
	s.Envelope = b[:envelope:envelope]
	s.BodyStructure = b[envelope:structure:structure]
	s.Body = b[structure:]
}

// appendStructure appends the body structure of a part (RFC 9051 section 7.5.2).
// It recurses as deep as [Limits.Depth] let the tree grow.
func (t *tree) appendStructure(b []byte, index int32, extended bool) []byte {
	n := &t.nodes[index]
	b = append(b, '(')
	if n.kind == multipartNode {
		for c := n.child; c != 0; c = t.nodes[c].next {
			b = t.appendStructure(b, c, extended)
		}
		b = append(b, ' ')
		b = append(b, t.details[n.head.from:n.head.to]...)
	} else {
		b = append(b, t.details[n.head.from:n.head.to]...)
		b = append(b, ' ')
		b = strconv.AppendInt(b, n.end-n.body, 10)
		b = t.appendKind(b, n, extended)
	}
	if extended {
		b = append(b, ' ')
		b = append(b, t.details[n.ext.from:n.ext.to]...)
	}
	return append(b, ')')
}

// appendKind appends what text and message parts tell besides.
func (t *tree) appendKind(b []byte, n *node, extended bool) []byte {
	switch n.kind {
	case messageNode:
		inner := &t.nodes[n.child]
		b = append(b, ' ')
		b = append(b, t.details[inner.envelope.from:inner.envelope.to]...)
		b = append(b, ' ')
		b = t.appendStructure(b, n.child, extended)
		fallthrough
	case textNode:
		b = append(b, ' ')
		b = strconv.AppendInt(b, n.lines, 10)
	}
	return b
}

// copyTop copies the decoded fields as pieces of one string.
func (t *tree) copyTop(s *Summary) {
	f := &t.top
	text := string(f.text)
	cut := func(p span) string { return text[p.from:p.to] }
	s.Subject, s.From, s.To, s.Cc, s.Bcc = cut(f.subject), cut(f.from), cut(f.to), cut(f.cc), cut(f.bcc)
	s.FromMailbox, s.ToMailbox, s.CcMailbox = cut(f.fromMailbox), cut(f.toMailbox), cut(f.ccMailbox)
	s.FromDisplay, s.ToDisplay = cut(f.fromDisplay), cut(f.toDisplay)
	s.MessageID, s.InReplyTo = cut(f.messageID), cut(f.inReplyTo)
	s.Date, s.Zone = f.date, f.zone
	if len(f.references) > 0 {
		s.References = make([]string, len(f.references))
		for i, p := range f.references {
			s.References[i] = cut(p)
		}
	}
}

// parts lists the nodes with their part numbers.
func (t *tree) parts() []Part {
	names := string(t.names)
	parts := make([]Part, len(t.nodes))
	var numbers []uint16 // of all paths
	for i := range t.nodes {
		n := &t.nodes[i]
		from := len(numbers)
		if i > 0 {
			parent := &t.nodes[n.parent]
			numbers = append(numbers, parts[n.parent].Path...)
			switch {
			case !n.message:
				numbers = append(numbers, n.number)
			case parent.message: // a message that is nothing but a message: its part 1
				numbers = append(numbers, 1)
			}
		}
		parts[i] = Part{
			Path:   numbers[from:len(numbers):len(numbers)],
			Header: n.header, Body: n.body, End: n.end,
			Message: n.message, Multipart: n.kind == multipartNode,
			Type:     names[n.typ.from:n.typ.to],
			Encoding: names[n.encoding.from:n.encoding.to],
			Charset:  names[n.charset.from:n.charset.to],
		}
	}
	return parts
}
