package router

import "strings"

// record is one record of the table: what it is for, and what it makes of it.
type record struct {
	line     int // in the table's text, from 1
	left     pattern
	right    target
	relay    relaying
	mail     bool // it is for recipients
	login    bool // it is for login names
	fallback bool // a default record
	name     string
}

// pattern is the left side of a record. One asterisk stands for any text, also
// for none.
type pattern struct {
	account bool   // in angle brackets: for addresses; else for domains
	local   string // lower case, without quotes
	domain  string // lower case, A-labels; "" in an account pattern is the Main Domain
}

// target is the right side of a record. An asterisk stands for what the one on
// the left stood for.
type target struct {
	act    action
	local  string // of an account pattern, without quotes
	domain string // "" is the Main Domain

	// Of sendTo: the address for the other host, where it is not the one that
	// the record is applied to.
	inner address
}

// action is what a record does.
type action uint8

const (
	rewriteTo action = iota // the address becomes the right side
	sendTo                  // it is sent to the host that the right side names
	failAs                  // error: it is refused as unknown
	discardAs               // null: it is accepted and thrown away
	trapAs                  // spamtrap: the whole message is refused
)

// words are the right sides that are no addresses.
var words = map[string]action{"error": failAs, "null": discardAs, "spamtrap": trapAs}

// word is the inverse of words.
func (a action) word() string {
	for word, act := range words {
		if act == a {
			return word
		}
	}
	return ""
}

// relaying says whether strangers may send to other hosts by way of a record.
type relaying uint8

const (
	relayDefault relaying = iota // no prefix: as relaySimple, but not by a record for all the world
	relaySimple                  // Relay: if the address that they gave was a simple one
	relayNone                    // NoRelay: never
	relayAll                     // RelayAll: always
)

// opens reports whether the record lets a stranger send to another host. simple
// says that the address as he gave it holds no other address.
func (r *record) opens(simple bool) bool {
	switch r.relay {
	case relayAll:
		return true
	case relayNone:
		return false
	case relaySimple:
		return simple
	}
	return simple && !r.fallback && !r.broad()
}

// broad tells records that are for domains of many owners, or lead to them: one
// that lets strangers relay to all of these must say so.
func (r *record) broad() bool {
	return broad(r.left.domain) || broad(r.right.domain) || broad(r.right.inner.domain)
}

// broad tells patterns such as "*.com", which fit domains of many owners.
func broad(domain string) bool {
	_, after, ok := strings.Cut(strings.TrimSuffix(domain, "._via"), "*")
	return ok && !strings.Contains(strings.Trim(after, "."), ".")
}

// text is what the pattern is compared with, see [finder].
func (p pattern) text() string {
	if p.account {
		return p.local + "@" + p.domain
	}
	return p.domain
}

// String writes the pattern as it stands in the table.
func (p pattern) String() string {
	if p.account {
		return "<" + address{local: p.local, domain: p.domain}.String() + ">"
	}
	return p.domain
}

// String writes the right side as it stands in the table.
func (t target) String() string {
	if word := t.act.word(); word != "" {
		return word
	}
	if t.local == "" {
		return t.domain
	}
	if _, reserved := words[strings.ToLower(t.local)]; reserved && t.domain == "" {
		return quote(t.local)
	}
	return address{local: t.local, domain: t.domain}.String()
}

// String writes the record in its one canonical form.
func (r *record) String() string {
	var b strings.Builder
	if r.fallback && !r.left.everyDomain() {
		b.WriteString("Default: ")
	}
	if r.mail != r.login {
		b.WriteString(map[bool]string{true: "Mail: ", false: "Access: "}[r.mail])
	}
	b.WriteString(map[relaying]string{relaySimple: "Relay: ", relayNone: "NoRelay: ", relayAll: "RelayAll: "}[r.relay])
	b.WriteString(r.left.String() + " =")
	if right := r.right.String(); right != "" {
		b.WriteString(" " + right)
	}
	return b.String()
}

// everyDomain tells the pattern that fits every domain, which makes a record a
// default record.
func (p pattern) everyDomain() bool { return !p.account && p.domain == "*" }
