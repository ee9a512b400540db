package message

// Limits bound what a [Scanner] looks at and keeps. What lies beyond is stored
// and served all the same; the structure stops there. Fields that are zero or
// negative take the default.
type Limits struct {
	Header int // octets of one header block looked at; default 256 KiB
	Parts  int // MIME parts, messages inside messages counted; default 1,000, at most 60,000
	Depth  int // nesting of multiparts and messages; default 50, at most 500

	Keep string // name of a field of the message's header that goes to [Summary.Kept]; empty: none
}

// Defaults of [Limits], and the most that may be asked for: a part number is
// kept in 16 bits, and structures are written by recursion.
const (
	defaultHeader = 256 << 10
	defaultParts  = 1000
	defaultDepth  = 50
	maxParts      = 60000
	maxDepth      = 500
)

// Bounds that are not worth a setting: real mail stays far below them.
const (
	maxBoundary   = 8 << 10   // octets; RFC 2046 section 5.1.1 allows 70
	maxMediaToken = 127       // octets of a type or subtype, RFC 6838 section 4.2
	maxParameters = 128       // parameters of one field, each continuation counted
	maxAuthors    = 256       // addresses of From, Sender and Reply-To in an ENVELOPE
	maxRecipients = 4096      // addresses of To, Cc and Bcc in an ENVELOPE
	maxWords      = 1000      // words of one address with its name
	maxDetails    = 512 << 10 // octets of parameters, identifiers and inner ENVELOPEs in a structure
	maxText       = 8 << 10   // octets of a decoded field
	maxReferences = 200       // message identifiers of References
	maxMessageID  = 998       // octets of a message identifier: a line, RFC 5322 section 2.1.1
	maxKept       = 256       // occurrences of the field of [Limits.Keep]
)

func (l Limits) withDefaults() Limits {
	return Limits{
		Header: limit(l.Header, defaultHeader, 1<<30),
		Parts:  limit(l.Parts, defaultParts, maxParts),
		Depth:  limit(l.Depth, defaultDepth, maxDepth),
		Keep:   l.Keep,
	}
}

func limit(n, unset, most int) int {
	if n <= 0 {
		return unset
	}
	return min(n, most)
}
