package admin

import (
	"context"
	"strings"
	"time"

	"tripost/accounts"
)

// DomainInfo is a domain as commands show it.
type DomainInfo struct {
	Name     string    `json:"name"`
	Main     bool      `json:"main"`
	Aliases  []string  `json:"aliases,omitempty"`
	Services string    `json:"services"`
	Created  time.Time `json:"created"`
}

func domainInfo(d accounts.Domain) DomainInfo {
	return DomainInfo{Name: d.Name, Main: d.Main, Aliases: d.Aliases, Services: d.Services.String(), Created: d.Created}
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
	return domainInfo(d), err
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
	d, err := a.Directory.Domain(ctx, q.Name)
	return domainInfo(d), err
}

// SetDomain changes settings: services=LIST, aliases=NAME,NAME.
func (a *API) SetDomain(ctx context.Context, q SettingsRequest) (DomainInfo, error) {
	d, err := a.Directory.SetDomain(ctx, q.Name, func(d *accounts.Domain) error {
		for key, value := range q.Settings {
			if err := setDomain(d, key, value); err != nil {
				return err
			}
		}
		return nil
	})
	return domainInfo(d), err
}

func setDomain(d *accounts.Domain, key, value string) error {
	switch key {
	case "services":
		services, err := accounts.ParseServices(value)
		if err != nil {
			return refuse("services: %w", err)
		}
		d.Services = services
	case "aliases":
		d.Aliases = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
	default:
		return refuse("%q is not a setting of a domain (services, aliases)", key)
	}
	return nil
}

// RemoveDomain removes a domain that has no accounts and aliases left.
func (a *API) RemoveDomain(ctx context.Context, q NameRequest) (None, error) {
	return None{}, a.Directory.RemoveDomain(ctx, q.Name)
}
