package main

import (
	"context"
	"fmt"
	"strings"

	"tripost/admin"
	"tripost/alerts"
	"tripost/store"
	"tripost/syslog"
	"tripost/wire"
)

// asSession lets the alerts that a session takes be logged with its name.
func asSession(serve func(context.Context, *wire.Conn)) func(context.Context, *wire.Conn) {
	return func(ctx context.Context, c *wire.Conn) {
		serve(alerts.WithSession(ctx, c.Logger().ID()), c)
	}
}

// popNotices lets POP tell the owner of a mailbox something.
type popNotices struct{ alerts *alerts.Alerts }

// Post is [pop.Notices].
func (n popNotices) Post(ctx context.Context, owner store.AccountID, text string) error {
	return n.alerts.Notify(ctx, owner, text)
}

func (g ground) alertOptions(cfg Config, log *syslog.Log) alerts.Options {
	o := alerts.Options{QuotaPercent: cfg.Alerts.QuotaPercent, Limit: cfg.Alerts.Limit, Log: log.Tag("ALERT"), Now: g.now}
	if o.QuotaPercent == 0 {
		o.QuotaPercent = -1
	}
	return o
}

// takeTarget takes --server, --domain D and --account A out of the arguments.
func takeTarget(args []string) (t admin.AlertTarget, rest []string, err error) {
	args, t.Server = takeFlag(args, "--server")
	for i := 0; i < len(args); i++ {
		name, value, hasValue := strings.Cut(args[i], "=")
		var to *string
		switch name {
		case "--domain":
			to = &t.Domain
		case "--account":
			to = &t.Account
		default:
			rest = append(rest, args[i])
			continue
		}
		if !hasValue && i+1 < len(args) {
			i++
			value = args[i]
		}
		if value == "" {
			return t, nil, usagef("%s needs a name", name)
		}
		*to = value
	}
	n := 0
	for _, set := range []bool{t.Server, t.Domain != "", t.Account != ""} {
		if set {
			n++
		}
	}
	if n > 1 {
		return t, nil, usagef("one of --server, --domain and --account, not several")
	}
	return t, rest, nil
}

func alertPost(e *environment, args []string) error {
	t, args, err := takeTarget(args)
	if err != nil {
		return err
	}
	if t == (admin.AlertTarget{}) {
		return usagef("whom is it for? --server, --domain D or --account A")
	}
	if err := need(args, "TEXT"); err != nil {
		return err
	}
	return ask(e, "alert/post", admin.PostAlertRequest{AlertTarget: t, Text: args[0]}, func(al admin.AlertInfo) {
		fmt.Fprintln(e.stdout, "posted", al.ID)
	})
}

func alertList(e *environment, args []string) error {
	t, args, err := takeTarget(args)
	if err != nil {
		return err
	}
	if err := need(args); err != nil {
		return err
	}
	return ask(e, "alert/list", t, func(list []admin.AlertInfo) {
		e.table("ID|FOR|SEEN BY|TEXT", func(row func(...any)) {
			for _, al := range list {
				row(al.ID, alertTarget(al.AlertTarget), al.Seen, al.Text)
			}
		})
	})
}

func alertTarget(t admin.AlertTarget) string {
	switch {
	case t.Server:
		return "the server"
	case t.Domain != "":
		return "domain " + t.Domain
	default:
		return "account " + t.Account
	}
}

func alertSeen(e *environment, args []string) error {
	if err := need(args, "ID"); err != nil {
		return err
	}
	return ask(e, "alert/seen", admin.AlertRequest{ID: args[0]}, func(list []admin.SeenInfo) {
		e.table("ACCOUNT|SHOWN", func(row func(...any)) {
			for _, s := range list {
				row(s.Account, when(s.At))
			}
		})
	})
}

func alertRemove(e *environment, args []string) error {
	if err := need(args, "ID"); err != nil {
		return err
	}
	return ask[admin.AlertInfo](e, "alert/remove", admin.AlertRequest{ID: args[0]}, nil)
}
