package admin

import (
	"context"

	"tripost/accounts"
	"tripost/router"
)

// ForwarderInfo is a forwarder as commands show it.
type ForwarderInfo struct {
	Forwarder string `json:"forwarder"`
	Target    string `json:"target"`
	// Leads says where mail to it goes in the end. It is not in lists.
	Leads string `json:"leads,omitempty"`
}

// ForwarderRequest sets where a forwarder leads.
type ForwarderRequest struct {
	Name   string `json:"name"`
	Target string `json:"target"`
}

// AddForwarder makes a name stand for an address.
func (a *API) AddForwarder(ctx context.Context, q ForwarderRequest) (ForwarderInfo, error) {
	return a.setForwarder(ctx, q, true)
}

// SetForwarder makes a forwarder stand for another address.
func (a *API) SetForwarder(ctx context.Context, q ForwarderRequest) (ForwarderInfo, error) {
	return a.setForwarder(ctx, q, false)
}

func (a *API) setForwarder(ctx context.Context, q ForwarderRequest, made bool) (ForwarderInfo, error) {
	if err := checkTarget(q.Target); err != nil {
		return ForwarderInfo{}, err
	}
	f, err := a.Directory.SetForwarder(ctx, q.Name, q.Target, made)
	if err != nil {
		return ForwarderInfo{}, err
	}
	return a.forwarderInfo(ctx, f)
}

// checkTarget refuses what the router could not read as an address.
func checkTarget(addr string) error {
	if err := router.CheckAddress(addr); err != nil {
		return refuse("address %q: %w", addr, err)
	}
	return nil
}

func (a *API) forwarderInfo(ctx context.Context, f accounts.Forwarder) (ForwarderInfo, error) {
	res, err := a.Router.Route(ctx, f.Address(), router.ForMail, true)
	return ForwarderInfo{f.Address(), f.Target, res.String()}, err
}

// Forwarder shows one.
func (a *API) Forwarder(ctx context.Context, q NameRequest) (ForwarderInfo, error) {
	f, err := a.Directory.Forwarder(ctx, q.Name)
	if err != nil {
		return ForwarderInfo{}, err
	}
	return a.forwarderInfo(ctx, f)
}

// Forwarders lists those of one domain, or with none of all.
func (a *API) Forwarders(ctx context.Context, q AccountsRequest) ([]ForwarderInfo, error) {
	all, err := a.Directory.Forwarders(ctx, q.Domain)
	list := make([]ForwarderInfo, 0, len(all))
	for _, f := range all {
		list = append(list, ForwarderInfo{Forwarder: f.Address(), Target: f.Target})
	}
	return list, err
}

// RemoveForwarder removes one.
func (a *API) RemoveForwarder(ctx context.Context, q NameRequest) (None, error) {
	return None{}, a.Directory.RemoveForwarder(ctx, q.Name)
}
