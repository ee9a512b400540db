package admin

import (
	"context"
	"time"

	"tripost/rules"
)

// RuleRequest names a rule of an account.
type RuleRequest struct {
	Account string `json:"account"`
	Rule    string `json:"rule"`
}

// AddRuleRequest is a rule to add, before the one of a name or at the end.
type AddRuleRequest struct {
	Account string     `json:"account"`
	Rule    rules.Rule `json:"rule"`
	Before  string     `json:"before,omitempty"`
}

// SetRulesRequest holds all rules that an account is to have.
type SetRulesRequest struct {
	Account string       `json:"account"`
	Rules   []rules.Rule `json:"rules"`
}

// TestRulesRequest asks what an account's rules would do with a message, of
// which the header is enough.
type TestRulesRequest struct {
	Account string `json:"account"`
	From    string `json:"from,omitempty"` // reverse-path
	Message string `json:"message"`
}

// RuleVerdict says what rules ask for.
type RuleVerdict struct {
	Rules   []string `json:"rules"`   // those that were met, in their order
	Outcome string   `json:"outcome"` // in one line
	// NoReply says why there would be no vacation reply where a rule asks for
	// one.
	NoReply string `json:"no_reply,omitempty"`
}

// ListRules lists an account's rules in their order.
func (a *API) ListRules(ctx context.Context, q NameRequest) ([]rules.Rule, error) {
	list, err := a.Rules.List(ctx, q.Name)
	return someRules(list), err
}

// AddRule adds a rule.
func (a *API) AddRule(ctx context.Context, q AddRuleRequest) ([]rules.Rule, error) {
	return a.Rules.Add(ctx, q.Account, q.Rule, q.Before)
}

// RemoveRule takes a rule away.
func (a *API) RemoveRule(ctx context.Context, q RuleRequest) ([]rules.Rule, error) {
	list, err := a.Rules.Remove(ctx, q.Account, q.Rule)
	return someRules(list), err
}

// SetRules gives an account other rules; with none it has none.
func (a *API) SetRules(ctx context.Context, q SetRulesRequest) ([]rules.Rule, error) {
	if err := a.Rules.Replace(ctx, q.Account, q.Rules); err != nil {
		return nil, err
	}
	return a.ListRules(ctx, NameRequest{Name: q.Account})
}

// TestRules says what an account's rules would do with a message, and does
// nothing.
func (a *API) TestRules(ctx context.Context, q TestRulesRequest) (RuleVerdict, error) {
	list, err := a.Rules.List(ctx, q.Account)
	if err != nil {
		return RuleVerdict{}, err
	}
	acc, err := a.Directory.Account(ctx, q.Account)
	if err != nil {
		return RuleVerdict{}, err
	}
	m := &rules.Message{From: q.From, Recipients: []string{acc.Address()}, Header: []byte(q.Message), Now: time.Now()}
	v := rules.Decide(list, m)
	info := RuleVerdict{Rules: v.Rules, Outcome: v.String()}
	if info.Rules == nil {
		info.Rules = []string{}
	}
	if v.Vacation != nil {
		info.NoReply = m.NoReply()
	}
	return info, nil
}

// someRules keeps an empty list from being null in JSON.
func someRules(list []rules.Rule) []rules.Rule {
	if list == nil {
		return []rules.Rule{}
	}
	return list
}
