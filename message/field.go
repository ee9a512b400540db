package message

import "bytes"

// Field is one header field as it stands in the message.
type Field struct {
	// Name is the field's name as written. It is empty for what is no field: a
	// line without a colon, or a continuation line that continues nothing.
	Name []byte
	// Raw is the whole field: name, colon, value with its folding, line end.
	Raw []byte
}

// Is reports whether the field has the given name, in any case.
func (f Field) Is(name string) bool {
	return len(f.Name) == len(name) && bytes.EqualFold(f.Name, []byte(name))
}

// Value returns the field's value unfolded (RFC 5322 section 2.2.3: line ends
// removed, the white space after them kept) and without white space at its ends.
func (f Field) Value() string {
	return string(appendUnfolded(nil, f.body()))
}

// body is what stands after the colon, folding included.
func (f Field) body() []byte {
	if len(f.Name) == 0 {
		return f.Raw
	}
	i := bytes.IndexByte(f.Raw, ':')
	return f.Raw[i+1:]
}

// Fields splits a header block into its fields. It stops at the empty line that
// ends the header, or at the end of the octets given. All octets before that
// are in the Raw of some field. The result shares memory with header.
func Fields(header []byte) []Field { return AppendFields(nil, header) }

// AppendFields appends what Fields returns.
func AppendFields(fields []Field, header []byte) []Field {
	for {
		f, rest, ok := nextField(header)
		if !ok {
			return fields
		}
		fields = append(fields, f)
		header = rest
	}
}

// nextField takes the first field off a header block; ok is false at its end.
func nextField(header []byte) (f Field, rest []byte, ok bool) {
	end := lineLength(header)
	if end == 0 || isEmptyLine(header[:end]) {
		return Field{}, nil, false
	}
	first := header[:end]
	for end < len(header) && isBlank(header[end]) {
		n := lineLength(header[end:])
		end += n
	}
	return Field{Name: fieldName(first), Raw: header[:end]}, header[end:], true
}

// lineLength counts the octets of the first line with its line end.
func lineLength(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	return len(b)
}

func isEmptyLine(line []byte) bool {
	return line[0] == '\n' || len(line) == 2 && line[0] == '\r' && line[1] == '\n'
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// fieldName returns the name that begins a line, nil when there is none. White
// space before the colon is obsolete but legal (RFC 5322 section 4.5).
func fieldName(line []byte) []byte {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return nil
	}
	name := line[:i]
	for len(name) > 0 && isBlank(name[len(name)-1]) {
		name = name[:len(name)-1]
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return nil
		}
	}
	if len(name) == 0 {
		return nil
	}
	return name
}

// appendUnfolded appends a field body without its line ends and without white
// space at its ends. A CR that ends no line stays.
func appendUnfolded(b, body []byte) []byte {
	body = trimBlank(body)
	for {
		i := bytes.IndexByte(body, '\n')
		if i < 0 {
			return append(b, body...)
		}
		line := body[:i]
		if i > 0 && line[i-1] == '\r' {
			line = line[:i-1]
		}
		b = append(b, line...)
		body = body[i+1:]
	}
}

// trimBlank cuts white space and line ends off both ends.
func trimBlank(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// NeedsUTF8 reports whether a header holds octets outside ASCII, so that the
// message may be sent on only as an internationalised one (RFC 6532, RFC 6531).
// It looks at the header alone: octets after the first empty line do not count.
func NeedsUTF8(header []byte) bool {
	for len(header) > 0 {
		n := lineLength(header)
		if isEmptyLine(header[:n]) {
			return false
		}
		if hasEightBit(header[:n]) {
			return true
		}
		header = header[n:]
	}
	return false
}
