package imap

import (
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"

	"tripost/store"
)

// keyKind says how a search key is decided, and by that how dear it is.
type keyKind uint8

const (
	keyAll     keyKind = iota
	keyNot             // of keys[0]
	keyOr              // of keys[0] and keys[1]
	keyAnd             // of all keys
	keySet             // sequence number or UID in seqs
	keyFlag            // all bits of flag set
	keyWord            // keyword text set
	keyRecent          // \Recent in this session
	keyBefore          // day of the internal date < day
	keyOn              // = day
	keySince           // >= day
	keyLarger          // octets > size
	keySmaller         // octets < size

	keySentBefore // from here on the stored record is needed
	keySentOn
	keySentSince
	keyField // of header field field, text

	keyBody // from here on the message's octets are needed, if the record does not decide
	keyText
)

// searchKey is a node of the tree that a SEARCH asks for. RFC 3501 section 6.4.4.
type searchKey struct {
	kind   keyKind
	keys   []*searchKey
	set    []numRange // keySet: as written; resolved into seqs before the search
	uid    bool       // the set is of UIDs
	seqs   seqSet
	flag   store.Flags
	day    int64 // days since 1 January 1970
	size   int64
	field  string // lower case
	text   string // keyword as written; needle folded
	needle int    // index among the needles of the search, for keyField, keyBody and keyText
}

// searchParser builds the tree within limits.
type searchParser struct {
	*parser
	charset encoding.Encoding // nil: UTF-8
	keys    int               // still allowed
	depth   int               // still allowed
	ranges  int               // of one set
}

// badCharset answers a CHARSET that is not known, RFC 3501 section 6.4.4.
var badCharset = completion{status: "NO", code: "BADCHARSET (US-ASCII UTF-8)", text: "Unknown charset"}

// searchProgram consumes the arguments of SEARCH: an optional charset and the
// keys, all of which must match.
func (p *parser) searchProgram(l Limits) (*searchKey, error) {
	sp := searchParser{parser: p, keys: l.SearchKeys, depth: l.SearchDepth, ranges: l.SetRanges}
	p.space()
	if p.acceptWord("CHARSET") {
		p.space()
		name := string(p.astring())
		p.space()
		if p.err == nil && !sp.use(name) {
			return nil, refuse(badCharset)
		}
	}
	root := &searchKey{kind: keyAnd}
	for {
		root.keys = append(root.keys, sp.key())
		if p.err != nil || !p.more() {
			return root, p.end()
		}
		p.space()
	}
}

// use takes the charset of the strings to come.
func (p *searchParser) use(name string) bool {
	switch strings.ToUpper(name) {
	case "UTF-8", "US-ASCII":
		return true
	}
	charset, err := htmlindex.Get(name)
	p.charset = charset
	return err == nil
}

// simpleKeys are the keys without arguments.
var simpleKeys = map[string]searchKey{
	"ALL":      {kind: keyAll},
	"ANSWERED": {kind: keyFlag, flag: store.FlagAnswered},
	"DELETED":  {kind: keyFlag, flag: store.FlagDeleted},
	"DRAFT":    {kind: keyFlag, flag: store.FlagDraft},
	"FLAGGED":  {kind: keyFlag, flag: store.FlagFlagged},
	"SEEN":     {kind: keyFlag, flag: store.FlagSeen},
	"RECENT":   {kind: keyRecent},
}

// negatedKeys are those that are the opposite of another.
var negatedKeys = map[string]string{
	"UNANSWERED": "ANSWERED", "UNDELETED": "DELETED", "UNDRAFT": "DRAFT", "UNFLAGGED": "FLAGGED",
	"UNSEEN": "SEEN", "OLD": "RECENT",
}

var dateKeys = map[string]keyKind{
	"BEFORE": keyBefore, "ON": keyOn, "SINCE": keySince,
	"SENTBEFORE": keySentBefore, "SENTON": keySentOn, "SENTSINCE": keySentSince,
}

var fieldKeys = map[string]string{"BCC": "bcc", "CC": "cc", "FROM": "from", "SUBJECT": "subject", "TO": "to"}

// key consumes one search key.
func (p *searchParser) key() *searchKey {
	if p.keys--; p.keys < 0 {
		p.limit("Too many search keys")
	}
	if p.depth--; p.depth < 0 {
		p.limit("Search keys are nested too deeply")
	}
	defer func() { p.depth++ }()
	switch c := p.peek(); {
	case p.err != nil:
		return nil
	case c == '(':
		and := &searchKey{kind: keyAnd}
		p.list(false, func() { and.keys = append(and.keys, p.key()) })
		return and
	case c == '*', '0' <= c && c <= '9':
		return &searchKey{kind: keySet, set: p.set(p.ranges)}
	}
	return p.named(p.word())
}

// named consumes the arguments of a key, if it has some.
func (p *searchParser) named(name string) *searchKey {
	if k, found := simpleKeys[name]; found {
		return &k
	}
	if of, found := negatedKeys[name]; found {
		k := simpleKeys[of]
		return negated(&k)
	}
	if p.err == nil && name == "NEW" {
		recent, seen := simpleKeys["RECENT"], simpleKeys["SEEN"]
		return &searchKey{kind: keyAnd, keys: []*searchKey{&recent, negated(&seen)}}
	}
	if kind, found := dateKeys[name]; found {
		p.space()
		return &searchKey{kind: kind, day: p.date()}
	}
	if field, found := fieldKeys[name]; found {
		p.space()
		return p.needle(searchKey{kind: keyField, field: field})
	}
	return p.otherKey(name)
}

func negated(k *searchKey) *searchKey { return &searchKey{kind: keyNot, keys: []*searchKey{k}} }

func (p *searchParser) otherKey(name string) *searchKey {
	switch name {
	case "NOT":
		p.space()
		return negated(p.key())
	case "OR":
		p.space()
		a := p.key()
		p.space()
		return &searchKey{kind: keyOr, keys: []*searchKey{a, p.key()}}
	case "UID":
		p.space()
		return &searchKey{kind: keySet, uid: true, set: p.set(p.ranges)}
	case "KEYWORD":
		p.space()
		return &searchKey{kind: keyWord, text: string(p.atom())}
	case "UNKEYWORD":
		p.space()
		return negated(&searchKey{kind: keyWord, text: string(p.atom())})
	case "LARGER":
		p.space()
		return &searchKey{kind: keyLarger, size: int64(p.number())}
	case "SMALLER":
		p.space()
		return &searchKey{kind: keySmaller, size: int64(p.number())}
	case "HEADER":
		p.space()
		field := strings.ToLower(string(p.astring()))
		p.space()
		return p.needle(searchKey{kind: keyField, field: field})
	case "BODY":
		p.space()
		return p.needle(searchKey{kind: keyBody})
	case "TEXT":
		p.space()
		return p.needle(searchKey{kind: keyText})
	}
	p.fail("Unknown search key")
	return nil
}

// needle consumes the string that a key looks for, and folds it.
func (p *searchParser) needle(k searchKey) *searchKey {
	raw := p.astring()
	if p.charset != nil {
		decoded, err := p.charset.NewDecoder().Bytes(raw)
		if err != nil {
			p.fail("The string is not of the charset named")
		}
		raw = decoded
	} else if !utf8.Valid(raw) {
		p.fail("The string is not UTF-8")
	}
	k.text = string(appendFolded(nil, raw))
	return &k
}

// date consumes a date such as 1-Feb-1994, quoted or not, and returns its day.
func (p *parser) date() int64 {
	t, err := time.Parse("2-Jan-2006", string(p.astring()))
	if err != nil {
		p.fail("Expected a date such as 1-Feb-1994")
		return 0
	}
	return t.Unix() / secondsOfDay
}

const secondsOfDay = 24 * 60 * 60
