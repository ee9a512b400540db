package admin

import (
	"context"
	"slices"
	"strings"

	"tripost/accounts"
)

// GroupInfo is a group as commands show it.
type GroupInfo struct {
	Group   string   `json:"group"`
	Name    string   `json:"name,omitempty"`
	Members []string `json:"members"`
	Mail    bool     `json:"mail"`            // it takes mail
	Expand  bool     `json:"expand"`          // mail goes to the members of groups in it
	Once    bool     `json:"once"`            // members in To or Cc get no second copy
	ReplyTo bool     `json:"reply_to"`        // answers go to the group
	Owner   string   `json:"owner,omitempty"` // who hears of members that cannot be reached
	Senders string   `json:"senders"`         // who may send to it
}

func groupInfo(g accounts.Group) GroupInfo {
	return GroupInfo{
		Group: g.Address(), Name: g.Name, Members: append([]string{}, g.Members...),
		Mail: !g.NoMail, Expand: !g.Flat, Once: g.Once, Senders: g.Senders.Or(accounts.SendersAnyone).String(),
		ReplyTo: g.ReplyTo, Owner: g.Owner,
	}
}

// GroupRequest names a group to be made and its first members.
type GroupRequest struct {
	Name    string   `json:"name"`
	Members []string `json:"members,omitempty"`
}

// AddGroup makes a group.
func (a *API) AddGroup(ctx context.Context, q GroupRequest) (GroupInfo, error) {
	for _, m := range q.Members {
		if err := checkTarget(m); err != nil {
			return GroupInfo{}, err
		}
	}
	g, err := a.Directory.AddGroup(ctx, q.Name, q.Members)
	if err != nil {
		return GroupInfo{}, err
	}
	return groupInfo(g), nil
}

// SetGroup changes settings: name, members, mail, expand, once, senders, reply_to,
// owner. members are all of them, or with a plus or minus in front those that come
// or go.
func (a *API) SetGroup(ctx context.Context, q SettingsRequest) (GroupInfo, error) {
	g, err := a.Directory.SetGroup(ctx, q.Name, func(g *accounts.Group) error {
		for key, value := range q.Settings {
			if err := setGroup(g, key, value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return GroupInfo{}, err
	}
	return groupInfo(g), nil
}

func setGroup(g *accounts.Group, key, value string) (err error) {
	var on bool
	switch key {
	case "name":
		g.Name = value
	case "members":
		g.Members, err = changeMembers(g, value)
	case "mail":
		on, err = parseSwitch(value)
		g.NoMail = !on
	case "expand":
		on, err = parseSwitch(value)
		g.Flat = !on
	case "once":
		g.Once, err = parseSwitch(value)
	case "reply_to":
		g.ReplyTo, err = parseSwitch(value)
	case "owner":
		if g.Owner = value; value != "" {
			err = checkTarget(value)
		}
	case "senders":
		g.Senders, err = accounts.ParseSenders(value)
	default:
		return refuse("%q is not a setting of a group (name, members, mail, expand, once, senders, reply_to, owner)", key)
	}
	if err != nil {
		return refuse("%s: %w", key, err)
	}
	return nil
}

// changeMembers reads a list of members, or of those that come or go.
func changeMembers(g *accounts.Group, value string) ([]string, error) {
	sign := ""
	if value != "" && strings.ContainsAny(value[:1], "+-") {
		sign, value = value[:1], value[1:]
	}
	list := listed(value)
	for _, m := range list {
		if err := checkTarget(m); err != nil {
			return nil, err
		}
	}
	switch sign {
	case "+":
		return append(g.Members, list...), nil
	case "-":
		for _, m := range list {
			if !strings.Contains(m, "@") {
				m += "@" + g.Domain
			}
			i := slices.IndexFunc(g.Members, func(have string) bool { return strings.EqualFold(have, m) })
			if i < 0 {
				return nil, refuse("%s is not a member", m)
			}
			g.Members = slices.Delete(g.Members, i, i+1)
		}
		return g.Members, nil
	}
	return list, nil
}

// Group shows one.
func (a *API) Group(ctx context.Context, q NameRequest) (GroupInfo, error) {
	g, err := a.Directory.Group(ctx, q.Name)
	if err != nil {
		return GroupInfo{}, err
	}
	return groupInfo(g), nil
}

// Groups lists those of one domain, or with none of all.
func (a *API) Groups(ctx context.Context, q AccountsRequest) ([]GroupInfo, error) {
	all, err := a.Directory.Groups(ctx, q.Domain)
	list := make([]GroupInfo, 0, len(all))
	for _, g := range all {
		list = append(list, groupInfo(g))
	}
	return list, err
}

// RemoveGroup removes one.
func (a *API) RemoveGroup(ctx context.Context, q NameRequest) (None, error) {
	return None{}, a.Directory.RemoveGroup(ctx, q.Name)
}
