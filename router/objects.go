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
	obj, err := w.names.LookupIn(dom, local)
	if err == nil {
		w.found(obj, Result{Mailbox: mailbox})
		return nil
	}
	if !absent(err) || w.purpose == ForLogin {
		return w.unknownUnless(err, dom)
	}
	if base, detail, ok := w.cutDetail(local); ok {
		if obj, err = w.names.LookupIn(dom, base); err == nil {
			w.found(obj, Result{Mailbox: mailbox, Detail: detail})
			return nil
		}
		return w.unknownUnless(err, dom)
	}
	if isRole(local) && mailbox == "" {
		return w.reader(strings.ToLower(local), dom)
	}
	w.unknown(dom)
	return nil
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
	for _, domain := range []string{dom.Name, ""} {
		obj, err := w.names.Lookup("postmaster", domain)
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
		w.decide(role, Result{Kind: Local, Account: *obj.Account})
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
