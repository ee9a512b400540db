package admin

import (
	"context"
	"fmt"

	"tripost/accounts"
	"tripost/alerts"
	"tripost/router"
	"tripost/syslog"
)

// CompromisedInfo tells what was done about an account that has fallen into
// wrong hands, or that is given back.
type CompromisedInfo struct {
	Account  string `json:"account"`
	Sessions int    `json:"sessions"`       // that were ended
	Messages int    `json:"messages"`       // in the queue, held or released
	Told     string `json:"told,omitempty"` // the account of the postmaster who has got an alert
}

// Compromised stops an account that has fallen into wrong hands, in one step:
// nobody signs in to it any more, its sessions end in all protocols, its rules are
// suspended, what it or its rules have waiting in the queue is held, and it and
// its postmaster are told by alerts. It goes on receiving mail, in its INBOX.
func (a *API) Compromised(ctx context.Context, q NameRequest) (CompromisedInfo, error) {
	acc, err := a.lock(ctx, q.Name, true)
	if err != nil {
		return CompromisedInfo{}, err
	}
	info := CompromisedInfo{Account: acc.Address()}
	if a.Sessions != nil {
		info.Sessions = a.Sessions.Close(acc.ID)
	}
	count, err := a.Queue.Steer(ctx, "hold", QueueRequest{Sender: acc.Address()})
	if info.Messages = count.Messages; err != nil {
		return info, fmt.Errorf("hold the mail of %s: %w", acc.Address(), err)
	}
	if err := a.Alerts.Notify(ctx, acc.ID, "This account was closed because somebody else may have been using it. Choose a new password that you use nowhere else."); err != nil {
		return info, fmt.Errorf("alert %s: %w", acc.Address(), err)
	}
	if info.Told, err = a.tellPostmaster(ctx, acc); err != nil {
		return info, err
	}
	a.logf("account %s is compromised: closed, %d sessions ended, %d messages held", acc.Address(), info.Sessions, info.Messages)
	return info, nil
}

// Release gives an account back that [API.Compromised] has closed: people can
// sign in, its rules count again, and what is held of it in the queue goes out.
func (a *API) Release(ctx context.Context, q NameRequest) (CompromisedInfo, error) {
	acc, err := a.lock(ctx, q.Name, false)
	if err != nil {
		return CompromisedInfo{}, err
	}
	info := CompromisedInfo{Account: acc.Address()}
	a.allowSessions(acc)
	count, err := a.Queue.Steer(ctx, "release", QueueRequest{Sender: acc.Address()})
	if info.Messages = count.Messages; err != nil {
		return info, fmt.Errorf("release the mail of %s: %w", acc.Address(), err)
	}
	a.logf("account %s is given back, %d messages released", acc.Address(), info.Messages)
	return info, nil
}

// allowSessions lets an account that is not locked any more have sessions again.
func (a *API) allowSessions(acc accounts.Account) {
	if a.Sessions != nil {
		a.Sessions.Open(acc.ID)
	}
}

func (a *API) lock(ctx context.Context, name string, on bool) (accounts.Account, error) {
	return a.Directory.SetAccount(ctx, name, func(acc *accounts.Account) error {
		acc.Locked, acc.Compromised = on, on
		return nil
	})
}

// tellPostmaster posts an alert for who gets the mail of postmaster in the
// account's domain, or else in the Main Domain.
func (a *API) tellPostmaster(ctx context.Context, acc accounts.Account) (told string, err error) {
	for _, addr := range []string{"postmaster@" + acc.Domain, "postmaster"} {
		res, err := a.Router.Route(ctx, addr, router.ForMail, false)
		if err != nil {
			return "", fmt.Errorf("find the postmaster: %w", err)
		}
		if res.Kind != router.Local || res.Account.ID == acc.ID {
			continue
		}
		_, err = a.Alerts.Post(ctx, alerts.Target{Scope: alerts.Account, Name: res.Account.Address()},
			"The account "+acc.Address()+" is compromised and was closed: nobody can sign in to it, and its mail is held.")
		if err != nil {
			return "", fmt.Errorf("alert %s: %w", res.Account.Address(), err)
		}
		return res.Account.Address(), nil
	}
	return "", nil
}

func (a *API) logf(format string, args ...any) {
	if a.Log != nil {
		a.Log.Logf(syslog.Major, format, args...)
	}
}
