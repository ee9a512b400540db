package pop

import (
	"context"
	"crypto/rand"
	"time"

	"tripost/accounts"
	"tripost/store"
	"tripost/syslog"
	"tripost/wire"
)

// Config is what the sessions of one module share.
type Config struct {
	Hostname  string // in the greeting
	Product   string // "tripost"
	Version   string // told after sign-in only
	Auth      *accounts.Authenticator
	Store     *store.Store
	Directory *accounts.Directory                         // whose address a From field holds
	Submit    Submitter                                   // takes what XTND XMIT sends; nil: XTND XMIT is refused
	Language  string                                      // that "LANG *" selects: a tag of RFC 5646; default "en"
	Alerts    Alerts                                      // nil: none
	Policy    func(accounts.Account) Policy               // of an account; nil: none
	Strictest func() Policy                               // the fewest days and the longest delay that any account has; nil: CAPA tells of no policy before sign-in
	Hold      Hold                                        // of every mailbox
	HoldOf    func(context.Context, store.AccountID) Hold // of the mailboxes of an account; nil: Hold
	Notices   Notices                                     // told of what Hold finds; nil: nobody
	Limits    Limits
	Idle      time.Duration  // autologout after sign-in; RFC 1939 section 3 wants at least the default, 10 minutes
	SignIn    time.Duration  // time for each attempt to sign in; default 60 s
	Random    func() string  // a text that no two connections share, for the stamp of APOP; nil: from crypto/rand
	Log       *syslog.Logger // for connections that bring no session log of their own
}

// Limits bound what one session can ask for. Zero values take the defaults.
type Limits struct {
	Line       int   // octets of a command line with its end; default 512
	AuthLine   int   // octets of an AUTH line or SASL response; default 12,288 (RFC 5034 section 4)
	Message    int64 // octets of a message sent by XTND XMIT; default 50 MiB
	Header     int   // octets of a header that is looked into; default 256 KiB
	Recipients int   // of one XTND XMIT; default 1,000
	SignIns    int   // failed sign-ins after which the connection is closed; default 10
	Faults     int   // lines that are no command, after which the connection is closed; default 100
}

const (
	defaultIdle   = 10 * time.Minute
	defaultSignIn = 60 * time.Second
)

func (c *Config) fill() {
	if c.Random == nil {
		c.Random = rand.Text
	}
	setDefault(&c.Product, "tripost")
	setDefault(&c.Language, "en")
	setDefault(&c.Idle, defaultIdle)
	setDefault(&c.SignIn, defaultSignIn)
	setDefault(&c.Limits.Line, 512)
	setDefault(&c.Limits.AuthLine, 12288)
	setDefault(&c.Limits.Message, 50<<20)
	setDefault(&c.Limits.Header, 256<<10)
	setDefault(&c.Limits.Recipients, 1000)
	setDefault(&c.Limits.SignIns, 10)
	setDefault(&c.Limits.Faults, 100)
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Server runs POP3 sessions.
type Server struct {
	Config
	commands map[string]*command
	signIns  *bounded[store.AccountID, time.Time]  // the last ones, of accounts with a LOGIN-DELAY
	expired  *bounded[store.MailboxRef, time.Time] // when a mailbox was looked through last
	growths  *bounded[store.Body, *int64]          // see session.growth; nil: none
}

// New returns a server for the configuration.
func New(c Config) *Server {
	c.fill()
	return &Server{
		Config: c, commands: commandTable(),
		signIns: newBounded[store.AccountID, time.Time](timesMost),
		expired: newBounded[store.MailboxRef, time.Time](timesMost),
		growths: newBounded[store.Body, *int64](growthsMost),
	}
}

// Serve runs the session of one connection until the client quits, goes away or
// is silent for too long, or ctx ends: then it says so between two commands and
// returns. The caller closes the connection, which also sends the last reply.
func (srv *Server) Serve(ctx context.Context, c *wire.Conn) {
	s := &session{Server: srv, conn: c, log: c.Logger()}
	if s.log == nil {
		s.log = srv.Log.Session(c.Remote())
	}
	s.run(ctx)
}
