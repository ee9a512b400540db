package alerts

import (
	"fmt"
	"time"

	"tripost/accounts"
	"tripost/store"
)

// quotaPause is how long after a quota alert there is no other one, however
// often the usage passes the threshold.
const quotaPause = 24 * time.Hour

// nextQuota finds whether an account is to be told that its quota is nearly
// used up. The threshold has been passed when a sign-in finds the usage above
// it, and the one before found it below or was not yet told.
func (a *Alerts) nextQuota(r *store.Snapshot, acct accounts.Account, due *turn, now time.Time) error {
	u, err := r.Usage(acct.ID)
	if err != nil {
		return err
	}
	s := &due.before
	percent := UsedPercent(u)
	threshold, err := a.threshold(r, acct.ID, percent)
	if err != nil {
		return err
	}
	switch {
	case threshold <= 0 || percent < threshold:
		due.settle = s.told
	case !s.told && (s.toldAt.IsZero() || !now.Before(s.toldAt.Add(quotaPause))):
		due.alert = &Alert{Target: Target{Scope: Quota, Name: acct.Address()}, Text: quotaText(percent)}
	}
	return nil
}

// threshold returns from which share of its quota on an account that uses percent
// of it is told, 0 or below for never. Who uses nothing of a quota is not looked up.
func (a *Alerts) threshold(r *store.Snapshot, id store.AccountID, percent int) (int, error) {
	if percent == 0 {
		return a.o.QuotaPercent, nil
	}
	p, err := a.directory.In(r).Policy(id)
	if err != nil {
		return 0, fmt.Errorf("reading the policy: %w", err)
	}
	return p.QuotaAlert.Or(a.o.QuotaPercent), nil
}

// UsedPercent returns how much of its limits an account, or a domain, uses, of the one that it
// is closer to, rounded down; 0 without limits.
func UsedPercent(u store.Usage) int {
	return max(share(u.Octets, u.OctetLimit), share(u.Messages, u.MessageLimit))
}

// share is rounded in floating point: near a limit of 2^46 octets and more, by
// less than one part in 2^50.
func share(used, limit int64) int {
	const most = 1000 // percent; beyond it the figure tells nobody anything
	if limit <= 0 {
		return 0
	}
	return int(min(float64(used)*100/float64(limit), most))
}

func quotaText(percent int) string {
	if percent >= 100 {
		return fmt.Sprintf("Your mail storage is %d%% full: new mail is refused until you delete some", percent)
	}
	return fmt.Sprintf("Your mail storage is %d%% full", percent)
}
