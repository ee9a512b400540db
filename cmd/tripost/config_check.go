package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tripost/accounts"
	"tripost/imap"
	"tripost/pop"
	"tripost/smtp"
)

// check finds what is wrong with the values, naming the key.
func (c *Config) check() error {
	if c.Hostname == "" || strings.ContainsAny(c.Hostname, " \t\r\n<>@") {
		return fmt.Errorf("hostname: %q is not a host name", c.Hostname)
	}
	if c.Data == "" {
		return errors.New("data: a directory is needed")
	}
	if c.Log.Level < 0 || c.Log.Level > 5 {
		return fmt.Errorf("log.level: %d is not between 0 and 5", c.Log.Level)
	}
	for tag, level := range c.Log.Levels {
		if !slices.Contains(logTags(), tag) {
			return fmt.Errorf("log.levels.%s: there is no such tag (%s)", tag, strings.Join(logTags(), ", "))
		}
		if level < 0 || level > 5 {
			return fmt.Errorf("log.levels.%s: %d is not between 0 and 5", tag, level)
		}
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		return fmt.Errorf("log.format: %q is neither text nor json", c.Log.Format)
	}
	if c.Store.Engine != "local" {
		return fmt.Errorf("store.engine: %q is not an engine of this version (local)", c.Store.Engine)
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		return errors.New("tls: certificate and key go together")
	}
	if err := c.checkACME(); err != nil {
		return err
	}
	switch c.Security.CleartextLogin {
	case "never", "loopback", "always":
	default:
		return fmt.Errorf("security.cleartext_login: %q is not never, loopback or always", c.Security.CleartextLogin)
	}
	for _, check := range []func() error{c.checkNumbers, c.checkListeners, c.checkProxies, c.checkClients, c.checkOAuth, c.checkPOP, c.checkLocal, c.checkScreen, c.checkQueue} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkFiles finds what is wrong with the files that the configuration names: they
// must be there for who asks, and certificate and key go together.
func (c *Config) checkFiles() error {
	for _, named := range c.files() {
		if *named == "" {
			continue
		}
		f, err := os.Open(*named)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return err
		}
	}
	if c.TLS.Certificate == "" {
		return nil
	}
	_, err := tls.LoadX509KeyPair(c.TLS.Certificate, c.TLS.Key)
	if err != nil {
		return fmt.Errorf("tls: using the certificate %q with the key %q: %w", c.TLS.Certificate, c.TLS.Key, err)
	}
	return nil
}

// checkACME holds the certificate that renews itself against the one from files.
func (c *Config) checkACME() error {
	t := c.TLS
	switch {
	case t.ACME == "":
		return nil
	case t.Certificate != "":
		return errors.New("tls: there is a certificate, so acme would ask for another one")
	case !strings.HasPrefix(t.ACME, "https://"):
		return fmt.Errorf("tls.acme: %q is not the https URL of a directory", t.ACME)
	case t.ACMEHTTP == "" && t.ACMETLS == "":
		return errors.New("tls: acme needs acme_http or acme_tls, where the authority asks")
	}
	return nil
}

// logTags lists the tags that records can have.
func logTags() []string {
	return []string{
		"POP", "IMAP", "SMTPI", "SMTP", "LMTP", "QUEUE", "LOCAL", "LOCALRULES", "ROUTER", "SCREEN",
		"ACCOUNT", "STORE", "ALERT", "ADMIN", "SYSTEM",
	}
}

// checkNumbers refuses limits that would make the server useless or unbounded.
func (c *Config) checkNumbers() error {
	for _, n := range []struct {
		key      string
		v, least int64
	}{
		{"message.size", int64(c.Message.Size), 64 << 10},
		{"message.recipients", int64(c.Message.Recipients), 100}, // RFC 5321 4.5.3.1.8
		{"message.header", int64(c.Message.Header), 4 << 10},
		{"message.parts", int64(c.Message.Parts), 1},
		{"message.depth", int64(c.Message.Depth), 1},
		{"security.per_address", int64(c.Security.PerAddress), 0},
		{"security.oauth.time", int64(c.Security.OAuth.Time.Duration), int64(time.Second)},
		{"security.sign_in_time", int64(c.Security.SignInTime.Duration), int64(time.Second)},
		{"pop.expire_days", int64(c.POP.ExpireDays), 0},
		{"pop.hold_messages", int64(c.POP.HoldMessages), 0},
		{"pop.hold_percent", int64(c.POP.HoldPercent), 0},
		{"pop.channels", int64(c.POP.Channels), 0},
		{"pop.line", int64(c.POP.Line), 255}, // RFC 2449 4
		{"pop.idle", int64(c.POP.Idle.Duration), int64(time.Second)},
		{"imap.channels", int64(c.IMAP.Channels), 0},
		{"imap.line", int64(c.IMAP.Line), 8 << 10},
		{"imap.idle", int64(c.IMAP.Idle.Duration), int64(time.Second)},
		{"imap.search_octets", int64(c.IMAP.Search), 1 << 20},
		{"imap.sort_memory", int64(c.IMAP.Sort), 1 << 20},
		{"imap.search_kept", int64(c.IMAP.SearchKept), 1 << 10},
		{"imap.message_limit", int64(c.IMAP.Messages), 0},
		{"imap.still_here", int64(c.IMAP.StillHere.Duration), int64(time.Second)},
		{"smtp.channels", int64(c.SMTP.Channels), 0},
		{"smtp.line", int64(c.SMTP.Line), 512}, // RFC 5321 4.5.3.1.4
		{"smtp.idle", int64(c.SMTP.Idle.Duration), int64(time.Second)},
		{"smtp.hops", int64(c.SMTP.Hops), 10},
		{"alerts.quota_percent", int64(c.Alerts.QuotaPercent), 0},
		{"alerts.limit", int64(c.Alerts.Limit), 1},
		{"alerts.certificate_days", int64(c.Alerts.CertificateDays), 0},
		{"alerts.disk_percent", int64(c.Alerts.DiskPercent), 0},
		{"local.quota_messages", int64(c.Local.QuotaMessages), 0},
		{"history.keep", int64(c.History.Keep.Duration), int64(time.Hour)},
		{"history.limit", int64(c.History.Limit), 100},
		{"rules.limit", int64(c.Rules.Limit), 1},
		{"rules.vacation_days", int64(c.Rules.VacationDays), 1},
		{"submission.flow_recipients", int64(c.Submission.FlowRecipients), 0},
		{"submission.flow_period", int64(c.Submission.FlowPeriod.Duration), int64(time.Second)},
		{"backup.every", int64(c.Backup.Every.Duration), int64(time.Second)},
		{"backup.keep", int64(c.Backup.Keep), 0},
		{"mailauth.time", int64(c.MailAuth.Time.Duration), int64(time.Second)},
		{"mailauth.signatures", int64(c.MailAuth.Signatures), 1},
		{"screen.time", int64(c.Screen.Time.Duration), int64(time.Second)},
		{"screen.wait", int64(c.Screen.Wait.Duration), 0},
		{"screen.connections", int64(c.Screen.Connections), 0},
		{"screen.messages", int64(c.Screen.Messages), 0},
		{"screen.unknown", int64(c.Screen.Unknown), 0},
		{"screen.period", int64(c.Screen.Period.Duration), int64(time.Second)},
		{"screen.greylist_delay", int64(c.Screen.GreylistDelay.Duration), int64(time.Second)},
		{"screen.greylist_wait", int64(c.Screen.GreylistWait.Duration), int64(c.Screen.GreylistDelay.Duration)},
		{"screen.greylist_keep", int64(c.Screen.GreylistKeep.Duration), int64(time.Hour)},
		{"screen.remember", int64(c.Screen.Remember), 100},
		{"queue.limit", int64(c.Queue.Limit), 1},
		{"queue.smtp_port", int64(c.Queue.SMTPPort), 1},
		{"queue.policy_port", int64(c.Queue.PolicyPort), 1},
		{"queue.connections", int64(c.Queue.Connections), 1},
		{"queue.connections_per_host", int64(c.Queue.ConnectionsPerHost), 1},
		{"queue.ready", int64(c.Queue.Ready), 100},
		{"queue.retry", int64(len(c.Queue.Retry)), 1},
		{"queue.search", int64(c.Queue.Search.Duration), int64(10 * time.Second)},
	} {
		if n.v < n.least {
			return fmt.Errorf("%s: %d is below the least value, %d", n.key, n.v, n.least)
		}
	}
	if f := c.Rules.ForwardFrom; f != "account" && f != "sender" {
		return fmt.Errorf("rules.forward_from: %q is neither account nor sender", f)
	}
	if n := c.IMAP.Messages; n > 0 && n < 1000 { // RFC 9738 section 3
		return fmt.Errorf("imap.message_limit: %d is neither 0 nor 1000 or more", n)
	}
	if hide := c.IMAP.Hide; len(hide) > 0 {
		if _, err := accounts.ParseHidden(strings.Join(hide, ",")); err != nil {
			return fmt.Errorf("imap.hide: %w", err)
		}
		for _, name := range hide {
			if err := imap.CheckHidden(name); err != nil {
				return fmt.Errorf("imap.hide: %w", err)
			}
		}
	}
	if _, err := accounts.ParseServices(c.Local.Services); err != nil {
		return fmt.Errorf("local.services: %w", err)
	}
	if p := c.Alerts.QuotaPercent; p > 100 {
		return fmt.Errorf("alerts.quota_percent: %d is above 100", p)
	}
	return nil
}

func (c *Config) checkListeners() error {
	health := []string{c.Admin.Listen}
	if c.Admin.Listen == "" {
		health = nil
	}
	seen := map[string]string{}
	for _, l := range []struct {
		key  string
		list []string
	}{
		{"pop.listen", c.POP.Listen}, {"pop.listen_tls", c.POP.ListenTLS},
		{"imap.listen", c.IMAP.Listen}, {"imap.listen_tls", c.IMAP.ListenTLS},
		{"smtp.listen", c.SMTP.Listen}, {"lmtp.listen", c.LMTP.Listen},
		{"submission.listen", c.Submission.Listen}, {"submission.listen_tls", c.Submission.ListenTLS},
		{"admin.listen", health},
	} {
		key := l.key
		for _, addr := range l.list {
			if path, ok := strings.CutPrefix(addr, "unix:"); ok && key == "lmtp.listen" {
				if !filepath.IsAbs(path) {
					return fmt.Errorf("%s: %q needs a whole path, unix:/path", key, addr)
				}
			} else if _, port, err := net.SplitHostPort(addr); err != nil {
				return fmt.Errorf("%s: %q is not host:port", key, addr)
			} else if key == "lmtp.listen" && port == "25" {
				return fmt.Errorf("%s: port 25 is for SMTP alone", key) // RFC 2033 section 5
			} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
				return fmt.Errorf("%s: %q is not a port", key, port)
			} else if other, ok := seen[addr]; ok && n != 0 {
				return fmt.Errorf("%s: %s is taken by %s", key, addr, other)
			}
			seen[addr] = key
		}
	}
	return nil
}

func (c *Config) checkProxies() error {
	_, err := c.proxyPrefixes()
	return err
}

func (c *Config) checkPOP() error {
	if l := c.POP.Language; !slices.Contains(pop.Languages(), l) {
		return fmt.Errorf("pop.language: %q is not one of %s", l, strings.Join(pop.Languages(), ", "))
	}
	return nil
}

// checkClients refuses a list that would make an open relay.
func (c *Config) checkClients() error {
	if _, err := smtp.ParseClients(c.Security.ClientAddresses); err != nil {
		return fmt.Errorf("security.client_addresses: %w", err)
	}
	return nil
}

// checkLocal refuses what would break header fields or addresses apart.
func (c *Config) checkLocal() error {
	if field := c.Local.IndividualField; strings.ContainsFunc(field, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) {
		return fmt.Errorf("local.individual_field: %q is not the name of a header field", field)
	}
	if s := c.Local.Subaddress; len(s) > 1 || strings.ContainsFunc(s, isPartOfAddress) {
		return fmt.Errorf("local.subaddress: %q is not a character that separates, such as + or -", s)
	}
	return nil
}

// isPartOfAddress tells the characters that names or addresses need themselves.
func isPartOfAddress(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune(`@#%~.,:;<>()[]"\_`, r) ||
		'0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

func (c *Config) checkQueue() error {
	for _, d := range c.Queue.Retry {
		if d.Duration < time.Second {
			return fmt.Errorf("queue.retry: %v is below the least value, 1s", d.Duration)
		}
	}
	for i := range c.Queue.Route {
		if err := c.Queue.Route[i].check(); err != nil {
			return err
		}
	}
	if c.Queue.Smarthost == "" {
		return nil
	}
	_, _, err := hostPort("queue.smarthost", c.Queue.Smarthost)
	return err
}

// check finds what is wrong with a route.
func (r *QueueRoute) check() error {
	if r.Domain == "" || strings.ContainsAny(r.Domain, " @") || strings.Contains(strings.TrimPrefix(r.Domain, "*."), "*") {
		return fmt.Errorf("queue.route: %q is not a domain or *.domain", r.Domain)
	}
	if r.Host != "" {
		if _, _, err := hostPort("queue.route", r.Host); err != nil {
			return err
		}
	}
	if (r.User == "") != (r.PasswordFile == "") {
		return fmt.Errorf("queue.route: %s: user and password_file go together", r.Domain)
	}
	if _, ok := tlsLevels[r.TLS]; !ok {
		return fmt.Errorf("queue.route: %s: tls: %q is not opportunistic, encrypted or verified", r.Domain, r.TLS)
	}
	return nil
}

// proxyPrefixes reads security.proxies.
func (c *Config) proxyPrefixes() ([]netip.Prefix, error) {
	return parsePrefixes("security.proxies", c.Security.Proxies)
}
