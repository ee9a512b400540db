package mtasts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"tripost/syslog"
)

// DNS is what is asked for the records and for the web server's addresses.
type DNS interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Keeper keeps policies over a new start of the server.
type Keeper interface {
	// LoadPolicy returns the record of a domain; nil: there is none.
	LoadPolicy(ctx context.Context, domain string) ([]byte, error)
	SavePolicy(ctx context.Context, domain string, record []byte) error
}

// Options of a [Client]. Zero values take the defaults.
type Options struct {
	Port    int            // of web servers; default 443
	RootCAs *x509.CertPool // default: the system's
	Timeout time.Duration  // of a fetch; default 1 minute (RFC 8461 section 3.3)
	Now     func() time.Time
	Log     *syslog.Logger // nil: silent
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client finds policies. It is safe for concurrent use.
type Client struct {
	dns    DNS
	keeper Keeper
	o      Options
	web    *http.Client

	mu     sync.Mutex           // guards what follows
	failed map[string]time.Time // domains whose policy could not be fetched
}

const (
	// failurePause is the wait until a fetch that failed is tried again: RFC 8461
	// section 3.3.
	failurePause = 5 * time.Minute
	// refreshAfter is the age from which on a policy that still holds is fetched
	// again, also when its record has not changed: once a day at most, and in time
	// before it ends. RFC 8461 section 3.3 asks for that, so that an attacker must
	// hold fetches up for as long as the policy holds.
	refreshAfter = 24 * time.Hour
	// refreshPause is the wait after such a fetch has failed.
	refreshPause = time.Hour
	maxFailed    = 10_000
	maxAddrs     = 4 // of a web server that are tried
)

// New returns a client.
func New(d DNS, k Keeper, o Options) *Client {
	if o.Port == 0 {
		o.Port = 443
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = syslog.Discard().Tag("SMTP")
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	c := &Client{dns: d, keeper: k, o: o, failed: make(map[string]time.Time)}
	c.web = &http.Client{
		Timeout: o.Timeout,
		Transport: &http.Transport{
			DialContext:            c.dial,
			TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// dial reaches a web server by the addresses that our own DNS gives.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := c.dns.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	err = errors.New("no address")
	for _, a := range addrs[:min(len(addrs), maxAddrs)] {
		var nc net.Conn
		if nc, err = c.o.Dial(ctx, network, net.JoinHostPort(a.String(), port)); err == nil {
			return nc, nil
		}
	}
	return nil, err
}

// Policy returns the policy of a domain that holds now, if there is one. A
// policy of mode none is none.
func (c *Client) Policy(ctx context.Context, domain string) (Policy, bool) {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	p, have := c.kept(ctx, domain)
	records, err := c.dns.LookupTXT(ctx, "_mta-sts."+domain)
	id, ok := recordID(records)
	same := have && p.ID == id
	if err == nil && ok && !(same && p.fresh(c.o.Now())) {
		pause := failurePause
		if same {
			pause = refreshPause
		}
		if renewed, ok := c.renew(ctx, domain, id, pause); ok {
			p, have = renewed, true
		}
	}
	return p, have && p.Mode != Off
}

// kept returns the policy that was fetched earlier, while it holds.
func (c *Client) kept(ctx context.Context, domain string) (Policy, bool) {
	record, err := c.keeper.LoadPolicy(ctx, domain)
	if err != nil || record == nil {
		if err != nil {
			c.o.Log.Logf(syslog.Failure, "MTA-STS policy of %s: %v", domain, err)
		}
		return Policy{}, false
	}
	p, err := Decode(record)
	return p, err == nil && p.holds(c.o.Now())
}

// renew fetches a policy and keeps it. After a failure it waits for a pause.
func (c *Client) renew(ctx context.Context, domain, id string, pause time.Duration) (Policy, bool) {
	now := c.o.Now()
	c.mu.Lock()
	at, failed := c.failed[domain]
	c.mu.Unlock()
	if failed && now.Before(at.Add(pause)) {
		return Policy{}, false
	}
	p, err := c.fetch(ctx, domain)
	if err != nil {
		if ctx.Err() == nil {
			c.remember(domain, now)
			c.o.Log.Logf(syslog.Problem, "MTA-STS policy of %s: %v", domain, err)
		}
		return p, false
	}
	c.mu.Lock()
	delete(c.failed, domain)
	c.mu.Unlock()
	p.ID, p.Fetched = id, now
	if err := c.keeper.SavePolicy(ctx, domain, p.Encode()); err != nil {
		c.o.Log.Logf(syslog.Failure, "keep the MTA-STS policy of %s: %v", domain, err)
	}
	return p, true
}

// remember notes a failure. When there are too many the oldest notes go.
func (c *Client) remember(domain string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.failed) >= maxFailed {
		for d, at := range c.failed {
			if !now.Before(at.Add(failurePause)) || len(c.failed) >= maxFailed {
				delete(c.failed, d)
			}
		}
	}
	c.failed[domain] = now
}

// fetch asks the domain's web server: RFC 8461 section 3.3.
func (c *Client) fetch(ctx context.Context, domain string) (Policy, error) {
	host := "mta-sts." + domain
	if c.o.Port != 443 {
		host = net.JoinHostPort(host, strconv.Itoa(c.o.Port))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return Policy{}, err
	}
	resp, err := c.web.Do(r)
	if err != nil {
		return Policy{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Policy{}, fmt.Errorf("the web server answered %d", resp.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return Policy{}, errors.New("the web server's answer is not text/plain")
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPolicy+1))
	switch {
	case err != nil:
		return Policy{}, err
	case len(text) > maxPolicy:
		return Policy{}, fmt.Errorf("%w: it is too long", errPolicy)
	}
	return Parse(string(text))
}
