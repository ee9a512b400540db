package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"

	"tripost/admin"
)

func mailboxList(e *environment, args []string) error {
	if err := need(args, "ADDR"); err != nil {
		return err
	}
	return ask(e, "mailbox/list", admin.MailboxRequest{Account: args[0]}, func(list []admin.MailboxInfo) {
		e.table("MAILBOX|MESSAGES|UNSEEN|OCTETS|UIDVALIDITY|USE", func(row func(...any)) {
			for _, m := range list {
				if !m.Selectable {
					row(m.Name+"/", "", "", "", "", "directory only")
					continue
				}
				row(m.Name, m.Messages, m.Unseen, m.Octets, m.UIDValidity, m.SpecialUse)
			}
		})
	})
}

func mailboxCreate(e *environment, args []string) error {
	if err := need(args, "ADDR", "MAILBOX"); err != nil {
		return err
	}
	return ask[admin.None](e, "mailbox/create", admin.MailboxRequest{Account: args[0], Mailbox: args[1]}, nil)
}

func mailboxRename(e *environment, args []string) error {
	if err := need(args, "ADDR", "MAILBOX", "NEW"); err != nil {
		return err
	}
	return ask[admin.None](e, "mailbox/rename", admin.MailboxRequest{Account: args[0], Mailbox: args[1], To: args[2]}, nil)
}

func mailboxRemove(e *environment, args []string) error {
	if err := need(args, "ADDR", "MAILBOX"); err != nil {
		return err
	}
	return ask[admin.None](e, "mailbox/remove", admin.MailboxRequest{Account: args[0], Mailbox: args[1]}, nil)
}

func mailboxACL(e *environment, args []string) error {
	if len(args) == 3 {
		q := admin.RightsRequest{Account: args[0], Mailbox: args[1], Person: args[2]}
		return ask(e, "mailbox/rights", q, e.showRights)
	}
	if err := need(args, "ADDR", "MAILBOX"); err != nil {
		return err
	}
	return ask(e, "mailbox/acl", admin.MailboxRequest{Account: args[0], Mailbox: args[1]}, e.showACL)
}

// showRights tells what a person may do, and why.
func (e *environment) showRights(r admin.RightsInfo) {
	e.table("PERSON|"+r.Person, func(row func(...any)) {
		row("rights", r.Rights)
		if r.Owner {
			row("", "all: the mailbox is theirs")
		}
		for _, g := range r.Groups {
			row("is in", g)
		}
		for _, by := range r.By {
			row("by", by.ID+" "+by.Rights)
		}
	})
}

func mailboxAliasAdd(e *environment, args []string) error {
	if err := need(args, "ADDR", "NAME", "TARGET"); err != nil {
		return err
	}
	return ask[admin.None](e, "mailbox/alias-add", admin.MailboxAliasInfo{Account: args[0], Name: args[1], Target: args[2]}, nil)
}

func mailboxAliasList(e *environment, args []string) error {
	if err := need(args, "ADDR"); err != nil {
		return err
	}
	return ask(e, "mailbox/alias-list", admin.NameRequest{Name: args[0]}, func(list []admin.MailboxAliasInfo) {
		e.table("ALIAS|MAILBOX", func(row func(...any)) {
			for _, m := range list {
				row(m.Name, m.Target)
			}
		})
	})
}

func mailboxAliasRemove(e *environment, args []string) error {
	if err := need(args, "ADDR", "NAME"); err != nil {
		return err
	}
	return ask[admin.None](e, "mailbox/alias-remove", admin.MailboxAliasInfo{Account: args[0], Name: args[1]}, nil)
}

func mailboxACLSet(e *environment, args []string) error {
	if err := need(args, "ADDR", "MAILBOX", "IDENTIFIER", "RIGHTS"); err != nil {
		return err
	}
	q := admin.SetACLRequest{Account: args[0], Mailbox: args[1], ID: args[2], Rights: args[3]}
	return ask(e, "mailbox/acl-set", q, e.showACL)
}

func (e *environment) showACL(list []admin.ACLInfo) {
	e.table("IDENTIFIER|RIGHTS", func(row func(...any)) {
		for _, a := range list {
			row(a.ID, a.Rights)
		}
	})
}

func undeleteRequest(args []string) (q admin.ExpungedRequest, err error) {
	if err := needSome(args, "ADDR", "MAILBOX", "UID"); err != nil {
		return q, err
	}
	q.Account = args[0]
	if len(args) > 1 {
		q.Mailbox = args[1]
	}
	if len(args) > 2 {
		uid, err := strconv.ParseUint(args[2], 10, 32)
		if err != nil || uid == 0 {
			return q, usagef("%q is not a UID", args[2])
		}
		q.UID = uint32(uid)
	}
	return q, nil
}

func undeleteList(e *environment, args []string) error {
	if err := needSome(args, "ADDR", "MAILBOX"); err != nil {
		return err
	}
	q, err := undeleteRequest(args)
	if err != nil {
		return err
	}
	return ask(e, "undelete/list", q, func(list []admin.ExpungedInfo) {
		e.table("MAILBOX|UID|SIZE|RECEIVED|REMOVED|RESTORABLE UNTIL|FROM|SUBJECT", func(row func(...any)) {
			for _, m := range list {
				row(m.Mailbox, m.UID, m.Size, when(m.Date), when(m.At), when(m.Until), m.From, m.Subject)
			}
		})
	})
}

func undeleteRestore(e *environment, args []string) error {
	q, err := undeleteRequest(args)
	if err != nil {
		return err
	}
	return ask(e, "undelete/restore", q, func(r admin.RestoreInfo) {
		fmt.Fprintln(e.stdout, r.Restored, "messages restored")
	})
}

// messageImport sends an mbox file to the server, or reads it here.
func messageImport(e *environment, args []string) error {
	if err := need(args, "ADDR", "MAILBOX", "FILE"); err != nil {
		return err
	}
	in := e.stdin
	if args[2] != "-" {
		f, err := os.Open(args[2])
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	c, _, err := e.client()
	if err != nil {
		return err
	}
	defer c.close()
	from, b := e.measured(in, "imported")
	input := &inputFile{Reader: from}
	resp, err := c.stream(e.ctx, "message/import", admin.MailboxRequest{Account: args[0], Mailbox: args[1]}, input)
	if failed := input.failed(); err != nil && failed != nil {
		return fmt.Errorf("reading the messages: %w", failed)
	}
	if err != nil {
		return err
	}
	defer resp.Close()
	var info admin.ImportInfo
	err = json.NewDecoder(resp).Decode(&info)
	b.clear()
	if err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	if e.json {
		return e.printJSON(info)
	}
	fmt.Fprintln(e.stdout, info.Imported, "messages imported")
	if info.WithoutKeywords > 0 {
		fmt.Fprintln(e.stderr, info.WithoutKeywords, "of them without their keywords, which the mailbox cannot hold")
	}
	if info.TooLarge > 0 {
		return fmt.Errorf("%d messages are over the size limit and were left out", info.TooLarge)
	}
	return nil
}

// inputFile keeps the error that reading ended with, which the way to the
// server would hide.
type inputFile struct {
	io.Reader
	err atomic.Pointer[error]
}

func (f *inputFile) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err.Store(&err)
	}
	return n, err
}

func (f *inputFile) failed() error {
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

// messageExport writes a mailbox to a file that is not there yet. A file that
// could not be written whole is removed again.
func messageExport(e *environment, args []string) error {
	if err := need(args, "ADDR", "MAILBOX", "FILE"); err != nil {
		return err
	}
	c, _, err := e.client()
	if err != nil {
		return err
	}
	defer c.close()
	resp, err := c.stream(e.ctx, "message/export", admin.MailboxRequest{Account: args[0], Mailbox: args[1]}, nil)
	if err != nil {
		return err
	}
	defer resp.Close()
	if args[2] == "-" {
		_, err := io.Copy(e.stdout, resp)
		return err
	}
	f, err := os.OpenFile(args[2], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", args[2], err), os.Remove(args[2]))
	}
	return nil
}
