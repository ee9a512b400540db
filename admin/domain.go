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
	Services string    `json:"services"`
	Created  time.Time `json:"created"`

	Addresses []netip.Addr `json:"addresses,omitempty"`
	// Unknown is what becomes of mail to unknown names: refuse, discard, or the
	// address that it goes to. AllSenders may send to all@ the domain.
	Unknown    string `json:"unknown"`
	AllSenders string `json:"all_senders"`
	// Policy is what counts for accounts that leave it to the domain. It is not
	// in lists.
	Policy map[string]PolicyInfo `json:"policy,omitempty"`
}

func domainInfo(d accounts.Domain) DomainInfo {
	return DomainInfo{
		Name: d.Name, Main: d.Main, Aliases: d.Aliases, Services: d.Services.String(), Created: d.Created,
		Addresses: d.Addresses, Unknown: cmp.Or(d.Unknown, "refuse"), AllSenders: d.AllSenders.Or(accounts.SendersNobody).String(),
	}
}

// wholeDomain is domainInfo with the policy.
func (a *API) wholeDomain(d accounts.Domain, err error) (DomainInfo, error) {
	if err != nil {
		return DomainInfo{}, err
	}
	info := domainInfo(d)
	info.Policy = explainPolicy(level{"domain", d.Policy}, level{"server", a.Directory.ServerPolicy()})
	return info, nil
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
	return a.wholeDomain(a.Directory.AddDomain(ctx, q.Name))
}

// Domains lists all domains by name.
func (a *API) Domains(ctx context.Context, _ None) ([]DomainInfo, error) {
	all, err := a.Directory.Domains(ctx)
	list := make([]DomainInfo, 0, len(all))
	for _, d := range all {
		list = append(list, domainInfo(d))
	}
	return list, err
}

// Domain shows one domain, by its name or an alias.
func (a *API) Domain(ctx context.Context, q NameRequest) (DomainInfo, error) {
	return a.wholeDomain(a.Directory.Domain(ctx, q.Name))
}

// SetDomain changes settings: services=LIST, aliases=NAME,NAME, addresses=IP,IP,
// unknown=refuse, discard or an address, all_senders=WHO, and those of [accounts.Policy].
func (a *API) SetDomain(ctx context.Context, q SettingsRequest) (DomainInfo, error) {
	return a.wholeDomain(a.Directory.SetDomain(ctx, q.Name, func(d *accounts.Domain) error {
		for key, value := range q.Settings {
			if err := setDomain(d, key, value); err != nil {
				return err
			}
		}
		return nil
	}))
}

func setDomain(d *accounts.Domain, key, value string) (err error) {
	switch key {
	case "services":
		d.Services, err = accounts.ParseServices(value)
	case "aliases":
		d.Aliases = listed(value)
	case "addresses":
		d.Addresses, err = parseAddresses(value)
	case "unknown":
		d.Unknown, err = parseUnknown(value)
	case "all_senders":
		d.AllSenders, err = accounts.ParseSenders(value)
	default:
		return changePolicy(&d.Policy, key, value, "a domain", "services, aliases, addresses, unknown, all_senders")
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
