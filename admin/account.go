package admin

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"tripost/accounts"
)

// AccountInfo is an account as commands show it.
type AccountInfo struct {
	Address  string `json:"address"`
	RealName string `json:"name,omitempty"`
	Services string `json:"services"` // that are on
	Locked   bool   `json:"locked,omitempty"`
	// Compromised is set while the account is closed because somebody else may use
	// it: its rules are suspended.
	Compromised bool `json:"compromised,omitempty"`

	Quota    int64     `json:"quota,omitempty"` // octets, whoever sets it; 0 none
	Octets   int64     `json:"octets"`
	Messages int64     `json:"messages"`
	Created  time.Time `json:"created"`

	QuotaMessages int64 `json:"quota_messages,omitempty"` // 0 none

	Certificate string `json:"certificate,omitempty"` // SHA-256 of a client certificate
	// LegacyAuth is "on" where APOP and CRAM-MD5 work, "from the next password"
	// where they are allowed only since the password was set; else empty.
	LegacyAuth string `json:"legacy_auth,omitempty"`
	// Policy is what counts of the settings that the account may leave to its
	// domain and the server. It is not in lists.
	Policy map[string]PolicyInfo `json:"policy,omitempty"`
}

func (a *API) accountInfo(ctx context.Context, acc accounts.Account, dom accounts.Domain) (AccountInfo, error) {
	u, err := a.Store.Usage(ctx, acc.ID)
	if err != nil {
		return AccountInfo{}, err
	}
	legacy, err := a.legacyAuth(ctx, acc)
	return AccountInfo{
		Address: acc.Address(), RealName: acc.RealName, Services: a.Directory.Services(acc, dom).String(),
		Locked: acc.Locked, Compromised: acc.Compromised, Quota: u.OctetLimit, QuotaMessages: u.MessageLimit, Octets: u.Octets, Messages: u.Messages, Created: acc.Created,
		Certificate: acc.Certificate, LegacyAuth: legacy,
	}, err
}

// wholeAccount is accountInfo with the policy.
func (a *API) wholeAccount(ctx context.Context, acc accounts.Account) (AccountInfo, error) {
	dom, err := a.Directory.Domain(ctx, acc.Domain)
	if err != nil {
		return AccountInfo{}, err
	}
	info, err := a.accountInfo(ctx, acc, dom)
	info.Policy = explainPolicy(level{"account", acc.Policy}, level{"domain", dom.Policy}, level{"server", a.Directory.ServerPolicy()})
	return info, err
}

func (a *API) legacyAuth(ctx context.Context, acc accounts.Account) (string, error) {
	if !acc.LegacyAuth {
		return "", nil
	}
	has, err := a.Directory.HasLegacySecret(ctx, acc.ID)
	if err != nil || has {
		return "on", err
	}
	return "from the next password", nil
}

// PasswordRequest carries a new password. It is never logged.
type PasswordRequest struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// AddAccount adds an account; without a password nobody can sign in to it yet.
func (a *API) AddAccount(ctx context.Context, q PasswordRequest) (AccountInfo, error) {
	acc, err := a.Directory.AddAccount(ctx, q.Name, q.Password)
	if err != nil {
		return AccountInfo{}, err
	}
	return a.wholeAccount(ctx, acc)
}

// AccountsRequest asks for the accounts of one domain, or with none of all.
type AccountsRequest struct {
	Domain string `json:"domain,omitempty"`
}

// Accounts lists accounts by address.
func (a *API) Accounts(ctx context.Context, q AccountsRequest) ([]AccountInfo, error) {
	all, err := a.Directory.Accounts(ctx, q.Domain)
	if err != nil {
		return nil, err
	}
	list := make([]AccountInfo, 0, len(all))
	for _, acc := range all {
		dom, err := a.Directory.Domain(ctx, acc.Domain)
		if err != nil {
			return nil, err
		}
		info, err := a.accountInfo(ctx, acc, dom)
		if err != nil {
			return nil, err
		}
		list = append(list, info)
	}
	return list, nil
}

// Account shows one account, by its address or an alias.
func (a *API) Account(ctx context.Context, q NameRequest) (AccountInfo, error) {
	acc, err := a.Directory.Account(ctx, q.Name)
	if err != nil {
		return AccountInfo{}, err
	}
	return a.wholeAccount(ctx, acc)
}

// SetAccount changes settings: name, locked, certificate,
// legacy_auth, and those of [accounts.Policy].
func (a *API) SetAccount(ctx context.Context, q SettingsRequest) (AccountInfo, error) {
	acc, err := a.Directory.SetAccount(ctx, q.Name, func(acc *accounts.Account) error {
		for key, value := range q.Settings {
			if err := setAccount(acc, key, value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return AccountInfo{}, err
	}
	if !acc.Locked {
		a.allowSessions(acc)
	}
	return a.wholeAccount(ctx, acc)
}

func setAccount(acc *accounts.Account, key, value string) (err error) {
	switch key {
	case "name":
		acc.RealName = value
	case "locked":
		acc.Locked, err = parseSwitch(value)
		acc.Compromised = acc.Compromised && acc.Locked
	case "legacy_auth":
		acc.LegacyAuth, err = parseSwitch(value)
	case "certificate":
		acc.Certificate, err = accounts.ParseFingerprint(value)
	default:
		return changePolicy(&acc.Policy, key, value, "an account", "name, locked, certificate, legacy_auth")
	}
	if err != nil {
		return refuse("%s: %w", key, err)
	}
	return nil
}

func parseSwitch(s string) (bool, error) {
	switch s {
	case "on", "yes":
		return true, nil
	case "off", "no":
		return false, nil
	}
	on, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("%q is neither yes nor no", s)
	}
	return on, nil
}

// SetPassword gives an account a new password.
func (a *API) SetPassword(ctx context.Context, q PasswordRequest) (None, error) {
	return None{}, a.Directory.SetPassword(ctx, q.Name, q.Password)
}

// RemovedInfo is an account that can be restored.
type RemovedInfo struct {
	Address string    `json:"address"`
	Until   time.Time `json:"until"`
}

// RemovedAccounts lists the accounts that were removed and can be restored.
func (a *API) RemovedAccounts(ctx context.Context, _ None) ([]RemovedInfo, error) {
	all, err := a.Directory.RemovedAccounts(ctx)
	list := make([]RemovedInfo, 0, len(all))
	for _, r := range all {
		list = append(list, RemovedInfo{r.Account.Address(), r.Until})
	}
	return list, err
}

// RestoredInfo tells what came back with an account.
type RestoredInfo struct {
	Account  AccountInfo `json:"account"`
	Messages int         `json:"messages"`
}

// RestoreAccount makes an account again that was removed, with its mail.
func (a *API) RestoreAccount(ctx context.Context, q NameRequest) (RestoredInfo, error) {
	acc, n, err := a.Directory.RestoreAccount(ctx, q.Name)
	if err != nil {
		return RestoredInfo{}, err
	}
	info, err := a.wholeAccount(ctx, acc)
	return RestoredInfo{info, n}, err
}

// RemoveAccount removes an account.
func (a *API) RemoveAccount(ctx context.Context, q NameRequest) (None, error) {
	return None{}, a.Directory.RemoveAccount(ctx, q.Name)
}

// AliasInfo is an alias as commands show it.
type AliasInfo struct {
	Alias   string `json:"alias"`
	Account string `json:"account"`
}

// AddAlias gives an account another name in its domain.
func (a *API) AddAlias(ctx context.Context, q AliasInfo) (None, error) {
	return None{}, a.Directory.AddAlias(ctx, q.Alias, q.Account)
}

// Aliases lists the aliases of one domain, or with none of all.
func (a *API) Aliases(ctx context.Context, q AccountsRequest) ([]AliasInfo, error) {
	all, err := a.Directory.Aliases(ctx, q.Domain)
	list := make([]AliasInfo, 0, len(all))
	for _, al := range all {
		list = append(list, AliasInfo{al.Local + "@" + al.Domain, al.Account})
	}
	return list, err
}

// RemoveAlias removes an alias.
func (a *API) RemoveAlias(ctx context.Context, q NameRequest) (None, error) {
	return None{}, a.Directory.RemoveAlias(ctx, q.Name)
}
