package message

import "bytes"

// topFields are the decoded fields of the message itself, as pieces of one text.
type topFields struct {
	text []byte

	subject, from, to, cc, bcc        span
	fromMailbox, toMailbox, ccMailbox span
	fromDisplay, toDisplay            span
	messageID, inReplyTo              span
	references                        []span

	date int64
	zone int
}

func (f *topFields) reset() {
	*f = topFields{text: f.text[:0], references: f.references[:0]}
}

// read decodes the fields of a header.
func (f *topFields) read(e *envelopeFields) {
	f.subject = f.decode(e.subject)
	f.from = f.decode(e.from)
	f.to = f.decode(e.to...)
	f.cc = f.decode(e.cc...)
	f.bcc = f.decode(e.bcc...)
	if t, ok := parseDate(e.date); ok {
		f.date, f.zone = t.unix(), t.zone
	}
	f.readIdentifiers(e)
}

// decode adds the decoded form of a field, of several joined with commas.
func (f *topFields) decode(bodies ...[]byte) span {
	from := len(f.text)
	for i, body := range bodies {
		if i > 0 {
			f.text = append(f.text, ", "...)
		}
		if len(f.text)-from > maxText {
			break
		}
		mark := len(f.text)
		f.text = appendDecoded(f.text, body)
		f.text = f.text[:mark+len(cutText(f.text[mark:], maxText))]
	}
	return f.cut(from)
}

// cut ends a decoded field at its bound.
func (f *topFields) cut(from int) span {
	f.text = f.text[:from+len(cutText(f.text[from:], maxText))]
	return span{from, len(f.text)}
}

func (f *topFields) seeFrom(p *addressParser) { f.fromMailbox, f.fromDisplay = f.firstAddress(p) }
func (f *topFields) seeTo(p *addressParser)   { f.toMailbox, f.toDisplay = f.firstAddress(p) }
func (f *topFields) seeCc(p *addressParser)   { f.ccMailbox, _ = f.firstAddress(p) }

// firstAddress adds what SORT goes by: the local part of the first address, and
// its name or else the address (RFC 5256 section 3, RFC 5957 section 3).
func (f *topFields) firstAddress(p *addressParser) (local, display span) {
	from := len(f.text)
	f.text = appendDecoded(f.text, p.local)
	local = f.cut(from)
	from = len(f.text)
	f.text = appendDecoded(f.text, p.name)
	if len(f.text) == from {
		f.text = append(f.text, f.text[local.from:local.to]...)
		if len(p.domain) > 0 {
			f.text = append(f.text, '@')
			f.text = appendDecoded(f.text, p.domain)
		}
	}
	return local, f.cut(from)
}

// readIdentifiers reads Message-ID, In-Reply-To and References. Of too many
// references the first, which names the thread, and the last ones are kept.
func (f *topFields) readIdentifiers(e *envelopeFields) {
	if id, _, ok := findIdentifier(e.messageID); ok {
		f.messageID = f.identifier(id)
	} else if len(e.messageID) <= maxMessageID {
		f.messageID = f.decode(e.messageID)
	}
	if id, _, ok := findIdentifier(e.inReplyTo); ok {
		f.inReplyTo = f.identifier(id)
	}
	var first []byte
	var ring [maxReferences - 1][]byte
	n := 0
	for id, rest, ok := findIdentifier(e.references); ok; id, rest, ok = findIdentifier(rest) {
		if first == nil {
			first = id
			f.references = append(f.references, f.identifier(id))
			continue
		}
		ring[n%len(ring)] = id
		n++
	}
	for i := max(0, n-len(ring)); i < n; i++ {
		f.references = append(f.references, f.identifier(ring[i%len(ring)]))
	}
}

// findIdentifier finds the next message identifier, from "<" to ">", and what
// follows it. Longer ones than a line can hold are passed over.
func findIdentifier(body []byte) (id, rest []byte, ok bool) {
	for {
		end := bytes.IndexByte(body, '>')
		if end < 0 {
			return nil, nil, false
		}
		start := bytes.LastIndexByte(body[:end], '<')
		rest = body[end+1:]
		if start >= 0 && end > start+1 && end-start < maxMessageID {
			return body[start : end+1], rest, true
		}
		body = rest
	}
}

// identifier adds a message identifier without folding, white space and octets
// that could end a line.
func (f *topFields) identifier(id []byte) span {
	from := len(f.text)
	for _, c := range id {
		if c > ' ' && c != 0x7f {
			f.text = append(f.text, c)
		}
	}
	return span{from, len(f.text)}
}
