package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"tripost/accounts"
	"tripost/pop"
	"tripost/store"
	"tripost/syslog"
)

// policyTime bounds what a session waits for its policy.
const policyTime = 5 * time.Second

// serverPolicy is what the configuration says of the settings that domains and
// accounts may make otherwise.
func serverPolicy(cfg Config) accounts.Policy {
	secure := accounts.Off
	if cfg.Security.SecureMethods {
		secure = accounts.On
	}
	return accounts.Policy{
		SecureMethodRequired: secure,
		POPExpire:            accounts.Set(cfg.POP.ExpireDays),
		POPLoginDelay:        accounts.Set(cfg.POP.LoginDelay.Duration),
		POPHold:              accounts.Set(accounts.Hold{Messages: cfg.POP.HoldMessages, Percent: cfg.POP.HoldPercent}),
		QuotaAlert:           accounts.Set(cfg.Alerts.QuotaPercent),
		MaxOctets:            accounts.Set(int64(cfg.Local.Quota)),
		MaxMessages:          accounts.Set(int64(cfg.Local.QuotaMessages)),
		MailToAll:            accounts.Set(true),
		DMARC:                accounts.Set(handling(cfg.MailAuth.DMARC)),
		Spam:                 accounts.Set(handling(cfg.Screen.Spam)),
		Services:             accounts.Set(services(cfg.Local.Services)),
		IMAPHide:             accounts.Set(hidden(cfg.IMAP.Hide)),
	}
}

// handling reads a word that the check of the configuration has found right.
func handling(word string) accounts.Handling {
	h, err := accounts.ParseHandling(word)
	if err != nil {
		return accounts.Mark
	}
	return h
}

// services reads a list that the check of the configuration has found right.
func services(list string) accounts.Service {
	set, err := accounts.ParseServices(list)
	if err != nil {
		return 0
	}
	return set
}

// hidden reads a list that the check of the configuration has found right.
func hidden(names []string) accounts.Hidden {
	h, err := accounts.ParseHidden(strings.Join(names, ","))
	if err != nil {
		return ""
	}
	return h
}

// popPolicy is what is asked of the POP sessions of an account. While it cannot
// be read, nothing expires.
func (s *server) popPolicy(acct accounts.Account) pop.Policy {
	ctx, cancel := context.WithTimeout(context.Background(), policyTime)
	defer cancel()
	p, err := s.directory.Policy(ctx, acct.ID)
	if err != nil && !errors.Is(err, accounts.ErrNoAccount) {
		s.log.Logf(syslog.Problem, "reading the policy of %s: %v", acct.Address(), err)
	}
	return pop.Policy{ExpireDays: p.POPExpire.Or(0), LoginDelay: p.POPLoginDelay.Or(0)}
}

// popHold says when the owner of mailboxes is told that one was emptied. While
// it cannot be read, the configuration counts.
func (s *server) popHold(ctx context.Context, owner store.AccountID) pop.Hold {
	p, err := s.directory.Policy(ctx, owner)
	if err != nil && !errors.Is(err, accounts.ErrNoAccount) {
		s.log.Logf(syslog.Problem, "reading the policy of account %d: %v", owner, err)
	}
	h := p.POPHold.Or(accounts.Hold{Messages: s.cfg.POP.HoldMessages, Percent: s.cfg.POP.HoldPercent})
	return pop.Hold{Messages: h.Messages, Percent: h.Percent, Keep: s.cfg.Store.Undelete.Duration}
}

// strictestPOP is what a POP client is told of before it signs in.
func (s *server) strictestPOP() pop.Policy {
	ctx, cancel := context.WithTimeout(context.Background(), policyTime)
	defer cancel()
	days, delay, err := s.directory.Strictest(ctx)
	if err != nil {
		s.log.Logf(syslog.Problem, "reading the strictest policy: %v", err)
		return pop.Policy{ExpireDays: s.cfg.POP.ExpireDays, LoginDelay: s.cfg.POP.LoginDelay.Duration}
	}
	return pop.Policy{ExpireDays: days, LoginDelay: delay}
}
