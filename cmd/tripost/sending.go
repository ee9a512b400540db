package main

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"tripost/history"
	"tripost/rules"
	"tripost/smtp/mtasts"
	"tripost/smtp/queue"
	"tripost/smtp/resolve"
	"tripost/smtp/send"
	"tripost/syslog"
)

func queueOptions(cfg Config, log *syslog.Log, r *rules.Rules, h *history.History) queue.Options {
	retry := make([]time.Duration, len(cfg.Queue.Retry))
	for i, d := range cfg.Queue.Retry {
		retry[i] = d.Duration
	}
	return queue.Options{
		Hostname: cfg.Hostname, Product: product(), MaxSize: int64(cfg.Message.Size), MaxHops: cfg.SMTP.Hops,
		Individual: cfg.Local.IndividualField, QuotaBounce: cfg.Local.QuotaBounce.Duration, MaxItems: cfg.Queue.Limit,
		Retry: retry, WarnAfter: cfg.Queue.WarnAfter.Duration, ExpireAfter: cfg.Queue.ExpireAfter.Duration,
		OwnAddresses: cfg.Submission.OwnAddresses, SpoolDirectory: cfg.Data,
		Flow:  queue.Flow{Recipients: cfg.Submission.FlowRecipients, Period: cfg.Submission.FlowPeriod.Duration},
		Rules: r, History: h, ForwardKeepsSender: cfg.Rules.ForwardFrom == "sender",
		Log: log,
	}
}

func (g ground) historyOptions(cfg Config, log *syslog.Log) history.Options {
	return history.Options{
		Keep: cfg.History.Keep.Duration, Limit: cfg.History.Limit, Now: g.now,
		Logf: func(format string, args ...any) { log.Tag("STORE").Logf(syslog.Problem, format, args...) },
	}
}

func (g ground) ruleOptions(cfg Config, log *syslog.Log) rules.Options {
	return rules.Options{
		Limit: cfg.Rules.Limit, VacationDays: cfg.Rules.VacationDays, Now: g.now,
		Logf: func(format string, args ...any) { log.Tag("LOCALRULES").Logf(syslog.Problem, format, args...) },
	}
}

// newResolver makes the part that asks DNS.
func newResolver(cfg Config) *resolve.Resolver {
	o := resolve.Options{Validates: cfg.Queue.ResolverValidates}
	if cfg.Queue.Resolver != "" {
		o.Servers = []string{cfg.Queue.Resolver}
	}
	return resolve.New(o)
}

// tlsLevels are the words for what a route asks of connections.
var tlsLevels = map[string]send.Level{
	"": send.Opportunistic, "opportunistic": send.Opportunistic, "encrypted": send.Encrypted, "verified": send.Verified,
}

// newSender makes the part that sends to other hosts.
func (s *server) newSender() (*queue.Sender, error) {
	smarthost, err := s.cfg.smarthost()
	if err != nil {
		return nil, err
	}
	routes, err := s.cfg.routes()
	if err != nil {
		return nil, err
	}
	authorities, err := readAuthorities("queue.authorities", s.cfg.Queue.Authorities)
	if err != nil {
		return nil, err
	}
	return queue.NewSender(s.queue, queue.SenderOptions{
		Port: s.cfg.Queue.SMTPPort, Smarthost: smarthost, Routes: routes,
		DNS: s.resolver, RootCAs: authorities, Signer: signer{s.keys, s.directory},
		Policies: mtasts.New(s.resolver, s.queue, mtasts.Options{
			Port: s.cfg.Queue.PolicyPort, RootCAs: authorities, Log: s.rooms.log.Tag("SMTP"), Now: s.ground.now,
		}),
		Workers: s.cfg.Queue.Connections, PerHost: s.cfg.Queue.ConnectionsPerHost, Ready: s.cfg.Queue.Ready,
		Self: s.listensAt, Search: s.cfg.Queue.Search.Duration, Grace: grace,
	}), nil
}

// readAuthorities reads the PEM file that a key names; nil where it names none:
// the system's.
func readAuthorities(key, path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: %s has no certificate", key, path)
	}
	return pool, nil
}

// smarthost reads the smart host and its password.
func (c *Config) smarthost() (h queue.Smarthost, err error) {
	if c.Queue.Smarthost == "" {
		return h, nil
	}
	if h.Host, h.Port, err = hostPort("queue.smarthost", c.Queue.Smarthost); err != nil {
		return h, err
	}
	h.User = c.Queue.SmarthostUser
	h.Password, err = readSecret("queue.smarthost_password_file", c.Queue.SmarthostPasswordFile)
	return h, err
}

// routes reads the routes of the configuration and their passwords.
func (c *Config) routes() (list []queue.Route, err error) {
	for _, r := range c.Queue.Route {
		one := queue.Route{Domain: r.Domain, User: r.User, Level: tlsLevels[r.TLS]}
		if r.Host != "" {
			if one.Host, one.Port, err = hostPort("queue.route", r.Host); err != nil {
				return nil, err
			}
		}
		if one.Password, err = readSecret("queue.route: password_file", r.PasswordFile); err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// readSecret reads a file with a password; empty: there is none.
func readSecret(key, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// hostPort reads host:port.
func hostPort(key, s string) (host string, port int, err error) {
	host, number, err := net.SplitHostPort(s)
	if err == nil {
		port, err = strconv.Atoi(number)
	}
	if err != nil || host == "" || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("%s: %q is not host:port", key, s)
	}
	return host, port, nil
}

// listensAt reports whether one of our listeners takes mail at an address:
// mail that leads there would come back.
func (s *server) listensAt(a netip.AddrPort) bool {
	for _, m := range s.modules {
		for _, l := range m.listeners {
			tcp, ok := l.Addr().(*net.TCPAddr)
			if !ok || tcp.Port != int(a.Port()) {
				continue
			}
			ip := tcp.AddrPort().Addr().Unmap()
			if ip.IsUnspecified() && ownAddress(a.Addr()) || ip == a.Addr().Unmap() {
				return true
			}
		}
	}
	return false
}
