package message

import (
	"bytes"
	"slices"
)

// contentFields are the bodies of a part's MIME fields (RFC 2045, 2183, 1864,
// 3282, 2557), nil when absent. Of each the first counts.
type contentFields struct {
	typ, encoding, id, description, disposition, md5, language, location []byte
}

func (c *contentFields) take(f Field) {
	var body *[]byte
	switch len(f.Name) {
	case 10:
		if f.Is("Content-ID") {
			body = &c.id
		}
	case 11:
		if f.Is("Content-MD5") {
			body = &c.md5
		}
	case 12:
		if f.Is("Content-Type") {
			body = &c.typ
		}
	case 16:
		switch {
		case f.Is("Content-Language"):
			body = &c.language
		case f.Is("Content-Location"):
			body = &c.location
		}
	case 19:
		switch {
		case f.Is("Content-Description"):
			body = &c.description
		case f.Is("Content-Disposition"):
			body = &c.disposition
		}
	case 25:
		if f.Is("Content-Transfer-Encoding") {
			body = &c.encoding
		}
	}
	if body != nil && *body == nil {
		*body = f.body()
	}
}

// describe reads the kept header of an entity, settles its kind and writes the
// pieces of its structure. Of a multipart it returns the boundary.
func (t *tree) describe(n *node) (boundary []byte) {
	t.readFields(n.message)
	if n.message {
		t.describeMessage(n)
	}
	m, ok := parseMediaType(t.content.typ)
	if !ok {
		m = t.defaultType(n)
	}
	boundary = t.settle(n, &m)
	t.name(n, &m)
	t.describePart(n, &m)
	return boundary
}

// readFields finds the fields that matter in the kept header.
func (t *tree) readFields(message bool) {
	t.content = contentFields{}
	if message {
		t.fields.reset()
	}
	rest := t.header
	for {
		var f Field
		var ok bool
		if f, rest, ok = nextField(rest); !ok {
			return
		}
		if len(f.Name) >= 10 && (f.Name[0]|0x20) == 'c' {
			t.content.take(f)
		} else if message {
			t.fields.take(f)
		}
	}
}

// describeMessage writes the ENVELOPE of a message; of the message itself also
// the decoded fields.
func (t *tree) describeMessage(n *node) {
	if n.header == 0 && len(t.nodes) == 1 {
		t.noteFields()
		t.envelope = t.writer.append(t.envelope, &t.fields, &t.top)
		t.top.read(&t.fields)
		return
	}
	from := len(t.details)
	t.details = t.writer.append(t.details, &t.fields, nil)
	if len(t.details) > maxDetails {
		t.details = append(t.details[:from], nilEnvelope...)
	}
	n.envelope = span{from, len(t.details)}
}

// noteFields takes the names of the fields in the kept header, and the values of
// the field that is kept.
func (t *tree) noteFields() {
	if len(t.header) >= t.limits.Header { // there may be more
		t.fieldNames = allFieldNames()
	}
	for rest := t.header; ; {
		f, more, ok := nextField(rest)
		if !ok {
			return
		}
		if len(f.Name) > 0 {
			t.fieldNames.add(f.Name)
		}
		if t.limits.Keep != "" && len(t.kept) < maxKept && f.Is(t.limits.Keep) {
			t.kept = append(t.kept, f.Value())
		}
		rest = more
	}
}

// defaultType is the type of a part that names none: RFC 2045 section 5.2 and
// RFC 2046 section 5.1.5.
func (t *tree) defaultType(n *node) mediaType {
	if !n.message && t.nodes[n.parent].digest {
		return mediaType{typ: []byte("message"), sub: []byte("rfc822")}
	}
	return plainType()
}

func plainType() mediaType {
	return mediaType{
		typ: []byte("text"), sub: []byte("plain"),
		params: []parameter{{[]byte("charset"), []byte("us-ascii")}},
	}
}

// settle decides the kind of a part. What could have entities inside it but may
// not, because of the limits or for want of a boundary, is text/plain: so shown,
// it can still be read.
func (t *tree) settle(n *node, m *mediaType) (boundary []byte) {
	switch {
	case string(m.typ) == "multipart":
		boundary = trimTrailing(m.param("boundary"))
		if len(boundary) > 0 && len(boundary) <= maxBoundary && t.mayNest() {
			n.kind, n.digest = multipartNode, string(m.sub) == "digest"
			return boundary
		}
		*m = plainType()
	case m.is("message", "rfc822") || m.is("message", "global"):
		if t.mayNest() {
			n.kind = messageNode
			return nil
		}
		*m = plainType()
	}
	if string(m.typ) == "text" {
		n.kind = textNode
	}
	return nil
}

// maxEncoding bounds the name of a transfer encoding.
const maxEncoding = 64

// name keeps what [Part] tells of the type.
func (t *tree) name(n *node, m *mediaType) {
	n.typ.from = len(t.names)
	t.names = append(t.names, m.typ...)
	t.names = append(t.names, '/')
	t.names = append(t.names, m.sub...)
	n.typ.to = len(t.names)
	n.encoding = t.keepName(encodingName(t.content.encoding), maxEncoding)
	if n.encoding.from == n.encoding.to {
		n.encoding = t.keepName([]byte("7bit"), maxEncoding)
	}
	n.charset = t.keepName(trimBlank(m.param("charset")), maxCharset)
}

// keepName keeps a name in lower case; what is too long or uses octets that no
// name has is dropped.
func (t *tree) keepName(name []byte, most int) span {
	from := len(t.names)
	if len(name) <= most && !slices.ContainsFunc(name, func(c byte) bool { return c <= ' ' || c >= 0x7f }) {
		t.names = appendLower(t.names, name)
	}
	return span{from, len(t.names)}
}

// encodingName takes the name out of a Content-Transfer-Encoding field, with
// what some programs put around it.
func encodingName(body []byte) []byte {
	s := bytes.TrimLeft(skipSpace(body), `"`)
	name, _ := mediaToken(s)
	return name
}

// describePart writes the pieces of a part's structure. When the structure as a
// whole grows past its bound, the rest of the parts are told without details.
func (t *tree) describePart(n *node, m *mediaType) {
	mark := len(t.details)
	t.writePart(n, m, &t.content)
	if len(t.details) > maxDetails {
		t.details = t.details[:mark]
		bare := mediaType{typ: m.typ, sub: m.sub}
		t.writePart(n, &bare, &contentFields{})
	}
}

// writePart writes the fields before a part's size and those after it; of a
// multipart the fields after its parts (RFC 9051 section 9, body-type-1part and
// body-type-mpart).
func (t *tree) writePart(n *node, m *mediaType, c *contentFields) {
	b := t.details
	n.head.from = len(b)
	if n.kind != multipartNode {
		b = AppendQuoted(b, m.typ)
		b = append(b, ' ')
	}
	b = AppendQuoted(b, m.sub)
	if n.kind != multipartNode {
		b = append(b, ' ')
		b = appendParameters(b, m.params)
		b = append(b, ' ')
		b = t.writer.appendText(b, c.id)
		b = append(b, ' ')
		b = t.writer.appendText(b, c.description)
		b = append(b, ' ')
		b = AppendString(b, t.names[n.encoding.from:n.encoding.to])
	}
	n.head.to = len(b)
	if n.kind == multipartNode {
		b = appendParameters(b, m.params)
	} else {
		b = t.writer.appendText(b, c.md5)
	}
	b = append(b, ' ')
	b = appendDisposition(b, c.disposition)
	b = append(b, ' ')
	b = appendLanguages(b, c.language)
	b = append(b, ' ')
	b = t.writer.appendText(b, c.location)
	n.ext = span{n.head.to, len(b)}
	t.details = b
}

// describePlain describes a part that has no header of its own.
func (t *tree) describePlain(n *node, encoding string) {
	m := plainType()
	n.kind = textNode
	t.content = contentFields{encoding: []byte(encoding)}
	t.name(n, &m)
	t.describePart(n, &m)
}

// appendParameters appends a parenthesized list of names and values, or NIL.
func appendParameters(b []byte, params []parameter) []byte {
	if len(params) == 0 {
		return append(b, "NIL"...)
	}
	for i, p := range params {
		if i == 0 {
			b = append(b, '(')
		} else {
			b = append(b, ' ')
		}
		b = AppendString(b, p.name)
		b = append(b, ' ')
		b = AppendString(b, p.value)
	}
	return append(b, ')')
}

// appendDisposition appends a Content-Disposition (RFC 2183), or NIL.
func appendDisposition(b, body []byte) []byte {
	kind, rest := mediaToken(skipSpace(body))
	if len(kind) == 0 {
		return append(b, "NIL"...)
	}
	b = append(b, '(')
	b = AppendString(b, kind)
	b = append(b, ' ')
	b = appendParameters(b, parseParameters(rest))
	return append(b, ')')
}

// maxLanguages bounds a Content-Language list.
const maxLanguages = 32

// appendLanguages appends a Content-Language (RFC 3282): a string, a list of
// them, or NIL.
func appendLanguages(b, body []byte) []byte {
	var tags [][]byte
	for len(body) > 0 && len(tags) < maxLanguages {
		var tag []byte
		tag, body, _ = bytes.Cut(body, []byte{','})
		if tag, _ = mediaToken(skipSpace(tag)); len(tag) > 0 {
			tags = append(tags, slices.Clone(tag))
		}
	}
	switch len(tags) {
	case 0:
		return append(b, "NIL"...)
	case 1:
		return AppendString(b, tags[0])
	}
	for i, tag := range tags {
		if i == 0 {
			b = append(b, '(')
		} else {
			b = append(b, ' ')
		}
		b = AppendString(b, tag)
	}
	return append(b, ')')
}
