package admin

import (
	"context"
	"fmt"
	"strings"

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
		return fmt.Sprintf("SMTP(%s)%s", host, r.Address)
	case router.List:
		return "several addresses: " + strings.Join(r.Addresses, ", ")
	case router.Discard:
		return "accepted and thrown away"
	}
	return fmt.Sprintf("refused: %d %s %s", r.Code, r.Enhanced, r.Reason)
}
