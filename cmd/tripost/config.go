package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"tripost/admin"
	"tripost/syslog"
)

// Config is the configuration file: see docs/configuration.md. An unknown key
// is an error, so a mistyped limit never goes unnoticed.
type Config struct {
	Hostname string `toml:"hostname" comment:"the name in greetings, Received fields and EHLO; empty: the machine's"`
	Data     string `toml:"data" comment:"directory of the store, certificates and control socket"`

	Log        LogConfig        `toml:"log"`
	Store      StoreConfig      `toml:"store"`
	TLS        TLSConfig        `toml:"tls"`
	Security   SecurityConfig   `toml:"security"`
	Message    MessageConfig    `toml:"message"`
	POP        POPConfig        `toml:"pop"`
	IMAP       IMAPConfig       `toml:"imap"`
	SMTP       SMTPConfig       `toml:"smtp"`
	Submission SubmissionConfig `toml:"submission"`
	LMTP       LMTPConfig       `toml:"lmtp"`
	Local      LocalConfig      `toml:"local"`
	Queue      QueueConfig      `toml:"queue"`
	Admin      AdminConfig      `toml:"admin"`
}

// LogConfig is the System Log's part.
type LogConfig struct {
	Directory string         `toml:"directory" comment:"of the files YYYY-MM-DD.log; empty: DATA/SystemLogs; \"-\": standard error"`
	Level     int            `toml:"level" comment:"0 crash, 1 failure, 2 major, 3 problem, 4 protocol, 5 raw"`
	Levels    map[string]int `toml:"levels" comment:"levels of single modules, by tag: levels = { POP = 4 }"`
	Format    string         `toml:"format" comment:"text or json"`
	Keep      Duration       `toml:"keep" comment:"age at which log files are removed; 0: never"`
}

// StoreConfig is the store's part.
type StoreConfig struct {
	Engine   string   `toml:"engine" comment:"local"`
	URL      string   `toml:"url" comment:"of a database, for engines that use one"`
	Undelete Duration `toml:"undelete" comment:"how long removed messages can be restored"`
}

// TLSConfig names the certificate.
type TLSConfig struct {
	Certificate string `toml:"certificate" comment:"PEM file; empty: a self-signed one, made in DATA"`
	Key         string `toml:"key" comment:"PEM file"`
}

// SecurityConfig says whom the server trusts with what.
type SecurityConfig struct {
	CleartextLogin  string   `toml:"cleartext_login" comment:"passwords without TLS: never, loopback or always"`
	ClientAddresses []string `toml:"client_addresses" comment:"may relay without signing in: IP, \"a - b\", CIDR, and with ! excepted"`
	Proxies         []string `toml:"proxies" comment:"PROXY protocol is expected from these: IP or CIDR"`
	PerAddress      int      `toml:"per_address" comment:"connections of one remote address to one module; 0: no limit"`
	SignInTime      Duration `toml:"sign_in_time" comment:"time a client has to sign in, and for a TLS handshake"`
}

// MessageConfig bounds what one message may be, and what of it is looked at.
type MessageConfig struct {
	Size       Size `toml:"size" comment:"largest message accepted (SIZE, APPENDLIMIT)"`
	Recipients int  `toml:"recipients" comment:"most recipients of one message"`
	Header     Size `toml:"header" comment:"octets of a header that are looked at; more is stored and served raw"`
	Parts      int  `toml:"parts" comment:"MIME parts whose structure is kept"`
	Depth      int  `toml:"depth" comment:"nesting of MIME parts whose structure is kept"`
}

// POPConfig is the POP module's part.
type POPConfig struct {
	Channels  int      `toml:"channels" comment:"most connections; 0 turns the module off"`
	Listen    []string `toml:"listen" comment:"clear text, STLS offered"`
	ListenTLS []string `toml:"listen_tls" comment:"TLS from the first octet; 995 is not enabled by default"`
	Line      Size     `toml:"line" comment:"longest command line"`
	Idle      Duration `toml:"idle" comment:"autologout after sign-in; RFC 1939 asks for 10 minutes or more"`
}

// IMAPConfig is the IMAP module's part.
type IMAPConfig struct {
	Channels  int      `toml:"channels" comment:"most connections; 0 turns the module off"`
	Listen    []string `toml:"listen"`
	ListenTLS []string `toml:"listen_tls"`
	Line      Size     `toml:"line" comment:"longest command, with its small literals"`
	Idle      Duration `toml:"idle" comment:"autologout after sign-in; RFC 9051 asks for 30 minutes or more"`
}

// SMTPConfig is the part of the mail exchanger.
type SMTPConfig struct {
	Channels int      `toml:"channels" comment:"most connections, and as many again for submission; 0 turns both off"`
	Listen   []string `toml:"listen"`
	Line     Size     `toml:"line" comment:"longest command line"`
	Idle     Duration `toml:"idle" comment:"longest wait for a command or for more of a message"`
	Hops     int      `toml:"hops" comment:"Received fields that make a message a loop"`
}

// SubmissionConfig lists where users send from.
type SubmissionConfig struct {
	Listen    []string `toml:"listen"`
	ListenTLS []string `toml:"listen_tls"`
}

// LMTPConfig is accepted so that a configuration survives the module's arrival.
type LMTPConfig struct {
	Listen []string `toml:"listen" comment:"host:port or unix:/path"`
}

// LocalConfig is the part of local delivery.
type LocalConfig struct {
	IndividualField         string `toml:"individual_field" comment:"header field that names the individual of a unified account"`
	DirectMailboxAddressing bool   `toml:"direct_mailbox_addressing" comment:"mailbox#account@domain"`
	Subaddress              string `toml:"subaddress" comment:"account+detail@domain; empty: off"`
}

// QueueConfig is the part of the outbound queue.
type QueueConfig struct {
	Retry                 []Duration `toml:"retry" comment:"waits between attempts; the last one repeats"`
	WarnAfter             Duration   `toml:"warn_after" comment:"when the sender is told of a delay"`
	ExpireAfter           Duration   `toml:"expire_after" comment:"when the server gives up"`
	Smarthost             string     `toml:"smarthost" comment:"host:port that takes everything for other hosts"`
	SmarthostUser         string     `toml:"smarthost_user"`
	SmarthostPasswordFile string     `toml:"smarthost_password_file"`
	Resolver              string     `toml:"resolver" comment:"DNS server, host:port; empty: the system's"`
	SMTPPort              int        `toml:"smtp_port" comment:"port of other hosts"`
	Limit                 int        `toml:"limit" comment:"most messages in the queue; more are refused for the time being"`
}

// AdminConfig is the part of the HTTP listener.
type AdminConfig struct {
	Listen string `toml:"listen" comment:"answers /health; empty: off"`
}

// defaultConfig is what holds for every key that the file does not set.
func defaultConfig() Config {
	return Config{
		Data: "/var/lib/tripost",
		Log:  LogConfig{Level: int(syslog.Problem), Format: "text", Keep: days(30)},
		Store: StoreConfig{
			Engine: "local", Undelete: days(14),
		},
		Security: SecurityConfig{
			CleartextLogin:  "loopback",
			ClientAddresses: []string{"127.0.0.1", "::1"},
			Proxies:         []string{},
			PerAddress:      50,
			SignInTime:      Duration{time.Minute},
		},
		Message: MessageConfig{Size: 50 << 20, Recipients: 1000, Header: 256 << 10, Parts: 1000, Depth: 50},
		POP: POPConfig{
			Channels: 500, Listen: []string{"0.0.0.0:110"}, ListenTLS: []string{},
			Line: 512, Idle: Duration{10 * time.Minute},
		},
		IMAP: IMAPConfig{
			Channels: 5000, Listen: []string{"0.0.0.0:143"}, ListenTLS: []string{"0.0.0.0:993"},
			Line: 64 << 10, Idle: Duration{30 * time.Minute},
		},
		SMTP: SMTPConfig{
			Channels: 500, Listen: []string{"0.0.0.0:25"},
			Line: 2048, Idle: Duration{5 * time.Minute}, Hops: 100,
		},
		Submission: SubmissionConfig{Listen: []string{"0.0.0.0:587"}, ListenTLS: []string{"0.0.0.0:465"}},
		LMTP:       LMTPConfig{Listen: []string{}},
		Local:      LocalConfig{IndividualField: "X-Real-To", DirectMailboxAddressing: true, Subaddress: "+"},
		Queue: QueueConfig{
			Retry: []Duration{
				Duration{5 * time.Minute}, Duration{10 * time.Minute}, Duration{30 * time.Minute},
				Duration{time.Hour}, Duration{2 * time.Hour}, Duration{4 * time.Hour},
			},
			WarnAfter: Duration{4 * time.Hour}, ExpireAfter: days(5), SMTPPort: 25, Limit: 100_000,
		},
		Admin: AdminConfig{Listen: "127.0.0.1:8010"},
	}
}

// findConfig returns the configuration file's path: the flag, else
// $TRIPOST_CONFIG, else tripost.toml here, else /etc/tripost/tripost.toml.
func findConfig(flag string) string {
	if flag != "" {
		return flag
	}
	if env := os.Getenv("TRIPOST_CONFIG"); env != "" {
		return env
	}
	if _, err := os.Stat("tripost.toml"); err == nil {
		return "tripost.toml"
	}
	return "/etc/tripost/tripost.toml"
}

// loadConfig reads and checks a configuration file. Relative paths in it are
// relative to the file, so that the commands work from any directory.
func loadConfig(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	c := defaultConfig()
	d := toml.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("%s: %s", path, describeTOML(err, string(text)))
	}
	c.resolve(filepath.Dir(path))
	if err := c.check(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// badValue is a value that its type could not read. For a
// number the decoder does not say where it stands.
type badValue struct{ value, want string }

func (e *badValue) Error() string { return fmt.Sprintf("%q is not %s", e.value, e.want) }

const (
	aDuration = "a duration such as 90s, 15m, 12h or 14d"
	aSize     = "a size such as 64K, 50M or 1G"
)

// describeTOML says in one sentence where in the text and what is wrong.
func describeTOML(err error, text string) string {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		row, _ := strict.Errors[0].Position()
		return fmt.Sprintf("line %d: there is no key %q", row, strings.Join(strict.Errors[0].Key(), "."))
	}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		row, column := decode.Position()
		return fmt.Sprintf("line %d, column %d: %s", row, column, strings.TrimPrefix(decode.Error(), "toml: "))
	}
	var bad *badValue
	if errors.As(err, &bad) {
		row := 1
		for line := range strings.Lines(text) {
			_, after, _ := strings.Cut(line, "=")
			if strings.Contains(after, bad.value) {
				return fmt.Sprintf("line %d: %s", row, bad)
			}
			row++
		}
		return bad.Error()
	}
	return err.Error()
}

// resolve makes paths absolute and fills in what depends on the machine.
func (c *Config) resolve(base string) {
	if c.Hostname == "" {
		c.Hostname, _ = os.Hostname()
	}
	abs := func(p *string) {
		if *p != "" && *p != "-" && !filepath.IsAbs(*p) {
			*p = filepath.Join(base, *p)
			if a, err := filepath.Abs(*p); err == nil {
				*p = a
			}
		}
	}
	abs(&c.Data)
	if c.Log.Directory == "" {
		c.Log.Directory = filepath.Join(c.Data, "SystemLogs")
	}
	abs(&c.Log.Directory)
	abs(&c.TLS.Certificate)
	abs(&c.TLS.Key)
	abs(&c.Queue.SmarthostPasswordFile)
}

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
	switch c.Security.CleartextLogin {
	case "never", "loopback", "always":
	default:
		return fmt.Errorf("security.cleartext_login: %q is not never, loopback or always", c.Security.CleartextLogin)
	}
	if len(c.LMTP.Listen) > 0 {
		return errors.New("lmtp.listen: this version has no LMTP listener")
	}
	return errors.Join(c.checkNumbers(), c.checkListeners(), c.checkProxies())
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
		{"security.sign_in_time", int64(c.Security.SignInTime.Duration), int64(time.Second)},
		{"pop.channels", int64(c.POP.Channels), 0},
		{"pop.line", int64(c.POP.Line), 255}, // RFC 2449 4
		{"pop.idle", int64(c.POP.Idle.Duration), int64(time.Second)},
		{"imap.channels", int64(c.IMAP.Channels), 0},
		{"imap.line", int64(c.IMAP.Line), 8 << 10},
		{"imap.idle", int64(c.IMAP.Idle.Duration), int64(time.Second)},
		{"smtp.channels", int64(c.SMTP.Channels), 0},
		{"smtp.line", int64(c.SMTP.Line), 512}, // RFC 5321 4.5.3.1.4
		{"smtp.idle", int64(c.SMTP.Idle.Duration), int64(time.Second)},
		{"smtp.hops", int64(c.SMTP.Hops), 10},
		{"queue.limit", int64(c.Queue.Limit), 1},
		{"queue.smtp_port", int64(c.Queue.SMTPPort), 1},
		{"queue.retry", int64(len(c.Queue.Retry)), 1},
	} {
		if n.v < n.least {
			return fmt.Errorf("%s: %d is below the least value, %d", n.key, n.v, n.least)
		}
	}
	return nil
}

func (c *Config) checkListeners() error {
	seen := map[string]string{}
	for key, list := range map[string][]string{
		"pop.listen": c.POP.Listen, "pop.listen_tls": c.POP.ListenTLS,
		"imap.listen": c.IMAP.Listen, "imap.listen_tls": c.IMAP.ListenTLS,
		"smtp.listen": c.SMTP.Listen, "submission.listen": c.Submission.Listen, "submission.listen_tls": c.Submission.ListenTLS,
	} {
		for _, addr := range list {
			if _, port, err := net.SplitHostPort(addr); err != nil {
				return fmt.Errorf("%s: %q is not host:port", key, addr)
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

// proxyPrefixes reads security.proxies.
func (c *Config) proxyPrefixes() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, s := range c.Security.Proxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, aerr := netip.ParseAddr(s)
			if aerr != nil {
				return nil, fmt.Errorf("security.proxies: %q is neither an address nor a CIDR block", s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		list = append(list, p)
	}
	return list, nil
}

// Duration is a time.Duration written as 90s, 15m, 12h or 14d. It is a struct so
// that a bare number in the file is an error, not nanoseconds.
type Duration struct{ time.Duration }

func days(n int) Duration { return Duration{time.Duration(n) * 24 * time.Hour} }

// UnmarshalText reads a duration; a bare 0 is allowed.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if number, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n > 36500 {
			return &badValue{s, aDuration}
		}
		*d = days(n)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return &badValue{s, aDuration}
	}
	d.Duration = v
	return nil
}

// MarshalText writes the duration in its largest whole unit.
func (d Duration) MarshalText() ([]byte, error) {
	v := d.Duration
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if v != 0 && v%u.unit == 0 {
			return []byte(strconv.FormatInt(int64(v/u.unit), 10) + u.name), nil
		}
	}
	return []byte(v.String()), nil
}

// Size is a number of octets written as 64K, 50M or 1G, or as a number in a string.
type Size int64

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	v, err := admin.ParseSize(string(text))
	if err != nil {
		return &badValue{string(text), aSize}
	}
	*s = Size(v)
	return nil
}

// MarshalText writes a size in its largest whole unit.
func (s Size) MarshalText() ([]byte, error) { return []byte(admin.FormatSize(int64(s))), nil }
