package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"tripost/accounts"
	"tripost/smtp/screen"
)

// MailAuthConfig is the part of finding out who answers for a message.
type MailAuthConfig struct {
	Check      bool     `toml:"check" comment:"SPF, DKIM and DMARC of what strangers send"`
	DMARC      string   `toml:"dmarc" comment:"the most that is done with a message when the policy of its domain asks for it: mark, junk or refuse; for domains and accounts that do not say otherwise"`
	Time       Duration `toml:"time" comment:"longest wait for the DNS, for all checks of one message together"`
	Signatures int      `toml:"signatures" comment:"DKIM signatures of one message that are verified"`
}

// ScreenConfig is the first line against unwanted mail.
type ScreenConfig struct {
	Spam       string   `toml:"spam" comment:"what is done with a message that is called unwanted: mark, junk or refuse; for domains and accounts that do not say otherwise"`
	Lists      []string `toml:"lists" comment:"DNS lists of addresses that send unwanted mail: \"zone\", which is 5 points, or \"zone=points\""`
	AllowLists []string `toml:"allow_lists" comment:"DNS lists of addresses that are never screened"`
	Allow      []string `toml:"allow" comment:"never screened: IP or CIDR"`
	Time       Duration `toml:"time" comment:"longest wait for all lists together, and for each filter"`
	Wait       Duration `toml:"wait" comment:"how long after its connection a stranger's recipients wait for what the DNS says about its host; what comes later counts when the message is there"`

	Junk        float64 `toml:"junk" comment:"points from which on a message is unwanted; 0: never"`
	Refuse      float64 `toml:"refuse" comment:"points from which on it is refused, whoever is to get it; 0: never"`
	NoName      float64 `toml:"no_name" comment:"points of an address without a name that leads back to it"`
	Hello       float64 `toml:"hello" comment:"points of a name in EHLO that cannot be right"`
	Early       float64 `toml:"early" comment:"points of a client that does not wait for its turn"`
	SPFFail     float64 `toml:"spf_fail" comment:"points of SPF saying fail"`
	SPFSoftFail float64 `toml:"spf_softfail" comment:"points of SPF saying softfail"`

	Connections int      `toml:"connections" comment:"of one address within period; 0: no limit"`
	Messages    int      `toml:"messages" comment:"of one address within period; 0: no limit"`
	Unknown     int      `toml:"unknown" comment:"recipients that are refused to one address within period, after which it has to wait; 0: no limit"`
	Period      Duration `toml:"period"`

	Greylist      bool     `toml:"greylist" comment:"put off what comes from a network for the first time"`
	GreylistDelay Duration `toml:"greylist_delay" comment:"before which it may not come back"`
	GreylistWait  Duration `toml:"greylist_wait" comment:"how long it may take to come back"`
	GreylistKeep  Duration `toml:"greylist_keep" comment:"how long a network that came back is known"`
	TrapTime      Duration `toml:"trap_time" comment:"how long an address is refused that wrote to a trap of the router's table; 0: not at all"`
	Remember      int      `toml:"remember" comment:"most things remembered for greylisting and traps"`

	Rspamd             string   `toml:"rspamd" comment:"http://host:port of an rspamd; empty: none"`
	RspamdPasswordFile string   `toml:"rspamd_password_file"`
	Milters            []string `toml:"milters" comment:"unix:/path or host:port"`
	MustFilter         bool     `toml:"must_filter" comment:"while rspamd or a milter does not answer, mail is refused for the time being"`
}

func defaultMailAuth() MailAuthConfig {
	return MailAuthConfig{Check: true, DMARC: "mark", Time: Duration{10 * time.Second}, Signatures: 5}
}

func defaultScreen() ScreenConfig {
	return ScreenConfig{
		Spam: "junk", Lists: []string{}, AllowLists: []string{}, Allow: []string{}, Milters: []string{},
		Time: Duration{10 * time.Second}, Wait: Duration{2 * time.Second},
		Junk: 5, Refuse: 10, NoName: 2, Hello: 2, Early: 3, SPFFail: 3, SPFSoftFail: 1,
		Period:        Duration{time.Hour},
		GreylistDelay: Duration{5 * time.Minute}, GreylistWait: days(1), GreylistKeep: days(36),
		TrapTime: days(1), Remember: 100_000,
	}
}

// listPoints is what a list counts for that says nothing else.
const listPoints = 5

// checkScreen finds what is wrong with both parts.
func (c *Config) checkScreen() error {
	for _, h := range []struct{ key, value string }{{"mailauth.dmarc", c.MailAuth.DMARC}, {"screen.spam", c.Screen.Spam}} {
		if _, err := accounts.ParseHandling(h.value); err != nil {
			return fmt.Errorf("%s: %q is not mark, junk or refuse", h.key, h.value)
		}
	}
	s := &c.Screen
	for _, p := range []struct {
		key string
		v   float64
	}{
		{"junk", s.Junk}, {"refuse", s.Refuse}, {"no_name", s.NoName}, {"hello", s.Hello},
		{"early", s.Early}, {"spf_fail", s.SPFFail}, {"spf_softfail", s.SPFSoftFail},
	} {
		if !(p.v >= 0 && p.v <= 1000) {
			return fmt.Errorf("screen.%s: %v is not between 0 and 1000", p.key, p.v)
		}
	}
	if s.Rspamd != "" {
		if u, err := url.Parse(s.Rspamd); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("screen.rspamd: %q is not http://host:port", s.Rspamd)
		}
	}
	_, err := c.screenOptions()
	return err
}

// screenOptions reads what the configuration says of the first line, but for the
// password, which is in a file of its own.
func (c *Config) screenOptions() (screen.Options, error) {
	s := &c.Screen
	o := screen.Options{
		Hostname: c.Hostname, Time: s.Time.Duration,
		Points: screen.Points{
			NoName: s.NoName, Hello: s.Hello, Early: s.Early, SPFFail: s.SPFFail, SoftFail: s.SPFSoftFail,
			Junk: s.Junk, Refuse: s.Refuse,
		},
		Rates: screen.Rates{
			Connections: s.Connections, Messages: s.Messages, Refused: s.Unknown, Period: s.Period.Duration,
		},
		Greylist: screen.Greylist{
			On: s.Greylist, Delay: s.GreylistDelay.Duration, Wait: s.GreylistWait.Duration, Keep: s.GreylistKeep.Duration,
		},
		TrapTime: s.TrapTime.Duration, Remember: s.Remember,
		Rspamd: screen.Rspamd{URL: s.Rspamd}, MustFilter: s.MustFilter,
	}
	var err error
	if o.Lists, err = parseLists("screen.lists", s.Lists); err != nil {
		return o, err
	}
	if o.AllowLists, err = parseLists("screen.allow_lists", s.AllowLists); err != nil {
		return o, err
	}
	if o.Allow, err = parsePrefixes("screen.allow", s.Allow); err != nil {
		return o, err
	}
	for _, text := range s.Milters {
		m, err := screen.ParseMilter(text)
		if err != nil {
			return o, fmt.Errorf("screen.milters: %w", err)
		}
		o.Milters = append(o.Milters, m)
	}
	return o, nil
}

func parseLists(key string, texts []string) ([]screen.List, error) {
	var all []screen.List
	for _, text := range texts {
		l, err := screen.ParseList(text, listPoints)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// parsePrefixes reads a list of addresses and networks.
func parsePrefixes(key string, texts []string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, s := range texts {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, aerr := netip.ParseAddr(s)
			if aerr != nil {
				return nil, fmt.Errorf("%s: %q is neither an address nor a CIDR block", key, s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		list = append(list, p)
	}
	return list, nil
}

// secretFile reads a file that holds one secret; no path is no secret.
func secretFile(key, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}
