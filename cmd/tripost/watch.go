package main

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"tripost/accounts"
	"tripost/alerts"
	"tripost/router"
	"tripost/store"
	"tripost/syslog"
)

const (
	watchEvery = time.Hour
	// maxGuesses bounds what waits for the watch: what is beyond comes again
	// with the next guess.
	maxGuesses = 64

	guessPause       = 24 * time.Hour
	diskPause        = 24 * time.Hour
	quotaPause       = 24 * time.Hour
	certificatePause = 3 * 24 * time.Hour
)

// guess is what the watch hears of somebody who tries passwords.
type guess struct {
	account  accounts.Account
	from     netip.Addr
	failures int
}

// guessed is [accounts.AuthOptions].Guessed.
func (s *server) guessed(acct accounts.Account, from netip.Addr, failures int) {
	if !s.cfg.Alerts.FailedSignIns {
		return
	}
	select {
	case s.guesses <- guess{acct, from, failures}:
	default:
	}
}

// watch tells people what they should look after: users that somebody guesses
// their passwords, the postmaster of a certificate that runs out and of a disk
// that fills up, that of a domain of its quota. It ends with ctx.
func (s *server) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	s.inspect(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case g := <-s.guesses:
			s.tell(ctx, g.account, "guesses", guessPause, fmt.Sprintf(
				"Somebody has tried %d wrong passwords for %s and more, the last one from %v at %s. If that was not you, your password has held so far; make sure that it is a good one",
				g.failures, g.account.Address(), g.from, time.Now().UTC().Format("2006-01-02 15:04 UTC")))
		case <-tick.C:
			s.inspect(ctx)
		}
	}
}

// inspect looks at the certificate, the disk and the quotas of domains.
func (s *server) inspect(ctx context.Context) {
	s.inspectQuotas(ctx)
	if days := s.cfg.Alerts.CertificateDays; days > 0 && !s.certificates.SelfSigned() {
		if text := certificateText(s.certificates.Expires(), time.Now(), days); text != "" {
			s.tellPostmaster(ctx, "certificate", certificatePause, text)
		}
	}
	if percent := s.cfg.Alerts.DiskPercent; percent > 0 {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(s.cfg.Data, &fs); err != nil {
			s.log.Logf(syslog.Problem, "asking for the free space of %s: %v", s.cfg.Data, err)
			return
		}
		if text := diskText(fs.Bavail, fs.Blocks, uint64(fs.Bsize), percent); text != "" {
			s.tellPostmaster(ctx, "disk", diskPause, text)
		}
	}
}

// certificateText says that a certificate has run out, or will within so many
// days; "" where there is time.
func certificateText(until, now time.Time, days int) string {
	left := until.Sub(now)
	switch {
	case left > time.Duration(days)*24*time.Hour:
		return ""
	case left <= 0:
		return "The TLS certificate has run out on " + until.UTC().Format("2006-01-02")
	default:
		return fmt.Sprintf("The TLS certificate runs out in %d days, on %s", int(left.Hours()/24), until.UTC().Format("2006-01-02"))
	}
}

// diskText says that less than so many percent of the blocks are free; "" where
// there are more.
func diskText(free, blocks, size uint64, percent int) string {
	if blocks == 0 || float64(free)*100 >= float64(blocks)*float64(percent) {
		return ""
	}
	return fmt.Sprintf("The disk of the mail store is nearly full: %s are left. When it is full no mail is taken",
		accounts.FormatSize(int64(free*size)>>20<<20))
}

// inspectQuotas tells of each domain that has used up so much of its quota as its
// accounts are told of theirs.
func (s *server) inspectQuotas(ctx context.Context) {
	all, err := s.directory.Domains(ctx)
	for _, dom := range all {
		threshold := dom.QuotaAlert.Or(s.cfg.Alerts.QuotaPercent)
		if threshold <= 0 || dom.TotalOctets == 0 && dom.TotalMessages == 0 {
			continue
		}
		var u store.Usage
		if u, err = s.directory.DomainUsage(ctx, dom); err != nil {
			break
		}
		if percent := alerts.UsedPercent(u); percent >= threshold {
			s.tellPostmasterOf(ctx, dom.Name, fmt.Sprintf("pool %d", dom.Pool), quotaPause, domainQuotaText(dom.Name, percent))
		}
	}
	if err != nil && ctx.Err() == nil {
		s.log.Logf(syslog.Problem, "looking at the quotas of domains: %v", err)
	}
}

func domainQuotaText(domain string, percent int) string {
	text := fmt.Sprintf("The accounts of %s use %d%% of what they may keep together", domain, percent)
	if percent >= 100 {
		text += ": mail for all of them is refused"
	}
	return text
}

// tellPostmasterOf is tellPostmaster for a domain, whose own postmaster is told where
// there is one.
func (s *server) tellPostmasterOf(ctx context.Context, domain, kind string, pause time.Duration, text string) {
	res, err := s.router.Route(ctx, "postmaster@"+domain, router.ForMail, false)
	if err != nil || res.Kind != router.Local {
		s.tellPostmaster(ctx, kind, pause, text)
		return
	}
	s.log.Log(syslog.Problem, text)
	s.tell(ctx, res.Account, kind, pause, text)
}

// tellPostmaster alerts who reads the postmaster's mail of the Main Domain, where
// that is one account here, and writes the same to the log.
func (s *server) tellPostmaster(ctx context.Context, kind string, pause time.Duration, text string) {
	s.log.Log(syslog.Problem, text)
	res, err := s.router.Route(ctx, "postmaster", router.ForMail, false)
	if err != nil {
		s.log.Logf(syslog.Problem, "finding the postmaster: %v", err)
		return
	}
	if res.Kind == router.Local {
		s.tell(ctx, res.Account, kind, pause, text)
	}
}

// tell alerts an account of something once in a pause.
func (s *server) tell(ctx context.Context, acct accounts.Account, kind string, pause time.Duration, text string) {
	if _, err := s.alerts.NotifyOnce(ctx, acct.ID, kind, pause, text); err != nil && ctx.Err() == nil {
		s.log.Logf(syslog.Problem, "telling %s: %v", acct.Address(), err)
	}
}
