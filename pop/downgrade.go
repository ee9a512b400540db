package pop

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"tripost/message"
)

// downgrade returns a header, of a message or of one of its parts, in which the
// fields that RFC 6532 allows to be in UTF-8 are in ASCII, for clients that know
// RFC 5322 alone. Fields in ASCII, and those in no proper UTF-8, which are not
// RFC 6532's but damaged, stay octet for octet.
//
// It follows RFC 6857: text becomes encoded words (section 3.1.3), parameters
// the form of RFC 2231, an address that has no ASCII form an empty group named
// after it, and an identifier, which must not be taken for another, moves to a
// field with "Downgraded-" before its name (section 3.2).
func downgrade(header []byte) []byte {
	out := make([]byte, 0, len(header)+len(header)/2)
	rest := header
	for _, f := range message.Fields(header) {
		rest = rest[len(f.Raw):]
		if isASCIIBytes(f.Raw) || len(f.Name) == 0 || !utf8.Valid(f.Raw) {
			out = append(out, f.Raw...)
			continue
		}
		out = appendDowngraded(out, f)
	}
	return append(out, rest...)
}

// fieldKind says which rule a field goes by.
type fieldKind byte

const (
	freeText   fieldKind = iota // unstructured, and what is not known
	addresses                   // an address list
	identifier                  // what other fields refer to
	parameters                  // a value with MIME parameters
	structured                  // only comments can be in UTF-8
	trace                       // Received
)

func kindOf(name string) fieldKind {
	switch strings.ToLower(name) {
	case "from", "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-sender", "resent-reply-to",
		"resent-to", "resent-cc", "resent-bcc", "disposition-notification-to":
		return addresses
	case "message-id", "resent-message-id", "in-reply-to", "references", "original-recipient", "final-recipient",
		"return-path":
		return identifier
	case "content-type", "content-disposition":
		return parameters
	case "date", "resent-date", "mime-version", "content-transfer-encoding", "content-id", "content-language",
		"content-location", "content-md5":
		return structured
	case "received":
		return trace
	}
	return freeText
}

// appendDowngraded appends one field in ASCII, with the line end it had.
func appendDowngraded(b []byte, f message.Field) []byte {
	name, value := string(f.Name), f.Value()
	end := lineEnd(f.Raw)
	l := foldedLine{b: b}
	switch kindOf(name) {
	case addresses:
		l.name(name)
		l.addressList(value)
	case identifier:
		l.name("Downgraded-" + name)
		l.text(value)
	case parameters:
		l.name(name)
		l.parameterList(value)
	case structured:
		l.name(name)
		l.comments(value)
	case trace:
		l.name(name)
		l.comments(withoutFor(value))
	default:
		l.name(name)
		l.text(value)
	}
	return append(l.b, end...)
}

// lineEnd returns how a field's last line ends: CRLF, LF, or not at all.
func lineEnd(raw []byte) string {
	switch {
	case bytes.HasSuffix(raw, []byte("\r\n")):
		return "\r\n"
	case bytes.HasSuffix(raw, []byte("\n")):
		return "\n"
	}
	return ""
}

// withoutFor takes the FOR clause out of a Received field: it can hold an
// address in UTF-8 (RFC 6857 section 3.2.3).
func withoutFor(value string) string {
	words := strings.Fields(value)
	depth := 0
	for i := 0; i+1 < len(words); i++ {
		if depth == 0 && strings.EqualFold(words[i], "for") && !isASCII(words[i+1]) {
			date := ""
			if strings.HasSuffix(words[i+1], ";") {
				date = ";"
			}
			return strings.TrimRight(strings.Join(words[:i], " ")+date+" "+strings.Join(words[i+2:], " "), " ")
		}
		depth += strings.Count(words[i], "(") - strings.Count(words[i], ")")
	}
	return value
}

func isASCIIBytes(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
