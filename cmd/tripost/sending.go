package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"tripost/smtp/queue"
	"tripost/smtp/resolve"
	"tripost/syslog"
)

func queueOptions(cfg Config, log *syslog.Log) queue.Options {
	retry := make([]time.Duration, len(cfg.Queue.Retry))
	for i, d := range cfg.Queue.Retry {
		retry[i] = d.Duration
	}
	return queue.Options{
		Hostname: cfg.Hostname, Product: product(), MaxSize: int64(cfg.Message.Size), MaxHops: cfg.SMTP.Hops,
		Individual: cfg.Local.IndividualField, MaxItems: cfg.Queue.Limit,
		Retry: retry, WarnAfter: cfg.Queue.WarnAfter.Duration, ExpireAfter: cfg.Queue.ExpireAfter.Duration,
		OwnAddresses: cfg.Submission.OwnAddresses,
		Flow:         queue.Flow{Recipients: cfg.Submission.FlowRecipients, Period: cfg.Submission.FlowPeriod.Duration},
		Log:          log,
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

// newSender makes the part that sends to other hosts.
func (s *server) newSender() (*queue.Sender, error) {
	smarthost, err := s.cfg.smarthost()
	if err != nil {
		return nil, err
	}
	return queue.NewSender(s.queue, queue.SenderOptions{
		Port: s.cfg.Queue.SMTPPort, Smarthost: smarthost,
		DNS: s.resolver, Self: s.listensAt, Grace: grace,
	}), nil
}

// smarthost reads the smart host and its password.
func (c *Config) smarthost() (h queue.Smarthost, err error) {
	if c.Queue.Smarthost == "" {
		return h, nil
	}
	if h.Host, h.Port, err = hostPort(c.Queue.Smarthost); err != nil {
		return h, err
	}
	h.User = c.Queue.SmarthostUser
	if c.Queue.SmarthostPasswordFile != "" {
		text, err := os.ReadFile(c.Queue.SmarthostPasswordFile)
		if err != nil {
			return h, fmt.Errorf("queue.smarthost_password_file: %w", err)
		}
		h.Password = strings.TrimRight(string(text), "\r\n")
	}
	return h, nil
}

// hostPort reads queue.smarthost.
func hostPort(s string) (host string, port int, err error) {
	host, number, err := net.SplitHostPort(s)
	if err == nil {
		port, err = strconv.Atoi(number)
	}
	if err != nil || host == "" || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("queue.smarthost: %q is not host:port", s)
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
