package accounts

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"tripost/store"
	"tripost/syslog"
)

// AuthOptions are the settings of an [Authenticator]. The zero value is usable.
type AuthOptions struct {
	// Cleartext says when a password may come without TLS: "never",
	// "loopback" (the default) or "always".
	Cleartext string
	// Exempt tells the addresses that are never made to wait and whose
	// failures do not count; nil: the loopback addresses.
	Exempt   func(netip.Addr) bool
	Log      *syslog.Logger   // for attempts that bring no log of their own
	Now      func() time.Time // default time.Now
	MaxDelay time.Duration    // the longest that a guess is made to wait; default 20 s
	Parallel int              // passwords hashed at once, each takes PasswordParams.Memory; default GOMAXPROCS
	// Remember is how long a right password is known again without hashing it;
	// 0: not at all. Ten minutes suit clients that poll. Nothing else of a
	// sign-in is remembered: locks, services and delays count at once, and so
	// does a new password.
	Remember time.Duration
	// SecureMethodRequired is that of the domains which leave it to the server.
	SecureMethodRequired bool
	// Tokens checks the bearer tokens of OAUTHBEARER and XOAUTH2, which are not
	// offered without it.
	Tokens TokenChecker
	// Hostname is this host's name in the challenges of CRAM-MD5; default
	// "localhost".
	Hostname string
	// Guessed is told of an account with [GuessesToTell] failures and more within
	// 15 minutes, at each further one, and where that came from; it must not block.
	// May be nil.
	Guessed func(acct Account, from netip.Addr, failures int)
	// Accepted is told of each sign-in; it must not block. May be nil.
	Accepted func(Attempt)
}

// Authenticator signs users in for all protocols. It may be shared by goroutines.
type Authenticator struct {
	directory  *Directory
	router     LoginRouter
	cleartext  string
	exempt     func(netip.Addr) bool
	log        *syslog.Logger
	throttle   *throttle
	tokens     TokenChecker
	hostname   string
	now        func() time.Time
	mechanisms []mechanism
	remembered *remembered
	secureOnly bool
	hashing    chan struct{} // holds one for every password being hashed
	nobody     argonHash     // hashed for names that do not exist: it takes as long
	spare      []byte        // stands for the directory's secret while there is none

	guessed  func(Account, netip.Addr, int)
	accepted func(Attempt)

	signedIn, refused, hashed atomic.Uint64
}

// Hashed returns how many passwords were hashed to check them since the process
// began. Nearly all that a refused sign-in costs is that.
func (a *Authenticator) Hashed() uint64 { return a.hashed.Load() }

// Totals returns how many sign-ins were accepted and how many refused since the
// process began.
func (a *Authenticator) Totals() (accepted, refused uint64) {
	return a.signedIn.Load(), a.refused.Load()
}

// NewAuthenticator returns an authenticator of the accounts in d, which finds
// them through r.
func NewAuthenticator(d *Directory, r LoginRouter, o AuthOptions) *Authenticator {
	if o.Exempt == nil {
		o.Exempt = netip.Addr.IsLoopback
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Parallel <= 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	if o.Hostname == "" {
		o.Hostname = "localhost"
	}
	if o.Cleartext == "" {
		o.Cleartext = "loopback"
	}
	return &Authenticator{
		directory:  d,
		router:     r,
		cleartext:  o.Cleartext,
		exempt:     o.Exempt,
		log:        o.Log,
		guessed:    o.Guessed,
		accepted:   o.Accepted,
		throttle:   newThrottle(processKey(), o.Now, o.MaxDelay),
		tokens:     o.Tokens,
		hostname:   o.Hostname,
		now:        o.Now,
		mechanisms: mechanisms(),
		remembered: newRemembered(processKey(), o.Now, o.Remember),
		secureOnly: o.SecureMethodRequired,
		hashing:    make(chan struct{}, o.Parallel),
		nobody:     argonHash{params: d.params, salt: make([]byte, saltLength), sum: make([]byte, hashLength)},
		spare:      processKey(),
	}
}

// processKey returns a key that lives as long as the process.
func processKey() []byte {
	b := make([]byte, secretLength)
	rand.Read(b) // never fails: see its documentation
	return b
}

// Attempt is the connection that a sign-in comes from.
type Attempt struct {
	Service Service // POP, IMAP, or Relay for submission; 0 asks for none
	Remote  netip.Addr
	Local   netip.Addr // the address that the client connected to
	TLS     bool
	// TLSState is that of the connection, nil without TLS or if it is not
	// known: then there is no SCRAM-SHA-256-PLUS and no EXTERNAL.
	TLSState *tls.ConnectionState
	// ServerCertificate is the one that the server showed in the handshake, nil if it
	// is not known: then there is no channel binding tls-server-end-point.
	ServerCertificate *x509.Certificate
	Log               *syslog.Logger // the session's
}

// actor is who the store's history gets to know.
func (at Attempt) actor() store.Actor {
	return store.Actor{Protocol: strings.ToUpper(at.Service.String()), Session: at.Log.ID(), Remote: at.Remote}
}

func (at Attempt) encrypted() bool { return at.TLS || at.TLSState != nil }

// SignedIn is what a successful sign-in yields.
type SignedIn struct {
	Account    Account
	Identity   store.Identity
	Mailbox    store.MailboxRef // that the login name selects, INBOX by default; not opened yet
	Individual string           // show only mail for this local part; "" shows all
	Login      string           // as typed
	Mechanism  string           // "PASS", "LOGIN", "APOP", or that of SASL: "PLAIN", "SCRAM-SHA-256"
}

// Allowed reports whether a password in clear would be taken on this connection.
func (a *Authenticator) Allowed(at Attempt) bool {
	switch a.cleartext {
	case "always":
		return true
	case "loopback":
		return at.encrypted() || at.Remote.Unmap().IsLoopback()
	default:
		return at.encrypted()
	}
}

// Password signs in by name and password; mechanism is the name of the command
// that brought them, for the log.
//
// It answers in the same time whether the name exists or not. Where earlier
// failures ask for it, it waits first; ctx ends the wait. The errors are those
// under "signing in" in this package, and ErrNoMailbox when the login name
// selects a mailbox of an account that does not exist.
func (a *Authenticator) Password(ctx context.Context, at Attempt, mechanism, login, password string) (*SignedIn, error) {
	e := a.begin(at, mechanism, login)
	in, err := e.password(ctx, password)
	return e.finish(ctx, in, err)
}
