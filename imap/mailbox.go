package imap

import (
	"context"
	"strings"

	"golang.org/x/text/unicode/norm"

	"tripost/store"
)

// create makes a mailbox. A name that ends with "/" is made as a directory for
// others only. RFC 3501 section 6.3.3; USE of RFC 6154 section 3; MAILBOXID of RFC
// 8474 section 4.1.
func (s *session) create(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	name := p.mailbox()
	var uses []string
	if p.accept(' ') {
		uses = p.createUses()
	}
	if err := p.end(); err != nil {
		return completion{}, err
	}
	use, err := specialUse(uses)
	if err != nil {
		return completion{}, err
	}
	given := name
	name = s.normalized(name)
	ref, err := s.resolve(ctx, name)
	if err != nil {
		return completion{}, err
	}
	if err := s.srv.cfg.Store.Create(ctx, s.user, ref, store.CreateOptions{SpecialUse: use}); err != nil {
		return completion{}, err
	}
	s.ownNames(ref.Account, strings.TrimSuffix(ref.Name, "/"))
	box, err := s.lookUp(ctx, strings.TrimSuffix(name, "/"))
	if err != nil || box == nil {
		return ok("Created"), err // and removed by somebody, or made for others to see
	}
	if name != given {
		s.tellOldName(name, given, box)
	}
	return okCode("MAILBOXID ("+mailboxID(box)+")", "Created"), nil
}

// normalized brings the name of a mailbox that is to be made to the form NFC, so
// that what looks the same is the same. Clients that write modified UTF-7 are not
// told of another name, so theirs stay as they are. RFC 9051 section 6.3.4.
func (s *session) normalized(name string) string {
	if !s.has(featureUTF8) {
		return name
	}
	return norm.NFC.String(name)
}

// tellOldName writes under which name a mailbox is listed now that the client calls
// something else. RFC 9051 section 6.3.9.7.
func (s *session) tellOldName(name, old string, box *store.Mailbox) {
	s.listLine("LIST", attributes(box), name, s.oldName(old))
}

// oldName is the extended data item of LIST that says what a mailbox was called before;
// "" is none.
func (s *session) oldName(name string) string {
	if name == "" {
		return ""
	}
	return string(append(s.appendMailbox([]byte(`"OLDNAME" (`), name), ')'))
}

// createUses consumes (USE (\Sent)).
func (p *parser) createUses() []string {
	var uses []string
	p.list(false, func() {
		if p.word() != "USE" {
			p.fail("Unknown parameter of CREATE")
		}
		p.space()
		p.list(true, func() {
			p.expect('\\')
			uses = append(uses, `\`+string(p.atom()))
		})
	})
	return uses
}

// specialUses are the attributes of RFC 6154 section 2 that a mailbox can be given.
// \All and \Flagged would be views on other mailboxes, which we do not have.
var specialUses = []string{`\Archive`, `\Drafts`, `\Junk`, `\Sent`, `\Trash`}

// specialUse finds the attribute as we write it. A mailbox has one at most.
func specialUse(uses []string) (string, error) {
	if len(uses) == 0 {
		return "", nil
	}
	for _, known := range specialUses {
		if len(uses) == 1 && strings.EqualFold(uses[0], known) {
			return known, nil
		}
	}
	return "", refuse(no("USEATTR", "That use is not supported"))
}

// delete removes a mailbox; its children stay. RFC 3501 section 6.3.4.
func (s *session) delete(ctx context.Context, cmd *command) (completion, error) {
	ref, err := s.oneMailbox(ctx, cmd)
	if err != nil {
		return completion{}, err
	}
	s.stale = true
	if err := s.srv.cfg.Store.Delete(ctx, s.user, ref); err != nil {
		return completion{}, err
	}
	s.ownNames(ref.Account, ref.Name)
	return ok("Deleted"), nil
}

// oneMailbox parses the only argument of a command, a mailbox name.
func (s *session) oneMailbox(ctx context.Context, cmd *command) (store.MailboxRef, error) {
	cmd.args.space()
	name := cmd.args.mailbox()
	if err := cmd.args.end(); err != nil {
		return store.MailboxRef{}, err
	}
	return s.resolve(ctx, name)
}

// rename gives a mailbox and its children a new name in the same account.
// RFC 3501 section 6.3.5.
func (s *session) rename(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	from := p.mailbox()
	p.space()
	to := p.mailbox()
	if err := p.end(); err != nil {
		return completion{}, err
	}
	source, err := s.resolve(ctx, from)
	if err != nil {
		return completion{}, err
	}
	given := to
	to = s.normalized(to)
	target, err := s.resolve(ctx, to)
	if err != nil {
		return completion{}, err
	}
	if source.Account != target.Account {
		return no("CANNOT", "A mailbox cannot be renamed into another account"), nil
	}
	s.stale = true
	if err := s.srv.cfg.Store.Rename(ctx, s.user, source, target.Name); err != nil {
		return completion{}, err
	}
	s.ownNames(source.Account, source.Name, target.Name)
	if to != given {
		box, err := s.lookUp(ctx, to)
		if err != nil {
			return completion{}, err
		}
		if box != nil {
			s.tellOldName(to, from, box)
		}
	}
	return ok("Renamed"), nil
}

// subscribe adds a name to the user's list, which need not be that of a mailbox.
// RFC 3501 section 6.3.6.
func (s *session) subscribe(ctx context.Context, cmd *command) (completion, error) {
	return s.setSubscribed(ctx, cmd, true)
}

// unsubscribe takes a name from the list. RFC 3501 section 6.3.7.
func (s *session) unsubscribe(ctx context.Context, cmd *command) (completion, error) {
	return s.setSubscribed(ctx, cmd, false)
}

func (s *session) setSubscribed(ctx context.Context, cmd *command, on bool) (completion, error) {
	cmd.args.space()
	name := cmd.args.mailbox()
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	if err := s.srv.cfg.Store.Subscribe(ctx, s.user.Account, name, on); err != nil {
		return completion{}, err
	}
	s.ownNames(s.user.Account, name)
	return ok("Done"), nil
}
