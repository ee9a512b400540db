package imap

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tripost/accounts"
	"tripost/store"
)

// Access control lists, RFC 4314. The store's rights are those of RFC 2086: "k"
// is its "c", and "x", "t" and "e" are tied together as its "d". The virtual
// rights "c" and "d" are told beside them (section 2.1.1).

// rightsText writes rights as IMAP tells them.
func rightsText(r store.Rights) string {
	var b strings.Builder
	for _, letters := range []struct {
		right store.Rights
		text  string
	}{
		{store.RightLookup, "l"}, {store.RightRead, "r"}, {store.RightSeen, "s"}, {store.RightWrite, "w"},
		{store.RightInsert, "i"}, {store.RightPost, "p"}, {store.RightCreate, "k"}, {store.RightDelete, "xte"},
		{store.RightAdmin, "a"}, {store.RightCreate, "c"}, {store.RightDelete, "d"},
	} {
		if r&letters.right != 0 {
			b.WriteString(letters.text)
		}
	}
	return b.String()
}

// optionalRights are what anybody but the owner can be granted, tied ones
// together. RFC 4314 section 3.7.
const optionalRights = "l r s w i p k xte a c d"

// modRights consumes a change of rights. Of tied rights all have to be named to be
// granted, and one to be taken away (RFC 4314 section 2).
func (p *parser) modRights() (store.Rights, store.RightsOp) {
	text := string(p.astring())
	op := store.RightsReplace
	switch {
	case strings.HasPrefix(text, "+"):
		op, text = store.RightsAdd, text[1:]
	case strings.HasPrefix(text, "-"):
		op, text = store.RightsRemove, text[1:]
	}
	tied := ""
	for _, c := range text {
		if !strings.ContainsRune("lrswipkxteacd", c) && p.err == nil {
			p.fail("There is no right %q", c)
		}
		if strings.ContainsRune("xte", c) && !strings.ContainsRune(tied, c) {
			tied += string(c)
		}
	}
	if p.err != nil {
		return 0, op
	}
	if op != store.RightsRemove && len(tied) < len("xte") {
		text = strings.NewReplacer("x", "", "t", "", "e", "").Replace(text)
	}
	rights, err := store.ParseRights(text)
	if err != nil {
		p.fail("There is no such right")
	}
	return rights, op
}

// aclOf finds a mailbox and its list, which needs the right to administer it, and
// whose mailbox it is.
func (s *session) aclOf(ctx context.Context, name string) (ref store.MailboxRef, acl []store.ACLEntry, owner accounts.Account, err error) {
	if ref, err = s.resolve(ctx, name); err != nil {
		return ref, nil, owner, err
	}
	if acl, err = s.srv.cfg.Store.ACL(ctx, s.user, ref); err != nil {
		return ref, nil, owner, err
	}
	owner, err = s.srv.cfg.Directory.AccountByID(ctx, ref.Account)
	return ref, acl, owner, err
}

// identifier completes what a client wrote for somebody, also where it refuses the
// name because nobody has it. ofOwner says that it is the mailbox's owner, who has
// all rights always.
func (s *session) identifier(ctx context.Context, owner accounts.Account, text string) (id string, ofOwner bool, err error) {
	id, err = s.srv.cfg.Directory.Identifier(ctx, owner.Domain, text)
	switch {
	case errors.Is(err, accounts.ErrBadName), errors.Is(err, accounts.ErrBadValue):
		return "", false, refuse(bad("That is no identifier"))
	case errors.Is(err, accounts.ErrNoAccount), errors.Is(err, accounts.ErrNoGroup), errors.Is(err, accounts.ErrNoDomain):
		return id, false, refuse(no("NONEXISTENT", "Nobody here has that name"))
	}
	name := strings.TrimPrefix(id, "-")
	return id, name == "owner" || name == owner.Address(), err
}

// setACL changes the rights of one identifier. RFC 4314 section 3.1.
func (s *session) setACL(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	name := p.mailbox()
	p.space()
	who := string(p.astring())
	p.space()
	rights, op := p.modRights()
	if err := p.end(); err != nil {
		return completion{}, err
	}
	ref, _, owner, err := s.aclOf(ctx, name)
	if err != nil {
		return completion{}, err
	}
	id, ofOwner, err := s.identifier(ctx, owner, who)
	switch {
	case err != nil:
		return completion{}, err
	case ofOwner && (strings.HasPrefix(id, "-") || op == store.RightsRemove || op == store.RightsReplace && rights != store.AllRights):
		return no("CANNOT", "The owner always has all rights"), nil
	case ofOwner:
		return ok("The owner has all rights already"), nil
	}
	s.stale = true // it may be the selected mailbox
	if err := s.srv.cfg.Store.SetACL(ctx, s.user, ref, store.ACLEntry{ID: id, Rights: rights}, op); err != nil {
		return completion{}, err
	}
	return ok("Set"), nil
}

// deleteACL removes the entry of one identifier, also where nobody has that name
// any more. RFC 4314 section 3.2.
func (s *session) deleteACL(ctx context.Context, cmd *command) (completion, error) {
	name, who, err := aclArguments(cmd)
	if err != nil {
		return completion{}, err
	}
	ref, acl, owner, err := s.aclOf(ctx, name)
	if err != nil {
		return completion{}, err
	}
	id := strings.ToLower(who)
	if !hasEntry(acl, id) {
		if id, _, err = s.identifier(ctx, owner, who); err != nil && !hasEntry(acl, id) {
			return completion{}, err
		}
	}
	s.stale = true
	if err := s.srv.cfg.Store.SetACL(ctx, s.user, ref, store.ACLEntry{ID: id}, store.RightsReplace); err != nil {
		return completion{}, err
	}
	return ok("Removed"), nil
}

func hasEntry(acl []store.ACLEntry, id string) bool {
	for _, e := range acl {
		if e.ID == id {
			return true
		}
	}
	return false
}

// aclArguments parses a mailbox name and an identifier.
func aclArguments(cmd *command) (name, who string, err error) {
	p := &cmd.args
	p.space()
	name = p.mailbox()
	p.space()
	who = string(p.astring())
	return name, who, p.end()
}

// getACL tells who has which rights, the owner first. RFC 4314 section 3.3.
func (s *session) getACL(ctx context.Context, cmd *command) (completion, error) {
	cmd.args.space()
	name := cmd.args.mailbox()
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	_, acl, owner, err := s.aclOf(ctx, name)
	if err != nil {
		return completion{}, err
	}
	b := s.appendMailbox(append(s.c.Out(), "* ACL "...), name)
	b = appendAstring(append(b, ' '), []byte(owner.Address()))
	b = append(append(b, ' '), rightsText(store.AllRights)...)
	for _, e := range acl {
		if e.ID == owner.Address() {
			continue
		}
		b = appendAstring(append(b, ' '), []byte(e.ID))
		b = append(append(b, ' '), rightsText(e.Rights)...)
	}
	s.c.Done(append(b, "\r\n"...))
	return ok("Done"), nil
}

// listRights tells what an identifier can be granted. RFC 4314 section 3.4.
func (s *session) listRights(ctx context.Context, cmd *command) (completion, error) {
	name, who, err := aclArguments(cmd)
	if err != nil {
		return completion{}, err
	}
	_, _, owner, err := s.aclOf(ctx, name)
	if err != nil {
		return completion{}, err
	}
	_, ofOwner, err := s.identifier(ctx, owner, who)
	if err != nil {
		return completion{}, err
	}
	always, others := `""`, " "+optionalRights
	if ofOwner {
		always, others = rightsText(store.AllRights), ""
	}
	b := s.appendMailbox(append(s.c.Out(), "* LISTRIGHTS "...), name)
	b = appendAstring(append(b, ' '), []byte(who))
	s.c.Done(fmt.Appendf(b, " %s%s\r\n", always, others))
	return ok("Done"), nil
}

// myRights tells what the user may do with a mailbox. RFC 4314 section 3.5.
func (s *session) myRights(ctx context.Context, cmd *command) (completion, error) {
	cmd.args.space()
	name := cmd.args.mailbox()
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	ref, err := s.resolve(ctx, name)
	if err != nil {
		return completion{}, err
	}
	box, _, err := s.srv.cfg.Store.Mailbox(ctx, s.user, ref)
	if err != nil {
		return completion{}, err
	}
	s.tellMyRights(name, box.Rights)
	return ok("Done"), nil
}

// tellMyRights writes MYRIGHTS.
func (s *session) tellMyRights(name string, rights store.Rights) {
	b := s.appendMailbox(append(s.c.Out(), "* MYRIGHTS "...), name)
	s.c.Done(fmt.Appendf(b, " %s\r\n", rightsText(rights)))
}
