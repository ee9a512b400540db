package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"tripost/accounts"
	"tripost/router"
)

// DomainInfo is a domain as commands show it.
type DomainInfo struct {
	Name     string    `json:"name"`
	Main     bool      `json:"main"`
	Aliases  []string  `json:"aliases,omitempty"`
	Services string    `json:"services"` // that are on
	Created  time.Time `json:"created"`

	Addresses []netip.Addr `json:"addresses,omitempty"`
	// Unknown is what becomes of mail to unknown names: refuse, discard, or the
	// address that it goes to. AllSenders may send to all@ the domain.
	Unknown    string `json:"unknown"`
	AllSenders string `json:"all_senders"`
	// Octets and Messages are what its accounts hold together, Quota and
	// QuotaMessages what they may; 0: there is no limit.
	Octets        int64 `json:"octets"`
	Messages      int64 `json:"messages"`
	Quota         int64 `json:"domain_quota,omitempty"`
	QuotaMessages int64 `json:"domain_quota_messages,omitempty"`
	// Policy is what counts for accounts that leave it to the domain. It is not
	// in lists.
	Policy map[string]PolicyInfo `json:"policy,omitempty"`
}

func (a *API) domainInfo(ctx context.Context, d accounts.Domain) (DomainInfo, error) {
	u, err := a.Directory.DomainUsage(ctx, d)
	return DomainInfo{
		Name: d.Name, Main: d.Main, Aliases: d.Aliases, Created: d.Created,
		Services:  d.Policy.Services.Or(a.Directory.ServerPolicy().Services.Or(accounts.AllServices)).String(),
		Addresses: d.Addresses, Unknown: cmp.Or(d.Unknown, "refuse"), AllSenders: d.AllSenders.Or(accounts.SendersNobody).String(),
		Octets: u.Octets, Messages: u.Messages, Quota: u.OctetLimit, QuotaMessages: u.MessageLimit,
	}, err
}

// wholeDomain is domainInfo with the policy.
func (a *API) wholeDomain(ctx context.Context, d accounts.Domain) (DomainInfo, error) {
	info, err := a.domainInfo(ctx, d)
	info.Policy = explainPolicy(level{"domain", d.Policy}, level{"server", a.Directory.ServerPolicy()})
	return info, err
}

// NameRequest names one object.
type NameRequest struct {
	Name string `json:"name"`
}

// SettingsRequest changes settings of one object. Values are as on the command line.
type SettingsRequest struct {
	Name     string            `json:"name"`
	Settings map[string]string `json:"settings"`
}

// AddDomain adds a domain; the first one is the Main Domain.
func (a *API) AddDomain(ctx context.Context, q NameRequest) (DomainInfo, error) {
	d, err := a.Directory.AddDomain(ctx, q.Name)
	if err != nil {
		return DomainInfo{}, err
	}
	return a.wholeDomain(ctx, d)
}

// Domains lists all domains by name.
func (a *API) Domains(ctx context.Context, _ None) ([]DomainInfo, error) {
	all, err := a.Directory.Domains(ctx)
	list := make([]DomainInfo, 0, len(all))
	for _, d := range all {
		info, err := a.domainInfo(ctx, d)
		if err != nil {
			return nil, err
		}
		list = append(list, info)
	}
	return list, err
}

// Domain shows one domain, by its name or an alias.
func (a *API) Domain(ctx context.Context, q NameRequest) (DomainInfo, error) {
	d, err := a.Directory.Domain(ctx, q.Name)
	if err != nil {
		return DomainInfo{}, err
	}
	return a.wholeDomain(ctx, d)
}

// SetDomain changes settings: aliases=NAME,NAME, addresses=IP,IP, unknown=refuse,
// discard or an address, all_senders=WHO, domain_quota=SIZE,
// domain_quota_messages=NUMBER, and those of [accounts.Policy].
func (a *API) SetDomain(ctx context.Context, q SettingsRequest) (DomainInfo, error) {
	d, err := a.Directory.SetDomain(ctx, q.Name, func(d *accounts.Domain) error {
		for key, value := range q.Settings {
			if err := setDomain(d, key, value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return DomainInfo{}, err
	}
	return a.wholeDomain(ctx, d)
}

func setDomain(d *accounts.Domain, key, value string) (err error) {
	switch key {
	case "aliases":
		d.Aliases = listed(value)
	case "addresses":
		d.Addresses, err = parseAddresses(value)
	case "unknown":
		d.Unknown, err = parseUnknown(value)
	case "all_senders":
		d.AllSenders, err = accounts.ParseSenders(value)
	case "domain_quota":
		d.TotalOctets, err = parseLimit(value, accounts.ParseSize)
	case "domain_quota_messages":
		d.TotalMessages, err = parseLimit(value, accounts.ParseCount)
	default:
		return changePolicy(&d.Policy, key, value, "a domain", "aliases, addresses, unknown, all_senders, domain_quota, domain_quota_messages")
	}
	if err != nil {
		return refuse("%s: %w", key, err)
	}
	return nil
}

// parseUnknown reads what becomes of mail to unknown names: see
// [accounts.Domain].
func parseUnknown(value string) (string, error) {
	switch value {
	case "refuse", "default":
		return "", nil
	case accounts.UnknownDiscard:
		return value, nil
	}
	// An asterisk stands for a name.
	if err := router.CheckAddress(strings.Replace(value, "*", "name", 1)); err != nil {
		return "", fmt.Errorf("%q: use refuse, discard or an address: %w", value, err)
	}
	return value, nil
}

// parseLimit reads a limit, of which "off" is none.
func parseLimit(value string, parse func(string) (int64, error)) (int64, error) {
	switch value {
	case "off", "none", "no", "default":
		return 0, nil
	}
	return parse(value)
}

// listed takes a list apart at commas and spaces.
func listed(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
}

func parseAddresses(value string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, s := range listed(value) {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not an IP address", s)
		}
		all = append(all, ip)
	}
	return all, nil
}

// RemoveDomain removes a domain that has no accounts and aliases left, with its
// keys.
func (a *API) RemoveDomain(ctx context.Context, q NameRequest) (None, error) {
	dom, unknown := a.Directory.Domain(ctx, q.Name)
	err := a.Directory.RemoveDomain(ctx, q.Name)
	if err == nil && unknown == nil {
		err = a.Keys.Remove(ctx, dom.Name, "")
	}
	return None{}, err
}
