package admin

import (
	"context"
	"strings"

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
	if err != nil {
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
