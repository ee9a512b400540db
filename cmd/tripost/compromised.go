package main

import (
	"context"
	"fmt"

	"tripost/accounts"
	"tripost/admin"
	"tripost/wire"
)

func accountCompromised(e *environment, args []string) error {
	if err := need(args, "ADDR"); err != nil {
		return err
	}
	return ask(e, "account/compromised", admin.NameRequest{Name: args[0]}, func(i admin.CompromisedInfo) {
		fmt.Fprintf(e.stdout, "%s is closed: %d sessions ended, %d messages held\n", i.Account, i.Sessions, i.Messages)
		if i.Told != "" {
			fmt.Fprintln(e.stdout, i.Told, "is told")
		}
		fmt.Fprintln(e.stdout, "Set another password before you give it back: tripost account release", i.Account)
	})
}

func accountRelease(e *environment, args []string) error {
	if err := need(args, "ADDR"); err != nil {
		return err
	}
	return ask(e, "account/release", admin.NameRequest{Name: args[0]}, func(i admin.CompromisedInfo) {
		fmt.Fprintf(e.stdout, "%s is open, %d messages released\n", i.Account, i.Messages)
	})
}

// known lets a session be found by its account once it has signed in, and ended.
func (s *server) known(serve func(context.Context, *wire.Conn)) func(context.Context, *wire.Conn) {
	return func(ctx context.Context, c *wire.Conn) {
		ctx, leave := s.sessions.Begin(ctx, func() { _ = c.Abort() }) // it is gone either way
		defer leave()
		serve(ctx, c)
	}
}

// identities lets accounts send as the addresses that their policy adds.
type identities struct{ directory *accounts.Directory }

// SendAs is [queue.Identities].
func (i identities) SendAs(ctx context.Context, a accounts.Account) ([]string, error) {
	p, err := i.directory.Policy(ctx, a.ID)
	return p.SendAsList(), err
}
