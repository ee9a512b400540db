package admin

import (
	"context"
	"time"

	"tripost/alerts"
)

// AlertTarget says whom an alert is for: just one of the three is set.
type AlertTarget struct {
	Server  bool   `json:"server,omitempty"`
	Domain  string `json:"domain,omitempty"`
	Account string `json:"account,omitempty"`
}

// target returns the one that is set, nil when none is.
func (q AlertTarget) target() (*alerts.Target, error) {
	var t *alerts.Target
	n := 0
	if q.Server {
		n++
		t = &alerts.Target{Scope: alerts.Server}
	}
	if q.Domain != "" {
		n++
		t = &alerts.Target{Scope: alerts.Domain, Name: q.Domain}
	}
	if q.Account != "" {
		n++
		t = &alerts.Target{Scope: alerts.Account, Name: q.Account}
	}
	if n > 1 {
		return nil, refuse("an alert is for the server, one domain or one account")
	}
	return t, nil
}

// PostAlertRequest is an alert to post.
type PostAlertRequest struct {
	AlertTarget
	Text string `json:"text"`
}

// AlertInfo is an alert as commands show it. Its id is also the time when it
// was posted.
type AlertInfo struct {
	ID string `json:"id"`
	AlertTarget
	Text string `json:"text"`
	// Seen is how many accounts were shown an alert for the server or a domain.
	// It is in lists only.
	Seen int `json:"seen,omitempty"`
}

func alertInfo(al alerts.Alert) AlertInfo {
	info := AlertInfo{ID: al.ID.String(), Text: al.Text}
	switch al.Target.Scope {
	case alerts.Server:
		info.Server = true
	case alerts.Domain:
		info.Domain = al.Target.Name
	default:
		info.Account = al.Target.Name
	}
	return info
}

// PostAlert makes an alert that users see at their next sign-in, or while they
// work by IMAP.
func (a *API) PostAlert(ctx context.Context, q PostAlertRequest) (AlertInfo, error) {
	t, err := q.target()
	if err == nil && t == nil {
		err = refuse("whom is the alert for? The server, a domain or an account")
	}
	if err != nil {
		return AlertInfo{}, err
	}
	al, err := a.Alerts.Post(ctx, *t, q.Text)
	if err != nil {
		return AlertInfo{}, err
	}
	return alertInfo(al), nil
}

// ListAlerts lists the alerts for the server, one domain or one account, or
// with none of them all, oldest first.
func (a *API) ListAlerts(ctx context.Context, q AlertTarget) ([]AlertInfo, error) {
	t, err := q.target()
	if err != nil {
		return nil, err
	}
	all, err := a.Alerts.List(ctx, t)
	if err != nil {
		return nil, err
	}
	list := make([]AlertInfo, 0, len(all))
	for _, al := range all {
		info := alertInfo(al)
		if al.Target.Scope != alerts.Account { // that of an account goes when it is shown
			if info.Seen, err = a.Alerts.SeenBy(ctx, al.ID); err != nil {
				return nil, err
			}
		}
		list = append(list, info)
	}
	return list, nil
}

// AlertRequest names one alert.
type AlertRequest struct {
	ID string `json:"id"`
}

// RemoveAlert takes an alert away.
func (a *API) RemoveAlert(ctx context.Context, q AlertRequest) (AlertInfo, error) {
	id, err := alerts.ParseID(q.ID)
	if err != nil {
		return AlertInfo{}, err
	}
	al, err := a.Alerts.Remove(ctx, id)
	if err != nil {
		return AlertInfo{}, err
	}
	return alertInfo(al), nil
}

// SeenInfo tells who was shown an alert, and when.
type SeenInfo struct {
	Account string    `json:"account"`
	At      time.Time `json:"at"`
}

// AlertSeen lists who was shown an alert for a domain or the server.
func (a *API) AlertSeen(ctx context.Context, q AlertRequest) ([]SeenInfo, error) {
	id, err := alerts.ParseID(q.ID)
	if err != nil {
		return nil, err
	}
	all, err := a.Alerts.Seen(ctx, id)
	if err != nil {
		return nil, err
	}
	list := make([]SeenInfo, 0, len(all))
	for _, s := range all {
		list = append(list, SeenInfo{s.Address, s.At})
	}
	return list, nil
}
