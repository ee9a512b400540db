package message

// Summary is what one pass over a message found.
type Summary struct {
	Size       int64 // octets of the message
	HeaderSize int64 // octets of the header with the empty line after it
	Lines      int64 // lines of the message; a last one without a line end counts
	BodyLines  int64 // lines after the header

	Dots           bool // a line begins with a dot: protocols that end with a dot must stuff it
	EightBit       bool // an octet above 127 occurs
	NUL            bool // an octet 0 occurs
	BareLF         bool // a line ends with LF alone
	HeaderEightBit bool // so it does in a header: the message's, a part's or that of a message inside
	International  bool // it was submitted as internationalized mail (RFC 6531): set by who took it in, not found by the scan
	NoFinalCRLF    bool // the last line has no line end, or LF alone; not set for no octets at all

	Digest [32]byte // SHA-256 of the octets

	// IMAP values of RFC 9051 section 7.5.2, ready to send, literals included.
	Envelope      []byte
	BodyStructure []byte // with extension data
	Body          []byte // without

	// Parts are the MIME parts in order of appearance, parents before children.
	// Parts[0] is the message itself.
	Parts []Part

	// Decoded to UTF-8 for SORT, SEARCH and THREAD: folding and encoded words
	// gone, at most 8 KiB each. Fields that came more than once are joined with
	// commas.
	Subject, From, To, Cc, Bcc string

	// FromMailbox, ToMailbox and CcMailbox are the local parts of the first
	// address of their fields: the keys of SORT (RFC 5256 section 3).
	FromMailbox, ToMailbox, CcMailbox string
	// FromDisplay and ToDisplay are the first address' name, or the address when
	// it has none: the keys of SORT=DISPLAY (RFC 5957).
	FromDisplay, ToDisplay string

	Date int64 // the Date field in Unix seconds; 0 when there is none to be read
	Zone int   // its zone, in minutes east of UTC: SENTON goes by the date as written

	MessageID  string   // with its angle brackets; what stands there when it has none
	InReplyTo  string   // the first identifier of In-Reply-To, in angle brackets
	References []string // identifiers in angle brackets, at most 200: the first and the last ones

	// FieldNames are the names of the fields in the message's header.
	FieldNames FieldNames

	// Kept are the values of the field that [Limits.Keep] names, unfolded, as
	// often as it stands in the message's header, at most 256 times. They are not
	// part of the [Record].
	Kept []string
}

// Part is the place of a MIME part in the message, and what is needed to read
// its text. Offsets are octets from the start of the message.
type Part struct {
	// Path is the part number of RFC 9051 section 6.4.5.1: BODY[1.2] is {1, 2},
	// empty for the message. A message inside a message/rfc822 part has the path
	// of that part and Message set.
	Path []uint16

	Header int64 // where its header begins
	Body   int64 // where its body begins: after the empty line
	End    int64 // where it ends; the line end before a boundary is not part of it

	Message   bool   // this is the message inside a message/rfc822 part, or the message itself
	Multipart bool   // it has parts of its own
	Encoding  string // content-transfer-encoding in lower case; "7bit" when none is given
	Type      string // as the structure has it, lower case: "text/plain"
	Charset   string // lower case; empty when none is given
}
