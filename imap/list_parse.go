package imap

import (
	"slices"
	"strings"
)

// listRequest is what a LIST asks for, RFC 5258.
type listRequest struct {
	extended bool // in form; an empty pattern then means nothing

	// What is selected: all names, or those for which each of these holds.
	subscribed bool
	specialUse bool
	recursive  bool // also names above selected ones

	reference string
	patterns  []listPattern

	// What is told of them besides.
	tellSubscribed bool
	tellRights     bool     // RFC 8440
	metadata       []string // entries that are told of each mailbox, RFC 9590
	status         []string // items; RFC 5819
}

// listPattern is a pattern, apart from the account that it names.
type listPattern struct {
	text  string // as it was given
	owner string // "~boss/", or "" for the user's own
	rest  *pattern
}

// maxListPatterns bounds the patterns of one LIST.
const maxListPatterns = 100

// listRequest consumes the arguments of LIST, whose patterns may have limit octets
// together.
func (p *parser) listRequest(limit int) listRequest {
	var r listRequest
	p.space()
	if p.peek() == '(' {
		r.extended = true
		p.listSelection(&r)
		p.space()
	}
	r.reference = p.name(p.astring())
	limit -= len(r.reference)
	p.space()
	if p.peek() == '(' {
		r.extended = true
		p.list(false, func() { p.listPattern(&r, &limit) })
	} else {
		p.listPattern(&r, &limit)
	}
	if p.accept(' ') {
		r.extended = true
		if p.word() != "RETURN" {
			p.fail("Expected RETURN")
		}
		p.space()
		p.listReturns(&r)
	}
	return r
}

// listSelection consumes the selection options, RFC 5258 section 3.1 and RFC 6154
// section 5.2.
func (p *parser) listSelection(r *listRequest) {
	p.list(true, func() {
		switch p.word() {
		case "SUBSCRIBED":
			r.subscribed, r.tellSubscribed = true, true
		case "SPECIAL-USE":
			r.specialUse = true
		case "RECURSIVEMATCH":
			r.recursive = true
		case "REMOTE": // all mailboxes are here
		default:
			p.fail("Unknown selection option")
		}
	})
	if p.err == nil && r.recursive && !r.subscribed && !r.specialUse {
		p.fail("RECURSIVEMATCH needs another selection option")
	}
}

// listPattern consumes a pattern and joins it to the reference.
func (p *parser) listPattern(r *listRequest, limit *int) {
	raw := p.listMailbox()
	text := p.name(raw)
	if *limit -= len(raw); *limit < 0 || len(r.patterns) == maxListPatterns {
		p.limit("Patterns too long, or too many")
	}
	if p.err != nil || r.extended && text == "" {
		return
	}
	owner, rest := foreign(joinReference(r.reference, text))
	r.patterns = append(r.patterns, listPattern{text, owner, newPattern(rest)})
}

// maxListEntries bounds the metadata entries that one LIST asks for.
const maxListEntries = 50

// listReturns consumes the return options, RFC 5258 section 3.2.
func (p *parser) listReturns(r *listRequest) {
	p.list(true, func() {
		switch p.word() {
		case "SUBSCRIBED":
			r.tellSubscribed = true
		case "CHILDREN", "SPECIAL-USE": // told always
		case "MYRIGHTS":
			r.tellRights = true
		case "METADATA":
			p.space()
			r.metadata = p.entryNames(maxListEntries)
		case "STATUS":
			p.space()
			r.status = p.statusItems()
		default:
			p.fail("Unknown return option")
		}
	})
}

// root tells whether the request is only for the hierarchy delimiter.
func (r *listRequest) root() bool {
	return !r.extended && r.patterns[0].text == ""
}

// owners lists the accounts that the patterns name.
func (r *listRequest) owners() []string {
	var list []string
	for _, p := range r.patterns {
		if !slices.Contains(list, p.owner) {
			list = append(list, p.owner)
		}
	}
	return list
}

// matches tells whether a name matches one of the patterns. Another account's
// mailbox matches those that name the account, and others only as a name on the
// user's own list.
func (r *listRequest) matches(name string, listed bool) bool {
	owner, rest := foreign(name)
	for _, p := range r.patterns {
		switch {
		case p.owner != "" && p.owner == owner && p.rest.match(rest):
			return true
		case p.owner == "" && (owner == "" || listed) && p.rest.match(name):
			return true
		}
	}
	return false
}

// criteria are the selection options as CHILDINFO names them.
func (r *listRequest) criteria() string {
	var list []string
	if r.subscribed {
		list = append(list, `"SUBSCRIBED"`)
	}
	if r.specialUse {
		list = append(list, `"SPECIAL-USE"`)
	}
	return strings.Join(list, " ")
}
