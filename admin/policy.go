package admin

import (
	"strings"

	"tripost/accounts"
)

// PolicyInfo is one setting that counts, and where it is made.
type PolicyInfo struct {
	Value string `json:"value"`
	From  string `json:"from"` // "account", "domain" or "server"
}

// level is one of those that settings cascade over.
type level struct {
	name   string
	policy accounts.Policy
}

// explainPolicy returns what counts by the name of the setting. Levels come
// from the lowest to the highest. What no level sets is off at the highest.
func explainPolicy(levels ...level) map[string]PolicyInfo {
	all := make(map[string]PolicyInfo)
	for _, name := range accounts.PolicyNames() {
		info := PolicyInfo{Value: "off", From: levels[len(levels)-1].name}
		for _, l := range levels {
			if value := l.policy.Text(name); value != "" {
				info = PolicyInfo{value, l.name}
				break
			}
		}
		all[name] = info
	}
	return all
}

// changePolicy sets one setting of a policy. of and others are for the refusal
// of a name that is none.
func changePolicy(p *accounts.Policy, key, value, of, others string) error {
	known, err := p.Change(key, value)
	switch {
	case !known:
		return refuse("%q is not a setting of %s (%s, %s)", key, of, others, strings.Join(accounts.PolicyNames(), ", "))
	case err != nil:
		return refuse("%w", err)
	}
	return nil
}
