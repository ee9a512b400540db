package imap

import (
	"strings"

	"tripost/store"
)

// catenate takes a message that is given in pieces, from behind the parenthesis.
// The pieces are texts: this server has no URLs, so one is refused as BADURL, and
// with it the command. RFC 4469 sections 3 and 5.
func (u *uploads) catenate(draft *store.Draft) error {
	p := &u.cmd.args
	for p.err == nil {
		switch {
		case p.acceptWord("TEXT"):
			p.space()
			u.announced()
			if p.err != nil {
				return p.err
			}
			if err := u.piece(draft); err != nil {
				return err
			}
		case p.acceptWord("UTF8"): // RFC 6855 section 4
			p.space()
			p.expect('(')
			u.announced()
			if p.err != nil {
				return p.err
			}
			if err := u.piece(draft); err != nil {
				return err
			}
			draft.International()
			p.expect(')')
		case p.acceptWord("URL"):
			return u.refuseURL()
		default:
			p.fail("Expected TEXT or URL")
		}
		if p.accept(')') {
			break
		}
		p.space()
	}
	if p.err == nil && draft.Size() == 0 {
		return u.admit(0)
	}
	return p.err
}

// piece reads one text, which may be empty.
func (u *uploads) piece(draft *store.Draft) error {
	if size := u.cmd.announced.size; size > 0 {
		// The sizes cannot be added up before they are known to be small.
		if err := u.admit(size); err != nil {
			return err
		}
		if err := u.admit(draft.Size() + size); err != nil {
			return err
		}
	}
	return u.s.receive(u.cmd, draft)
}

func (u *uploads) refuseURL() error {
	p := &u.cmd.args
	p.space()
	if p.peek() == '{' {
		return refuse(no("CANNOT", "There are no URLs here"))
	}
	url := string(p.astring())
	if p.err != nil {
		return p.err
	}
	return refuse(no("BADURL "+strings.ReplaceAll(oneLine(url), "]", "%5D"), "There are no URLs here"))
}
