package admin

import (
	"context"
	"slices"
	"strings"

	"tripost/accounts"
	"tripost/store"
)

// MailboxRequest names a mailbox of an account.
type MailboxRequest struct {
	Account string `json:"account"`
	Mailbox string `json:"mailbox,omitempty"`
	To      string `json:"to,omitempty"` // of a rename
}

// MailboxInfo is a mailbox as commands show it.
type MailboxInfo struct {
	Name        string `json:"name"`
	Selectable  bool   `json:"selectable"`
	SpecialUse  string `json:"special_use,omitempty"`
	UIDValidity uint32 `json:"uidvalidity,omitempty"`
	UIDNext     uint32 `json:"uidnext,omitempty"`
	Messages    uint32 `json:"messages"`
	Unseen      uint32 `json:"unseen"`
	Octets      int64  `json:"octets"`
}

// ref finds the account and takes the mailbox name as it is, INBOX by default.
func (a *API) ref(ctx context.Context, account, mailbox string) (store.MailboxRef, error) {
	acc, err := a.Directory.Account(ctx, account)
	if err != nil {
		return store.MailboxRef{}, err
	}
	if mailbox == "" {
		mailbox = "INBOX"
	}
	return store.MailboxRef{Account: acc.ID, Name: mailbox}, nil
}

// Mailboxes lists an account's mailboxes.
func (a *API) Mailboxes(ctx context.Context, q MailboxRequest) ([]MailboxInfo, error) {
	ref, err := a.ref(ctx, q.Account, "")
	if err != nil {
		return nil, err
	}
	all, err := a.Store.Mailboxes(ctx, store.System(), ref.Account)
	if err != nil {
		return nil, err
	}
	list := make([]MailboxInfo, 0, len(all))
	for _, m := range all {
		info := MailboxInfo{Name: m.Name, Selectable: m.Selectable, SpecialUse: m.SpecialUse}
		if m.Selectable {
			_, st, err := a.Store.Mailbox(ctx, store.System(), store.MailboxRef{Account: ref.Account, Name: m.Name})
			if err != nil {
				return nil, err
			}
			info.UIDValidity, info.UIDNext = st.UIDValidity, uint32(st.UIDNext)
			info.Messages, info.Unseen, info.Octets = st.Exists, st.Unseen, st.Octets
		}
		list = append(list, info)
	}
	return list, nil
}

// CreateMailbox makes a mailbox; a name with a trailing '/' makes a directory only.
func (a *API) CreateMailbox(ctx context.Context, q MailboxRequest) (None, error) {
	ref, err := a.ref(ctx, q.Account, q.Mailbox)
	if err != nil {
		return None{}, err
	}
	return None{}, a.Store.Create(ctx, store.System(), ref, store.CreateOptions{})
}

// RenameMailbox gives a mailbox and what is below it another name.
func (a *API) RenameMailbox(ctx context.Context, q MailboxRequest) (None, error) {
	ref, err := a.ref(ctx, q.Account, q.Mailbox)
	if err != nil {
		return None{}, err
	}
	return None{}, a.Store.Rename(ctx, store.System(), ref, q.To)
}

// RemoveMailbox removes a mailbox; its messages can be restored for the undelete time.
func (a *API) RemoveMailbox(ctx context.Context, q MailboxRequest) (None, error) {
	ref, err := a.ref(ctx, q.Account, q.Mailbox)
	if err != nil {
		return None{}, err
	}
	return None{}, a.Store.Delete(ctx, store.System(), ref)
}

// ACLInfo is one entry of an access control list.
type ACLInfo struct {
	ID     string `json:"id"`
	Rights string `json:"rights"`
}

// ACL lists the access control list of a mailbox.
func (a *API) ACL(ctx context.Context, q MailboxRequest) ([]ACLInfo, error) {
	ref, err := a.ref(ctx, q.Account, q.Mailbox)
	if err != nil {
		return nil, err
	}
	entries, err := a.Store.ACL(ctx, store.System(), ref)
	list := make([]ACLInfo, 0, len(entries))
	for _, e := range entries {
		list = append(list, ACLInfo{e.ID, e.Rights.String()})
	}
	return list, err
}

// SetACLRequest changes one entry. Rights may begin with '+' or '-' to add to
// or take from what the entry has; empty rights remove it.
type SetACLRequest struct {
	Account string `json:"account"`
	Mailbox string `json:"mailbox"`
	ID      string `json:"id"`
	Rights  string `json:"rights"`
}

// SetACL changes an access control list.
func (a *API) SetACL(ctx context.Context, q SetACLRequest) ([]ACLInfo, error) {
	ref, err := a.ref(ctx, q.Account, q.Mailbox)
	if err != nil {
		return nil, err
	}
	owner, err := a.Directory.Account(ctx, q.Account)
	if err != nil {
		return nil, err
	}
	id, err := a.Directory.Identifier(ctx, owner.Domain, q.ID)
	if err != nil && (q.Rights != "" || !a.hasEntry(ctx, ref, id)) { // whose name is gone can be taken off
		return nil, err
	}
	op, letters := store.RightsReplace, q.Rights
	switch {
	case strings.HasPrefix(letters, "+"):
		op, letters = store.RightsAdd, letters[1:]
	case strings.HasPrefix(letters, "-"):
		op, letters = store.RightsRemove, letters[1:]
	}
	rights, err := store.ParseRights(letters)
	if err != nil {
		return nil, &Refusal{err}
	}
	if err := a.Store.SetACL(ctx, store.System(), ref, store.ACLEntry{ID: id, Rights: rights}, op); err != nil {
		return nil, err
	}
	return a.ACL(ctx, MailboxRequest{Account: q.Account, Mailbox: q.Mailbox})
}

func (a *API) hasEntry(ctx context.Context, ref store.MailboxRef, id string) bool {
	acl, err := a.Store.ACL(ctx, store.System(), ref)
	return err == nil && slices.ContainsFunc(acl, func(e store.ACLEntry) bool { return e.ID == id })
}

// RightsRequest asks what a person may do in a mailbox.
type RightsRequest struct {
	Account string `json:"account"`
	Mailbox string `json:"mailbox"`
	Person  string `json:"person"`
}

// RightsInfo tells what a person may do in a mailbox, and why.
type RightsInfo struct {
	Person string    `json:"person"`
	Rights string    `json:"rights"`
	Owner  bool      `json:"owner"` // who has all rights, whatever the list says
	Groups []string  `json:"groups,omitempty"`
	By     []ACLInfo `json:"by"` // the entries that decide
}

// Rights tells what a person may do in a mailbox, and which entries of its list
// say so.
func (a *API) Rights(ctx context.Context, q RightsRequest) (RightsInfo, error) {
	ref, err := a.ref(ctx, q.Account, q.Mailbox)
	if err != nil {
		return RightsInfo{}, err
	}
	person, err := a.Directory.Account(ctx, q.Person)
	if err != nil {
		return RightsInfo{}, err
	}
	id, err := a.Directory.Identity(ctx, person)
	if err != nil {
		return RightsInfo{}, err
	}
	acl, err := a.Store.ACL(ctx, store.System(), ref)
	if err != nil {
		return RightsInfo{}, err
	}
	rights, by := id.Explain(ref.Account, acl)
	info := RightsInfo{
		Person: person.Address(), Rights: rights.String(), Owner: person.ID == ref.Account,
		Groups: id.Groups, By: make([]ACLInfo, 0, len(by)),
	}
	for _, e := range by {
		info.By = append(info.By, ACLInfo{e.ID, e.Rights.String()})
	}
	return info, nil
}

// MailboxAliasInfo is a mailbox alias of an account.
type MailboxAliasInfo struct {
	Account string `json:"account,omitempty"`
	Name    string `json:"name"`
	Target  string `json:"target,omitempty"` // "~boss/lists"
}

// AddMailboxAlias gives an account a name of its own for a mailbox of another.
func (a *API) AddMailboxAlias(ctx context.Context, q MailboxAliasInfo) (None, error) {
	return None{}, a.Directory.AddMailboxAlias(ctx, q.Account, accounts.MailboxAlias{Name: q.Name, Target: q.Target})
}

// MailboxAliases lists an account's mailbox aliases.
func (a *API) MailboxAliases(ctx context.Context, q NameRequest) ([]MailboxAliasInfo, error) {
	acc, err := a.Directory.Account(ctx, q.Name)
	if err != nil {
		return nil, err
	}
	all, err := a.Directory.MailboxAliases(ctx, acc.ID)
	list := make([]MailboxAliasInfo, 0, len(all))
	for _, m := range all {
		list = append(list, MailboxAliasInfo{Name: m.Name, Target: m.Target})
	}
	return list, err
}

// RemoveMailboxAlias removes one.
func (a *API) RemoveMailboxAlias(ctx context.Context, q MailboxAliasInfo) (None, error) {
	return None{}, a.Directory.RemoveMailboxAlias(ctx, q.Account, q.Name)
}
