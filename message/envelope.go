package message

import "bytes"

// envelopeFields are the bodies of the header fields that make an ENVELOPE, as
// they stand: nil when a field is absent.
type envelopeFields struct {
	date, subject, inReplyTo, messageID, references []byte
	from, sender, replyTo                           []byte
	to, cc, bcc                                     [][]byte // these may come more than once
}

// nilEnvelope stands for a message whose header is not looked at.
const nilEnvelope = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"

// take keeps a field if the ENVELOPE wants it. Of a field that may stand only
// once the first counts.
func (e *envelopeFields) take(f Field) {
	var one *[]byte
	switch len(f.Name) {
	case 2:
		switch {
		case f.Is("To"):
			e.to = append(e.to, f.body())
		case f.Is("Cc"):
			e.cc = append(e.cc, f.body())
		}
	case 3:
		if f.Is("Bcc") {
			e.bcc = append(e.bcc, f.body())
		}
	case 4:
		switch {
		case f.Is("Date"):
			one = &e.date
		case f.Is("From"):
			one = &e.from
		}
	case 6:
		if f.Is("Sender") {
			one = &e.sender
		}
	case 7:
		if f.Is("Subject") {
			one = &e.subject
		}
	case 8:
		if f.Is("Reply-To") {
			one = &e.replyTo
		}
	case 10:
		switch {
		case f.Is("Message-ID"):
			one = &e.messageID
		case f.Is("References"):
			one = &e.references
		}
	case 11:
		if f.Is("In-Reply-To") {
			one = &e.inReplyTo
		}
	}
	if one != nil && *one == nil {
		*one = f.body()
	}
}

func (e *envelopeFields) reset() {
	*e = envelopeFields{to: e.to[:0], cc: e.cc[:0], bcc: e.bcc[:0]}
}

// envelopeWriter writes ENVELOPE values (RFC 9051 section 7.5.2) with the
// octets of the header as they stand: encoded words stay encoded, dates stay as
// written, only folding and the quotes of address parts go.
type envelopeWriter struct {
	parser  addressParser
	scratch []byte
}

// firstSeen is told of the first address of a field while it is written.
type firstSeen func(p *addressParser)

// append appends the ENVELOPE of a header. An absent or empty Sender or Reply-To
// is that of From. top, which may be nil, learns the first addresses.
func (w *envelopeWriter) append(b []byte, e *envelopeFields, top *topFields) []byte {
	var from, to, cc firstSeen
	if top != nil {
		from, to, cc = top.seeFrom, top.seeTo, top.seeCc
	}
	b = append(b, '(')
	b = w.appendText(b, e.date)
	b = append(b, ' ')
	b = w.appendText(b, e.subject)
	b = append(b, ' ')
	author := span{from: len(b)}
	b = w.appendAddresses(b, maxAuthors, from, e.from)
	author.to = len(b)
	for _, body := range [...][]byte{e.sender, e.replyTo} {
		b = append(b, ' ')
		mark := len(b)
		b = w.appendAddresses(b, maxAuthors, nil, body)
		if string(b[mark:]) == "NIL" {
			b = append(b[:mark], b[author.from:author.to]...)
		}
	}
	b = append(b, ' ')
	b = w.appendAddresses(b, maxRecipients, to, e.to...)
	b = append(b, ' ')
	b = w.appendAddresses(b, maxRecipients, cc, e.cc...)
	b = append(b, ' ')
	b = w.appendAddresses(b, maxRecipients, nil, e.bcc...)
	b = append(b, ' ')
	b = w.appendText(b, e.inReplyTo)
	b = append(b, ' ')
	b = w.appendText(b, e.messageID)
	return append(b, ')')
}

// appendText appends an unstructured field: NIL when absent, "" when empty.
func (w *envelopeWriter) appendText(b, body []byte) []byte {
	if body == nil {
		return append(b, "NIL"...)
	}
	if bytes.IndexByte(body, '\n') < 0 {
		return AppendString(b, trimBlank(body))
	}
	w.scratch = appendUnfolded(w.scratch[:0], body)
	return AppendString(b, w.scratch)
}

// appendAddresses appends the addresses of all bodies as one list, NIL when
// there are none. Groups stand between two markers without a host.
func (w *envelopeWriter) appendAddresses(b []byte, most int, first firstSeen, bodies ...[]byte) []byte {
	mark, count := len(b), 0
	for _, body := range bodies {
		p := &w.parser
		for p.reset(body); count < most && p.next(); count++ {
			if count == 0 {
				b = append(b, '(')
			}
			b = p.appendAddress(b)
			if first != nil && p.kind == mailbox {
				first(p)
				first = nil
			}
		}
		if count > 0 && p.inGroup { // cut short inside a group
			b = append(b, "(NIL NIL NIL NIL)"...)
		}
	}
	if len(b) == mark {
		return append(b, "NIL"...)
	}
	return append(b, ')')
}

// appendAddress appends what the parser found as an IMAP address structure. A
// mailbox without a domain has an empty host, since NIL would mark a group.
func (p *addressParser) appendAddress(b []byte) []byte {
	switch p.kind {
	case groupStart:
		b = append(b, "(NIL NIL "...)
		b = AppendString(b, p.name)
		return append(b, " NIL)"...)
	case groupEnd:
		return append(b, "(NIL NIL NIL NIL)"...)
	}
	b = append(b, '(')
	b = appendUnlessEmpty(b, p.name)
	b = append(b, ' ')
	b = appendUnlessEmpty(b, p.route)
	b = append(b, ' ')
	b = AppendString(b, p.local)
	b = append(b, ' ')
	b = AppendString(b, p.domain)
	return append(b, ')')
}

// appendUnlessEmpty appends s as a string, or NIL when it is empty.
func appendUnlessEmpty(b, s []byte) []byte {
	if len(s) == 0 {
		return append(b, "NIL"...)
	}
	return AppendString(b, s)
}
