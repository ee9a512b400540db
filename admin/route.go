package admin

import (
	"context"
	"errors"
	"fmt"

	"tripost/accounts"
	"tripost/router"
	"tripost/store"
)

// RouteRequest asks where an address or, with Login, a login name leads.
type RouteRequest struct {
	Address string `json:"address"`
	Login   bool   `json:"login,omitempty"`
}

// RouteInfo is the router's answer with its steps.
type RouteInfo struct {
	Outcome string      `json:"outcome"` // in one line
	Rule    string      `json:"rule"`
	Steps   []RouteStep `json:"steps"`
}

// RouteStep is one thing that the router did.
type RouteStep struct {
	Address string `json:"address"`
	Rule    string `json:"rule"`
	Result  string `json:"result"`
}

// TestRoute routes an address without sending anything, and explains each step. Of
// a login name the router maps the account part; what stands before it names the
// mailbox that POP opens.
func (a *API) TestRoute(ctx context.Context, q RouteRequest) (RouteInfo, error) {
	if !q.Login {
		info, _, err := a.testRoute(ctx, q.Address, router.ForMail)
		return info, err
	}
	login, err := accounts.ParseLogin(q.Address)
	if err != nil || login.Mailbox == "" {
		info, _, err := a.testRoute(ctx, q.Address, router.ForLogin)
		return info, err
	}
	info, res, err := a.testRoute(ctx, login.Account, router.ForLogin)
	if err != nil {
		return info, err
	}
	info.Steps = append([]RouteStep{{q.Address, "mailbox " + login.Mailbox, login.Account}}, info.Steps...)
	if res.Kind != router.Local {
		return info, nil
	}
	mailbox, err := a.mailboxOf(ctx, &res.Account, login.Mailbox)
	info.Outcome += ", " + mailbox
	return info, err
}

func (a *API) testRoute(ctx context.Context, name string, purpose router.Purpose) (RouteInfo, router.Result, error) {
	res, err := a.Router.Route(ctx, name, purpose, true)
	if err != nil {
		return RouteInfo{}, res, err
	}
	info := RouteInfo{Outcome: outcome(res), Rule: res.Rule, Steps: make([]RouteStep, 0, len(res.Steps))}
	for _, s := range res.Steps {
		info.Steps = append(info.Steps, RouteStep(s))
	}
	return info, res, nil
}

// mailboxOf says which mailbox a name stands for that an account has written, and
// whether there is one that it may know of.
func (a *API) mailboxOf(ctx context.Context, acct *accounts.Account, name string) (string, error) {
	ref, err := a.Directory.Resolve(ctx, acct.Identity(), name)
	if err == nil {
		_, _, err = a.Store.Mailbox(ctx, acct.Identity(), ref)
	}
	if errors.Is(err, accounts.ErrNoMailbox) || errors.Is(err, store.ErrNoMailbox) || errors.Is(err, store.ErrBadName) {
		return "which finds no mailbox " + name, nil
	}
	if err != nil {
		return "", err
	}
	if ref.Account == acct.ID {
		return "mailbox " + ref.Name, nil
	}
	owner, err := a.Directory.AccountByID(ctx, ref.Account)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("mailbox %s of %s", ref.Name, owner.Address()), nil
}

// RouteTable is a table of the router: one record a line, as docs/router.md has it.
type RouteTable struct {
	Text string `json:"text"`
}

// RouteEdit asks for a change of the table.
type RouteEdit struct {
	Text   string `json:"text,omitempty"`   // of route/set: the whole table
	Record string `json:"record,omitempty"` // of the others: the record
	Line   int    `json:"line,omitempty"`   // of route/add: before this line, from 1; 0 at the end

	Revision *uint64 `json:"revision,omitempty"` // refuse if the table in force is another one
	DryRun   bool    `json:"dry_run,omitempty"`  // say what would differ, and change nothing
}

// Routes returns the table in force.
func (a *API) Routes(ctx context.Context, _ None) (router.Stored, error) {
	return a.Router.Table(ctx)
}

// CheckRoutes says what is wrong with a table, and what would differ.
func (a *API) CheckRoutes(ctx context.Context, q RouteTable) (router.Report, error) {
	return a.Router.Preview(ctx, router.Replace(q.Text))
}

// SetRoutes puts another table in force.
func (a *API) SetRoutes(ctx context.Context, q RouteEdit) (router.Report, error) {
	return a.changeRoutes(ctx, q, router.Replace(q.Text))
}

// AddRoute adds one record to the table.
func (a *API) AddRoute(ctx context.Context, q RouteEdit) (router.Report, error) {
	return a.changeRoutes(ctx, q, router.Insert(q.Record, q.Line))
}

// RemoveRoute removes one record from the table.
func (a *API) RemoveRoute(ctx context.Context, q RouteEdit) (router.Report, error) {
	return a.changeRoutes(ctx, q, router.Remove(q.Record))
}

func (a *API) changeRoutes(ctx context.Context, q RouteEdit, edit func(router.Stored) (string, error)) (router.Report, error) {
	if q.Revision != nil {
		edit = router.At(*q.Revision, edit)
	}
	change := a.Router.Change
	if q.DryRun {
		change = a.Router.Preview
	}
	report, err := change(ctx, edit)
	var bad *router.TableError
	if errors.As(err, &bad) || errors.Is(err, router.ErrNoRecord) || errors.Is(err, router.ErrRevision) {
		err = &Refusal{err}
	}
	return report, err
}

// outcome writes a route in one line, in the form module(queue)address.
func outcome(r router.Result) string {
	switch r.Kind {
	case router.Local:
		s := fmt.Sprintf("LOCAL(%s)", r.Account.Address())
		if r.Mailbox != "" {
			s += " mailbox " + r.Mailbox
		}
		if r.Individual != "" {
			s += " individual name " + r.Individual
		}
		return s
	case router.Remote:
		host := r.Host
		if r.Port != 0 {
			host = fmt.Sprintf("%s:%d", host, r.Port)
		}
		s := fmt.Sprintf("SMTP(%s)%s", host, r.Address)
		if !r.Relay {
			s += ", also for strangers"
		}
		return s
	case router.List:
		return "several addresses: " + r.Members()
	case router.Discard:
		return "accepted and thrown away"
	}
	s := fmt.Sprintf("refused: %d %s %s", r.Code, r.Enhanced, r.Reason)
	if r.Trap {
		s += ", for all recipients of the message"
	}
	return s
}
