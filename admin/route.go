package admin

import (
	"context"
	"errors"
	"fmt"

	"tripost/router"
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

// TestRoute routes an address without sending anything, and explains each step.
func (a *API) TestRoute(ctx context.Context, q RouteRequest) (RouteInfo, error) {
	purpose := router.ForMail
	if q.Login {
		purpose = router.ForLogin
	}
	res, err := a.Router.Route(ctx, q.Address, purpose, true)
	if err != nil {
		return RouteInfo{}, err
	}
	info := RouteInfo{Outcome: outcome(res), Rule: res.Rule, Steps: make([]RouteStep, 0, len(res.Steps))}
	for _, s := range res.Steps {
		info.Steps = append(info.Steps, RouteStep(s))
	}
	return info, nil
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
