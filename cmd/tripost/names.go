package main

import (
	"fmt"
	"strings"

	"tripost/admin"
)

func forwarderAdd(e *environment, args []string) error { return e.setForwarder("forwarder/add", args) }
func forwarderSet(e *environment, args []string) error { return e.setForwarder("forwarder/set", args) }

func (e *environment) setForwarder(operation string, args []string) error {
	if err := need(args, "NAME", "ADDRESS"); err != nil {
		return err
	}
	return ask(e, operation, admin.ForwarderRequest{Name: args[0], Target: args[1]}, e.showForwarder)
}

func forwarderShow(e *environment, args []string) error {
	if err := need(args, "NAME"); err != nil {
		return err
	}
	return ask(e, "forwarder/show", admin.NameRequest{Name: args[0]}, e.showForwarder)
}

func (e *environment) showForwarder(f admin.ForwarderInfo) {
	e.table("FORWARDER|"+f.Forwarder, func(row func(...any)) {
		row("target", f.Target)
		row("leads", f.Leads)
	})
}

func forwarderList(e *environment, args []string) error {
	q, err := ofDomain(args)
	if err != nil {
		return err
	}
	return ask(e, "forwarder/list", q, func(list []admin.ForwarderInfo) {
		e.table("FORWARDER|TARGET", func(row func(...any)) {
			for _, f := range list {
				row(f.Forwarder, f.Target)
			}
		})
	})
}

// ofDomain reads the one argument of a list, which may be left out.
func ofDomain(args []string) (q admin.AccountsRequest, err error) {
	if len(args) > 0 {
		err = need(args, "DOMAIN")
		q.Domain = args[0]
	}
	return q, err
}

func forwarderRemove(e *environment, args []string) error {
	return e.remove("forwarder/remove", args)
}

// remove takes an object away by its name.
func (e *environment) remove(operation string, args []string) error {
	if err := need(args, "NAME"); err != nil {
		return err
	}
	return ask[admin.None](e, operation, admin.NameRequest{Name: args[0]}, nil)
}

func groupAdd(e *environment, args []string) error {
	if len(args) == 0 {
		return usagef("NAME is missing")
	}
	return ask(e, "group/add", admin.GroupRequest{Name: args[0], Members: args[1:]}, e.showGroup)
}

func groupSet(e *environment, args []string) error {
	if len(args) == 0 {
		return usagef("NAME is missing")
	}
	m, err := settings(args[1:])
	if err != nil {
		return err
	}
	return ask(e, "group/set", admin.SettingsRequest{Name: args[0], Settings: m}, e.showGroup)
}

func groupShow(e *environment, args []string) error {
	if err := need(args, "NAME"); err != nil {
		return err
	}
	return ask(e, "group/show", admin.NameRequest{Name: args[0]}, e.showGroup)
}

func (e *environment) showGroup(g admin.GroupInfo) {
	e.table("GROUP|"+g.Group, func(row func(...any)) {
		row("name", g.Name)
		row("mail", mark(g.Mail))
		row("senders", g.Senders)
		row("expand", mark(g.Expand))
		row("once", mark(g.Once))
		row("reply_to", mark(g.ReplyTo))
		row("owner", g.Owner)
		row("members", len(g.Members))
		for _, m := range g.Members {
			row("", m)
		}
	})
}

func groupList(e *environment, args []string) error {
	q, err := ofDomain(args)
	if err != nil {
		return err
	}
	return ask(e, "group/list", q, func(list []admin.GroupInfo) {
		e.table("GROUP|MEMBERS|MAIL|NAME", func(row func(...any)) {
			for _, g := range list {
				row(g.Group, len(g.Members), mark(g.Mail), g.Name)
			}
		})
	})
}

func groupRemove(e *environment, args []string) error { return e.remove("group/remove", args) }

func accountRemoved(e *environment, args []string) error {
	if err := need(args); err != nil {
		return err
	}
	return ask(e, "account/removed", admin.None{}, func(list []admin.RemovedInfo) {
		e.table("ACCOUNT|UNTIL", func(row func(...any)) {
			for _, r := range list {
				row(r.Address, when(r.Until))
			}
		})
	})
}

func accountRestore(e *environment, args []string) error {
	if err := need(args, "ADDR"); err != nil {
		return err
	}
	return ask(e, "account/restore", admin.NameRequest{Name: args[0]}, func(r admin.RestoredInfo) {
		fmt.Fprintf(e.stdout, "%s is back with %d messages\n", printable(strings.TrimSpace(r.Account.Address)), r.Messages)
	})
}
