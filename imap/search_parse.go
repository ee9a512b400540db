package imap

import (
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"

	"tripost/imap/search"
	"tripost/message"
	"tripost/store"
)

// searchTerms are what a search program is read with.
type searchTerms struct {
	limits Limits
	now    time.Time
	saved  store.UIDSet // what "$" stands for,
	in     *store.View  // in this mailbox; in others it is nothing
}

func (s *session) searchTerms() searchTerms {
	return searchTerms{s.srv.cfg.Limits, s.srv.cfg.Store.Now(), s.saved, s.view}
}

// searchParser builds the tree of keys within limits.
type searchParser struct {
	*parser
	searchTerms
	charset encoding.Encoding // nil: UTF-8
	keys    int               // still allowed
	depth   int               // still allowed
	fuzzy   bool              // strings are matched fuzzily
	scored  bool              // there was a fuzzy key
	words   int               // of fuzzy keys
}

// badCharset answers a CHARSET that is not known, RFC 3501 section 6.4.4.
var badCharset = completion{status: "NO", code: "BADCHARSET (US-ASCII UTF-8)", text: "Unknown charset"}

// searchProgram consumes the rest of SEARCH: an optional charset and the keys, all
// of which must match.
func (p *parser) searchProgram(terms searchTerms) (*search.Key, error) {
	sp := p.searching(terms)
	p.space()
	if p.acceptWord("CHARSET") {
		p.space()
		if err := sp.use(); err != nil {
			return nil, err
		}
		p.space()
	}
	return sp.program()
}

// charsetProgram consumes what SORT and THREAD end in: a charset, which must be
// there, and the keys. RFC 5256 section 5, search-criteria.
func (p *parser) charsetProgram(terms searchTerms) (*search.Key, error) {
	sp := p.searching(terms)
	p.space()
	if err := sp.use(); err != nil {
		return nil, err
	}
	p.space()
	return sp.program()
}

func (p *parser) searching(terms searchTerms) *searchParser {
	return &searchParser{parser: p, searchTerms: terms, keys: terms.limits.SearchKeys, depth: terms.limits.SearchDepth}
}

// program consumes keys to the end of the command.
func (p *searchParser) program() (*search.Key, error) {
	root := &search.Key{Kind: search.And}
	for {
		root.Keys = append(root.Keys, p.key())
		if p.err != nil || !p.more() {
			root.Scored = p.scored
			return root, p.end()
		}
		p.space()
	}
}

// use consumes the charset of the strings to come.
func (p *searchParser) use() error {
	name := string(p.astring())
	if p.err != nil {
		return p.err
	}
	switch strings.ToUpper(name) {
	case "UTF-8", "US-ASCII":
		return nil
	}
	charset, err := htmlindex.Get(name)
	if err != nil {
		return refuse(badCharset)
	}
	p.charset = charset
	return nil
}

// simpleKeys are the keys without arguments.
var simpleKeys = map[string]search.Key{
	"ALL":      {Kind: search.All},
	"ANSWERED": {Kind: search.Flag, Flags: store.FlagAnswered},
	"DELETED":  {Kind: search.Flag, Flags: store.FlagDeleted},
	"DRAFT":    {Kind: search.Flag, Flags: store.FlagDraft},
	"FLAGGED":  {Kind: search.Flag, Flags: store.FlagFlagged},
	"SEEN":     {Kind: search.Flag, Flags: store.FlagSeen},
	"RECENT":   {Kind: search.Recent},

	"SAVEDATESUPPORTED": {Kind: search.All}, // RFC 8514 section 4.3: of every mailbox here
}

// negatedKeys are those that are the opposite of another.
var negatedKeys = map[string]string{
	"UNANSWERED": "ANSWERED", "UNDELETED": "DELETED", "UNDRAFT": "DRAFT", "UNFLAGGED": "FLAGGED",
	"UNSEEN": "SEEN", "OLD": "RECENT",
}

var dateKeys = map[string]search.Kind{
	"BEFORE": search.Before, "ON": search.On, "SINCE": search.Since,
	"SENTBEFORE": search.SentBefore, "SENTON": search.SentOn, "SENTSINCE": search.SentSince,
	"SAVEDBEFORE": search.SavedBefore, "SAVEDON": search.SavedOn, "SAVEDSINCE": search.SavedSince, // RFC 8514
}

var fieldKeys = map[string]string{"BCC": "bcc", "CC": "cc", "FROM": "from", "SUBJECT": "subject", "TO": "to"}

// key consumes one search key.
func (p *searchParser) key() *search.Key {
	if p.keys--; p.keys < 0 {
		p.limit("Too many search keys")
	}
	if p.depth--; p.depth < 0 {
		p.limit("Search keys are nested too deeply")
	}
	defer func() { p.depth++ }()
	switch c := p.peek(); {
	case p.err != nil:
		return new(search.Key)
	case c == '(':
		and := &search.Key{Kind: search.And}
		p.list(false, func() { and.Keys = append(and.Keys, p.key()) })
		return and
	case c == '*', c == '$', '0' <= c && c <= '9':
		if c != '$' {
			p.numbered()
		}
		return p.among(false)
	}
	return p.named(p.word())
}

// among consumes a set and makes it a key.
func (p *searchParser) among(uid bool) *search.Key {
	set, saved, in := p.set(p.limits.SetRanges), p.saved, p.in
	return &search.Key{Kind: search.Among, Resolve: func(m search.Mailbox) func(int) bool {
		var q seqSet
		switch {
		case isSaved(set) && m != in:
		case isSaved(set):
			q = resolveSaved(saved, m)
		case uid:
			q = resolveUIDs(set, m)
		default:
			q, _ = resolveSeqs(set, m.Len(), false)
		}
		return q.contains
	}}
}

// named consumes the arguments of a key, if it has some.
func (p *searchParser) named(name string) *search.Key {
	if k, found := simpleKeys[name]; found {
		return &k
	}
	if of, found := negatedKeys[name]; found {
		k := simpleKeys[of]
		return search.Negated(&k)
	}
	if p.err == nil && name == "NEW" {
		recent, seen := simpleKeys["RECENT"], simpleKeys["SEEN"]
		return &search.Key{Kind: search.And, Keys: []*search.Key{&recent, search.Negated(&seen)}}
	}
	if kind, found := dateKeys[name]; found {
		p.space()
		return &search.Key{Kind: kind, N: p.date()}
	}
	if field, found := fieldKeys[name]; found {
		p.space()
		return p.needle(search.Key{Kind: search.Field, Field: field})
	}
	return p.otherKey(name)
}

func (p *searchParser) otherKey(name string) *search.Key {
	switch name {
	case "NOT", "OR", "FUZZY", "UID", "KEYWORD", "UNKEYWORD", "LARGER", "SMALLER", "OLDER", "YOUNGER",
		"HEADER", "BODY", "TEXT", "MODSEQ", "EMAILID", "THREADID", "UIDAFTER", "UIDBEFORE":
		p.space()
	default:
		p.fail("Unknown search key")
		return new(search.Key)
	}
	switch name {
	case "NOT":
		return search.Negated(p.key())
	case "FUZZY":
		return p.fuzzyKey()
	case "OR":
		a := p.key()
		p.space()
		return &search.Key{Kind: search.Or, Keys: []*search.Key{a, p.key()}}
	case "UID":
		return p.among(true)
	case "KEYWORD":
		return &search.Key{Kind: search.Keyword, Text: string(p.atom())}
	case "UNKEYWORD":
		return search.Negated(&search.Key{Kind: search.Keyword, Text: string(p.atom())})
	case "LARGER":
		return &search.Key{Kind: search.Larger, N: p.number64()}
	case "SMALLER":
		return &search.Key{Kind: search.Smaller, N: p.number64()}
	case "OLDER":
		return &search.Key{Kind: search.Older, N: p.within()}
	case "YOUNGER":
		return &search.Key{Kind: search.Younger, N: p.within()}
	case "HEADER":
		field := strings.ToLower(string(p.astring()))
		p.space()
		return p.needle(search.Key{Kind: search.Field, Field: field})
	case "BODY":
		return p.needle(search.Key{Kind: search.Body})
	case "TEXT":
		return p.needle(search.Key{Kind: search.Text})
	case "EMAILID":
		return p.idKey(emailID)
	case "THREADID":
		return p.idKey(threadID)
	case "UIDAFTER", "UIDBEFORE":
		return p.beyond(name == "UIDAFTER")
	}
	return p.modSeqKey()
}

// within consumes an interval in seconds and returns the time so long ago.
// RFC 5032.
func (p *searchParser) within() int64 {
	n := p.number()
	if n == 0 {
		p.fail("Expected a number of seconds above zero")
	}
	return p.now.Unix() - int64(n)
}

// modSeqKey consumes the arguments of MODSEQ: perhaps the name of a flag's entry and
// whose it is, which we need not look at since a message has one modseq for all,
// and the modseq. RFC 7162 section 3.1.5.
func (p *searchParser) modSeqKey() *search.Key {
	if p.peek() == '"' {
		if entry := string(p.quoted()); p.err == nil && !strings.HasPrefix(strings.ToLower(entry), "/flags/") {
			p.fail("Expected an entry name that begins with /flags/")
		}
		p.space()
		switch p.word() {
		case "PRIV", "SHARED", "ALL":
		default:
			p.fail("Expected priv, shared or all")
		}
		p.space()
	}
	return &search.Key{Kind: search.ModSeq, N: p.number64()}
}

// idKey consumes an object identifier that a message must have. RFC 8474 section 6.
func (p *searchParser) idKey(of func(message.Record) string) *search.Key {
	id := string(p.astring())
	return &search.Key{Kind: search.InRecord, Record: func(r message.Record) bool { return id != "" && of(r) == id }}
}

// needle consumes the string that a key looks for.
func (p *searchParser) needle(k search.Key) *search.Key {
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
	if len(raw) > p.limits.SearchText {
		p.limit("The string to be found is too long")
	}
	k.Text = string(raw)
	if p.fuzzy {
		p.loosen(&k)
	}
	return &k
}

// date consumes a date such as 1-Feb-1994, quoted or not, and returns its day.
func (p *parser) date() int64 {
	t, err := time.Parse("2-Jan-2006", string(p.astring()))
	if err != nil {
		p.fail("Expected a date such as 1-Feb-1994")
		return 0
	}
	return search.Day(t)
}
