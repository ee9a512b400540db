package smtp

import (
	"context"
	"strings"
	"time"

	"tripost/accounts"
	"tripost/smtp/mailauth"
	"tripost/smtp/queue"
	"tripost/smtp/screen"
	"tripost/store"
	"tripost/syslog"
	"tripost/wire"
)

// Mode is what a server is for.
type Mode uint8

const (
	// MX takes mail from other hosts for local recipients, and for any recipient
	// from users who sign in and from client addresses.
	MX Mode = iota
	// Submission takes mail from users, who must sign in first (RFC 6409
	// section 4.3).
	Submission
	// LMTP takes mail from a mail transfer agent that does the queueing, and
	// answers for each recipient (RFC 2033). What it may relay is decided as on an
	// MX; it must not be reached on port 25.
	LMTP
)

// Limits of a session. Zero values take the defaults.
type Limits struct {
	Line        int   // octets of a command line with its end; default 2,048
	AuthLine    int   // of AUTH and of what follows it; default 12,288 (RFC 4954 section 4)
	Recipients  int   // of one message; default 1,000
	Envelope    int   // octets of all its recipients' addresses, of who may not relay; default 65,536
	Errors      int   // refused or unknown commands after which the session is closed; default 20
	MessageSize int64 // octets; default 50 MiB
	DataRate    int64 // octets a second in which mail data must come at least, after a minute; default 100, negative: no matter
}

// Timeouts of a session. Zero values take the defaults.
type Timeouts struct {
	Command  time.Duration // wait for a command; default 5 minutes (RFC 5321 section 4.5.3.2.7)
	Data     time.Duration // wait for more of the mail data; default 5 minutes
	SignIn   time.Duration // from connection to sign-in on a submission server; default 60 s
	Greeting time.Duration // how long a stranger on an MX waits for the greeting; who speaks meanwhile does not listen, and is logged; default 100 ms, negative: none
	Host     time.Duration // from the connection: how long RCPT of a stranger waits for what the DNS says about its host; default 2 s, negative: not at all
}

// Config says how a server works.
type Config struct {
	Mode     Mode
	Hostname string
	Product  string // name and version; the version is not told to clients
	Limits   Limits
	Timeouts Timeouts
	Queue    *queue.Queue
	Auth     *accounts.Authenticator // nil: nobody can sign in
	Checker  *mailauth.Checker       // checks who answers for messages of strangers, on an MX; nil: nobody does
	Screen   *screen.Screen          // the first line against unwanted mail of strangers, on an MX; nil: none
	Policy   Policy                  // what is done with mail that they find fault with; nil: it is marked
	Recent   *Recent                 // addresses that count as client addresses for a while, on an MX; nil: none
	Clients  *Clients                // who may relay without signing in, but for submission; nil: nobody
	Log      *syslog.Logger          // for sessions whose connection brings no logger
	Now      func() time.Time        // nil: time.Now
}

// Policy returns what counts for an account.
type Policy func(context.Context, store.AccountID) (accounts.Policy, error)

func (c *Config) defaults() {
	l, t := &c.Limits, &c.Timeouts
	setDefault(&l.Line, 2048)
	setDefault(&l.AuthLine, 12288)
	setDefault(&l.Recipients, 1000)
	setDefault(&l.Envelope, 64<<10)
	setDefault(&l.Errors, 20)
	setDefault(&l.MessageSize, 50<<20)
	if l.DataRate == 0 {
		l.DataRate = 100
	}
	setDefault(&t.Command, 5*time.Minute)
	setDefault(&t.Data, 5*time.Minute)
	setDefault(&t.SignIn, time.Minute)
	if t.Greeting == 0 {
		t.Greeting = 100 * time.Millisecond
	}
	if t.Host == 0 {
		t.Host = 2 * time.Second
	}
	if c.Hostname == "" {
		c.Hostname = "localhost"
	}
	if c.Product == "" {
		c.Product = "tripost"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Server runs sessions of one mode. It is safe for concurrent use.
type Server struct {
	config  Config
	product string // name alone
	table   map[string]command
}

// New returns a server.
func New(c Config) *Server {
	c.defaults()
	name, _, _ := strings.Cut(c.Product, " ")
	return &Server{config: c, product: name, table: commandTable(c.Mode)}
}

// Serve runs one session and returns when it is over. It does not close the
// connection. When ctx ends the session ends after the command in progress, with
// reply 421; wire.Server interrupts the wait for the next one.
func (s *Server) Serve(ctx context.Context, c *wire.Conn) {
	log := c.Logger()
	if log == nil {
		log = s.config.Log
	}
	remote := c.Remote().Addr()
	session := &session{
		server: s,
		ctx:    ctx,
		conn:   c,
		events: events{log},
		remote: remote,
		client: s.config.Mode != Submission && (s.config.Clients.Match(remote) || s.config.Mode == MX && s.config.Recent.Has(remote)),
	}
	session.run()
}

// Busy returns the line for a client over a limit of connections, for
// wire.Server.
func (s *Server) Busy(reason string) string {
	return "421 4.3.2 " + s.config.Hostname + " " + reason + "\r\n"
}
