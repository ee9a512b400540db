package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

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
	MailAuth   MailAuthConfig   `toml:"mailauth"`
	Screen     ScreenConfig     `toml:"screen"`
	Local      LocalConfig      `toml:"local"`
	Queue      QueueConfig      `toml:"queue"`
	Alerts     AlertsConfig     `toml:"alerts"`
	Backup     BackupConfig     `toml:"backup"`
	Rules      RulesConfig      `toml:"rules"`
	History    HistoryConfig    `toml:"history"`
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

	ACME            string   `toml:"acme" comment:"URL of a certification authority's ACME directory, for a certificate that renews itself; empty: off"`
	ACMEEmail       string   `toml:"acme_email" comment:"address for the authority's notices"`
	ACMENames       []string `toml:"acme_names" comment:"names in the certificate beside hostname"`
	ACMEHTTP        string   `toml:"acme_http" comment:"host:port that the authority reaches as port 80 (http-01); empty: off"`
	ACMETLS         string   `toml:"acme_tls" comment:"host:port that the authority reaches as port 443 (tls-alpn-01); empty: off"`
	ACMEAuthorities string   `toml:"acme_authorities" comment:"PEM file of those who vouch for that authority's own server; empty: the system's"`

	ClientAuth bool `toml:"client_certificates" comment:"ask users' programs for a certificate, to sign in by it (EXTERNAL); some then ask their user"`
}

// SecurityConfig says whom the server trusts with what.
type SecurityConfig struct {
	CleartextLogin  string   `toml:"cleartext_login" comment:"passwords without TLS: never, loopback or always"`
	ClientAddresses []string `toml:"client_addresses" comment:"may relay without signing in: IP, \"a - b\", CIDR, and with ! excepted"`
	Proxies         []string `toml:"proxies" comment:"PROXY protocol is expected from these: IP or CIDR"`
	PerAddress      int      `toml:"per_address" comment:"connections of one remote address to one module; 0: no limit"`
	SignInTime      Duration `toml:"sign_in_time" comment:"time a client has to sign in, and for a TLS handshake"`
	RememberSignIn  Duration `toml:"remember_sign_in" comment:"how long a right password is known without hashing it again; 0: not at all"`
	SecureMethods   bool     `toml:"secure_method_required" comment:"no password in clear without TLS, for domains and accounts that do not say otherwise"`

	OAuth OAuthConfig `toml:"oauth"`
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
	Language  string   `toml:"language" comment:"of replies to clients that leave the choice to the server (LANG *): en, de, fr, es, ru or ja"`

	ExpireDays   int      `toml:"expire_days" comment:"days after which a message that was read is removed at the end of a session, restorable; 0: never"`
	LoginDelay   Duration `toml:"login_delay" comment:"wait from one sign-in of an account to its next; 0: none"`
	HoldMessages int      `toml:"hold_messages" comment:"a session that removes more than hold_percent of a mailbox with more than so many messages has its owner told"`
	HoldPercent  int      `toml:"hold_percent" comment:"0: never"`
}

// IMAPConfig is the IMAP module's part.
type IMAPConfig struct {
	Channels   int      `toml:"channels" comment:"most connections; 0 turns the module off"`
	Listen     []string `toml:"listen"`
	ListenTLS  []string `toml:"listen_tls"`
	Line       Size     `toml:"line" comment:"longest command, with its small literals"`
	Idle       Duration `toml:"idle" comment:"autologout after sign-in; RFC 9051 asks for 30 minutes or more"`
	Search     Size     `toml:"search_octets" comment:"octets of messages that one SEARCH, SORT or THREAD may read"`
	Sort       Size     `toml:"sort_memory" comment:"octets of memory that one SORT or THREAD may take"`
	SearchKept Size     `toml:"search_kept" comment:"octets of memory for the orders of mailboxes that were sorted and the header fields that were searched lately, of all sessions together"`
	Messages   int      `toml:"message_limit" comment:"messages that one command may deal with, told to clients (MESSAGELIMIT); 1000 or more; 0: any number"`
	StillHere  Duration `toml:"still_here" comment:"between the signs of life of a session in IDLE"`
	Hide       []string `toml:"hide" comment:"capabilities that clients are not told of, such as COMPRESS, for domains and accounts that do not say otherwise"`
}

// SMTPConfig is the part of the mail exchanger.
type SMTPConfig struct {
	Channels     int      `toml:"channels" comment:"most connections, and as many again for submission; 0 turns both off"`
	Listen       []string `toml:"listen"`
	Line         Size     `toml:"line" comment:"longest command line"`
	Idle         Duration `toml:"idle" comment:"longest wait for a command or for more of a message"`
	DataRate     Size     `toml:"data_rate" comment:"octets a second in which mail data must come at least, after a minute; 0: no matter"`
	ReadThenSend Duration `toml:"read_then_send" comment:"how long an address from which somebody signed in to POP or IMAP may relay without signing in; 0: not at all"`
	Hops         int      `toml:"hops" comment:"Received fields that make a message a loop"`
}

// SubmissionConfig says where users send from, and what.
type SubmissionConfig struct {
	Listen         []string `toml:"listen"`
	ListenTLS      []string `toml:"listen_tls"`
	OwnAddresses   bool     `toml:"own_addresses" comment:"who signs in may use no other addresses as sender and in From than those that lead to it"`
	FlowRecipients int      `toml:"flow_recipients" comment:"recipients at other hosts to which one account may send within flow_period; 0: no limit"`
	FlowPeriod     Duration `toml:"flow_period"`
}

// LMTPConfig lists where another mail transfer agent hands over local mail.
type LMTPConfig struct {
	Listen []string `toml:"listen" comment:"host:port, not port 25, or unix:/path, which the owner and the group may use"`
}

// LocalConfig is the part of local delivery.
type LocalConfig struct {
	IndividualField         string `toml:"individual_field" comment:"header field that names the individual of a unified account"`
	DirectMailboxAddressing bool   `toml:"direct_mailbox_addressing" comment:"mailbox#account@domain"`
	Subaddress              string `toml:"subaddress" comment:"account+detail@domain; empty: off"`

	Services      string   `toml:"services" comment:"what accounts may do, where neither they nor their domain say otherwise: all, none, or some of mail, pop, imap, relay"`
	Quota         Size     `toml:"quota" comment:"octets that an account may keep, where neither it nor its domain says otherwise; 0: no limit"`
	QuotaMessages int      `toml:"quota_messages" comment:"messages, likewise"`
	QuotaBounce   Duration `toml:"quota_bounce" comment:"mail for an account without room is refused as what may pass, and after that time for good; 0: never for good"`
}

// QueueConfig is the part of the outbound queue.
type QueueConfig struct {
	Retry                 []Duration `toml:"retry" comment:"waits between attempts; the last one repeats"`
	WarnAfter             Duration   `toml:"warn_after" comment:"when the sender is told of a delay"`
	ExpireAfter           Duration   `toml:"expire_after" comment:"when the server gives up"`
	Smarthost             string     `toml:"smarthost" comment:"host:port that takes everything for other hosts"`
	SmarthostUser         string     `toml:"smarthost_user"`
	SmarthostPasswordFile string     `toml:"smarthost_password_file"`
	Resolver              string     `toml:"resolver" comment:"DNS server, host:port; empty: those of resolv.conf"`
	ResolverValidates     bool       `toml:"resolver_validates" comment:"it validates DNSSEC and nobody can change its answers on the way here: DANE is used"`
	SMTPPort              int        `toml:"smtp_port" comment:"port of other hosts"`
	PolicyPort            int        `toml:"policy_port" comment:"port of the web servers that MTA-STS policies are fetched from"`
	Authorities           string     `toml:"authorities" comment:"PEM file of the authorities that other hosts' certificates are verified with; empty: the system's"`
	Connections           int        `toml:"connections" comment:"most connections to other hosts at once"`
	ConnectionsPerHost    int        `toml:"connections_per_host" comment:"most of them for one destination; fewer where a host bears fewer"`
	Ready                 int        `toml:"ready" comment:"messages known in memory as due; the others wait in the store"`
	Search                Duration   `toml:"search" comment:"how long it may take to find a host of a destination that is ready for mail; then it is put off, and hosts that were not asked come first the next time"`
	Limit                 int        `toml:"limit" comment:"most messages in the queue; more are refused for the time being"`

	Route []QueueRoute `toml:"route" comment:"where mail for single domains is sent, or how: each a table [[queue.route]] with domain (\"company.test\", \"*.company.test\", or a host that the router names, with :port or without), host (host:port; empty: as it would go anyway), user, password_file, tls (opportunistic, encrypted or verified)"`
}

// QueueRoute is one [[queue.route]].
type QueueRoute struct {
	Domain       string `toml:"domain"`
	Host         string `toml:"host"`
	User         string `toml:"user"`
	PasswordFile string `toml:"password_file"`
	TLS          string `toml:"tls"`
}

// AlertsConfig is the part of what users are told at sign-in.
type AlertsConfig struct {
	QuotaPercent int `toml:"quota_percent" comment:"share of an account's quota from which on its user is told, once each time it is passed and once a day at most; 0: never"`
	Limit        int `toml:"limit" comment:"most alerts posted for the server, for one domain, for one account"`

	FailedSignIns   bool `toml:"failed_sign_ins" comment:"tell a user, once a day at most, that somebody has tried ten wrong passwords and more"`
	CertificateDays int  `toml:"certificate_days" comment:"tell the postmaster so long before the TLS certificate runs out; 0: never"`
	DiskPercent     int  `toml:"disk_percent" comment:"tell the postmaster when less of the store's disk is free; 0: never"`
}

// BackupConfig is the schedule of backups.
type BackupConfig struct {
	Directory string   `toml:"directory" comment:"where backups go, best on another disk; empty: none are made by themselves"`
	Every     Duration `toml:"every" comment:"age of the newest backup at which the next one is made"`
	Keep      int      `toml:"keep" comment:"how many are kept; 0: all"`
	Verify    bool     `toml:"verify" comment:"read each backup and check a copy of its store"`
	Report    bool     `toml:"report" comment:"mail the postmaster about every backup, not only about those that failed"`
}

// RulesConfig is the part of what accounts want done with mail that arrives.
type RulesConfig struct {
	Limit        int    `toml:"limit" comment:"most rules of one account"`
	VacationDays int    `toml:"vacation_days" comment:"after which a sender is told again that an account is away, where its rule does not say"`
	ForwardFrom  string `toml:"forward_from" comment:"reverse-path of what rules forward to other hosts: account, or sender to leave it"`
}

// HistoryConfig is the part of what is remembered of messages.
type HistoryConfig struct {
	Keep  Duration `toml:"keep" comment:"how long what became of a message can be explained after it is gone"`
	Limit int      `toml:"limit" comment:"most records of what was done in one mailbox; of more, the oldest go"`
}

// AdminConfig is the part of the HTTP listener.
type AdminConfig struct {
	Listen string `toml:"listen" comment:"answers /health and /metrics; empty: off"`
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
			RememberSignIn:  Duration{10 * time.Minute},
			OAuth:           OAuthConfig{Claim: "email", Time: Duration{5 * time.Second}, Remember: Duration{time.Minute}},
		},
		TLS:     TLSConfig{ACMENames: []string{}, ACMEHTTP: "0.0.0.0:80"},
		Message: MessageConfig{Size: 50 << 20, Recipients: 1000, Header: 256 << 10, Parts: 1000, Depth: 50},
		POP: POPConfig{
			Channels: 500, Listen: []string{"0.0.0.0:110"}, ListenTLS: []string{},
			Line: 512, Idle: Duration{10 * time.Minute}, Language: "en",
		},
		IMAP: IMAPConfig{
			Channels: 5000, Listen: []string{"0.0.0.0:143"}, ListenTLS: []string{"0.0.0.0:993"},
			Line: 64 << 10, Idle: Duration{30 * time.Minute}, Search: 64 << 30, Sort: 256 << 20, SearchKept: 32 << 20,
			StillHere: Duration{4 * time.Minute},
		},
		SMTP: SMTPConfig{
			Channels: 500, Listen: []string{"0.0.0.0:25"},
			Line: 2048, Idle: Duration{5 * time.Minute}, DataRate: 100, Hops: 100,
		},
		Submission: SubmissionConfig{
			Listen: []string{"0.0.0.0:587"}, ListenTLS: []string{"0.0.0.0:465"},
			OwnAddresses: true, FlowPeriod: Duration{time.Hour},
		},
		LMTP:     LMTPConfig{Listen: []string{}},
		MailAuth: defaultMailAuth(), Screen: defaultScreen(),
		Local: LocalConfig{IndividualField: "X-Real-To", DirectMailboxAddressing: true, Subaddress: "+", Services: "all", QuotaBounce: days(3)},
		Queue: QueueConfig{
			Retry: []Duration{
				Duration{5 * time.Minute}, Duration{10 * time.Minute}, Duration{30 * time.Minute},
				Duration{time.Hour}, Duration{2 * time.Hour}, Duration{4 * time.Hour},
			},
			WarnAfter: Duration{4 * time.Hour}, ExpireAfter: days(5), SMTPPort: 25, PolicyPort: 443, Limit: 100_000,
			Connections: 100, ConnectionsPerHost: 20, Ready: 50_000, Search: Duration{10 * time.Minute}, Route: []QueueRoute{},
		},
		Alerts:  AlertsConfig{QuotaPercent: 90, Limit: 100, FailedSignIns: true, CertificateDays: 14, DiskPercent: 5},
		Backup:  BackupConfig{Every: days(1), Keep: 14, Verify: true},
		History: HistoryConfig{Keep: days(30), Limit: 20_000},
		Rules:   RulesConfig{Limit: 100, VacationDays: 7, ForwardFrom: "account"},
		Admin:   AdminConfig{Listen: "127.0.0.1:8010"},
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
	if errors.Is(err, os.ErrNotExist) {
		return Config{}, fmt.Errorf("there is no configuration file %s: make it or name another with --config (to try the server: \"tripost serve --quickstart\")", path)
	}
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
	abs(&c.Backup.Directory)
	for _, named := range c.files() {
		abs(named)
	}
}

// files lists the keys that name a file to be read.
func (c *Config) files() []*string {
	list := []*string{
		&c.TLS.Certificate, &c.TLS.Key, &c.TLS.ACMEAuthorities,
		&c.Queue.SmarthostPasswordFile, &c.Queue.Authorities,
		&c.Security.OAuth.ClientSecretFile, &c.Security.OAuth.Authorities,
		&c.Screen.RspamdPasswordFile,
	}
	if !strings.Contains(c.Security.OAuth.Keys, "://") {
		list = append(list, &c.Security.OAuth.Keys)
	}
	for i := range c.Queue.Route {
		list = append(list, &c.Queue.Route[i].PasswordFile)
	}
	return list
}
