package router

import (
	"strings"

	"tripost/accounts"
)

// maxMailboxName bounds the mailbox of mailbox#account@domain, in octets.
const maxMailboxName = 255

// lookUp decides for a local part in a domain of ours. The first that fits:
// the name of an account or alias, that name with a detail, postmaster and
// abuse.
func (w *walk) lookUp(rule string, dom accounts.Domain) error {
	local, mailbox, ok := w.cutMailbox(w.addr.local)
	if !ok {
		w.unknown(dom)
		return nil
	}
	obj, err := w.names.Find(dom, local)
	switch {
	case err == nil && obj.Account != nil:
		w.found(obj, Result{Mailbox: mailbox})
		return nil
	case err == nil && mailbox == "":
		return w.stands(obj)
	case err == nil: // a mailbox of what is no account
		w.unknown(dom)
		return nil
	case !absent(err) || w.purpose == ForLogin:
		return w.unknownUnless(err, dom)
	}
	if base, detail, ok := w.cutDetail(local); ok {
		if obj, err = w.names.LookupIn(dom, base); err == nil {
			w.found(obj, Result{Mailbox: mailbox, Detail: detail})
			return nil
		}
		if !absent(err) {
			return err
		}
	}
	switch {
	case mailbox != "":
		w.unknown(dom)
	case isRole(local):
		return w.reader(strings.ToLower(local), dom)
	case strings.EqualFold(local, everybody), dom.Main && strings.EqualFold(local, everywhere):
		return w.all(strings.ToLower(local), dom)
	default:
		return w.policy(local, dom)
	}
	return nil
}

// Names that reach many, where nothing else has them: all accounts of a domain, and
// in the Main Domain those of all domains.
const (
	everybody  = "all"
	everywhere = "alldomains"
)

// stands decides for a name that stands for other addresses.
func (w *walk) stands(obj accounts.Object) error {
	if obj.Group != nil {
		return w.group(obj.Group)
	}
	// What a forwarder leads to its administrator has chosen, for strangers too.
	return w.follow("forwarder", obj.Target)
}

// follow makes the address that a name stands for the address.
func (w *walk) follow(rule, target string) error {
	next, err := parseAddress(target)
	if err != nil {
		w.refuse(rule, 550, "5.1.3", "it stands for what is no address")
		return nil
	}
	w.open = true
	w.rewrite(rule, next)
	return nil
}

// group decides for a group: its members get the mail.
func (w *walk) group(g *accounts.Group) error {
	const rule = "group"
	switch {
	case w.purpose == ForLogin:
		w.refuse(rule, 550, "5.1.1", "not an account here")
		return nil
	case g.NoMail:
		w.refuse(rule, 550, "5.2.1", g.Address()+" does not receive mail")
		return nil
	case len(g.Members) == 0:
		w.refuse(rule, 550, "5.1.1", g.Address()+" has no members")
		return nil
	}
	members := g.Members
	if g.Flat {
		members = nil
		for _, m := range g.Members {
			inner, err := w.isGroup(m)
			if err != nil {
				return err
			}
			if !inner {
				members = append(members, m)
			}
		}
	}
	w.decide(rule, Result{Kind: List, Addresses: members, List: *g, Senders: g.Senders.Or(accounts.SendersAnyone)})
	return nil
}

// isGroup tells whether a member of a group is a group itself.
func (w *walk) isGroup(member string) (bool, error) {
	i := strings.LastIndexByte(member, '@')
	dom, err := w.names.Domain(member[i+1:])
	if err == nil {
		var obj accounts.Object
		obj, err = w.names.Find(dom, member[:i])
		return obj.Group != nil, ignoreAbsent(err)
	}
	return false, ignoreAbsent(err)
}

func ignoreAbsent(err error) error {
	if absent(err) {
		return nil
	}
	return err
}

// all decides for all@ a domain, and for alldomains@ the Main Domain. Who may write
// to the one may write to the other.
func (w *walk) all(name string, dom accounts.Domain) error {
	const rule = "all accounts"
	senders := dom.AllSenders.Or(accounts.SendersNobody)
	if senders == accounts.SendersNobody || w.purpose == ForLogin {
		return w.policy(name, dom)
	}
	domains := []accounts.Domain{dom}
	if name == everywhere {
		var err error
		if domains, err = w.names.Domains(); err != nil {
			return err
		}
	}
	var list []string
	for _, d := range domains {
		of, err := w.names.Everybody(d)
		if err != nil {
			return err
		}
		list = append(list, of...)
	}
	w.decide(rule, Result{Kind: List, Addresses: list, List: accounts.Group{Local: name, Domain: dom.Name}, Senders: senders})
	return nil
}

// policy decides for a name that stands for nothing, as its domain says. Nobody
// signs in by such a name.
func (w *walk) policy(local string, dom accounts.Domain) error {
	switch {
	case w.purpose == ForLogin || dom.Unknown == "":
		w.unknown(dom)
	case dom.Unknown == accounts.UnknownDiscard:
		w.decide("unknown name", Result{Kind: Discard})
	case w.caught:
		w.refuse("unknown name", 550, "5.1.1", "what unknown names of "+dom.Name+" lead to is unknown too")
	default:
		w.caught = true
		return w.follow("unknown name", strings.Replace(dom.Unknown, "*", written(local), 1))
	}
	return nil
}

// written returns a local part as it stands in an address, for the place of an
// asterisk.
func written(local string) string {
	if isDotString(local) {
		return local
	}
	return quote(local)
}

// found decides for an account, or for the one that an alias stands for.
func (w *walk) found(obj accounts.Object, res Result) {
	rule := "account"
	switch {
	case res.Mailbox != "":
		rule = "mailbox of an account"
	case res.Detail != "":
		rule = "account with detail"
	case obj.Alias != "":
		rule = "alias"
	}
	w.deliver(rule, obj, res)
}

// cutMailbox takes mailbox#account apart at the last '#'. It refuses another
// one's mailbox ("~boss/x#jsmith"): a stranger's mail does not get into it by
// the rights of jsmith.
func (w *walk) cutMailbox(local string) (account, mailbox string, ok bool) {
	i := strings.LastIndexByte(local, '#')
	if i < 0 {
		return local, "", true
	}
	if w.purpose != ForMail || !w.router.options.DirectMailbox {
		return "", "", false
	}
	account, mailbox = local[i+1:], local[:i]
	if strings.EqualFold(mailbox, "INBOX") {
		mailbox = ""
	}
	return account, mailbox, len(mailbox) <= maxMailboxName && !strings.HasPrefix(mailbox, "~")
}

// cutDetail takes account+detail apart at the first separator.
func (w *walk) cutDetail(local string) (account, detail string, ok bool) {
	separator := w.router.options.Subaddress
	if separator == "" {
		return "", "", false
	}
	account, detail, ok = strings.Cut(local, separator)
	return account, detail, ok && account != ""
}

// isRole tells the names that every domain must answer: RFC 5321 section 4.5.1
// and RFC 2142 section 4.
func isRole(local string) bool {
	return strings.EqualFold(local, "postmaster") || strings.EqualFold(local, "abuse")
}

// reader decides for postmaster or abuse where no account or alias has the
// name. abuse is read by the domain's postmaster; postmaster by the oldest
// account of the domain, and where it has none by the Main Domain's postmaster
// or oldest account. A server without any account refuses with a temporary reply.
func (w *walk) reader(role string, dom accounts.Domain) error {
	if role != "postmaster" {
		obj, err := w.names.Find(dom, "postmaster")
		if err == nil && obj.Account == nil {
			return w.stands(obj)
		}
	}
	for _, domain := range []string{dom.Name, ""} {
		obj, err := accounts.Object{}, accounts.ErrNoAccount // lookUp has tried the role's own name
		if role != "postmaster" || domain == "" {
			obj, err = w.names.Lookup("postmaster", domain)
		}
		if absent(err) {
			obj, err = w.oldest(domain)
		}
		if absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		// The mail service being off does not matter: somebody has to read this.
		w.decide(role, Result{Kind: Local, Account: *obj.Account, Role: true})
		return nil
	}
	w.refuse(role, 450, "4.2.1", "nobody reads this mail yet")
	return nil
}

func (w *walk) oldest(domain string) (accounts.Object, error) {
	dom, err := w.names.Domain(domain)
	if err != nil {
		return accounts.Object{}, err
	}
	acct, err := w.names.Oldest(dom.Name)
	return accounts.Object{Account: &acct}, err
}

// unknownUnless refuses an unknown name, and hands up a failure of the store.
func (w *walk) unknownUnless(err error, dom accounts.Domain) error {
	if !absent(err) {
		return err
	}
	w.unknown(dom)
	return nil
}

func (w *walk) unknown(dom accounts.Domain) {
	w.refuse("unknown name", 550, "5.1.1", "no such account in "+dom.Name)
}
