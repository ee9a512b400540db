package accounts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
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
}

// Authenticator signs users in for all protocols. It may be shared by goroutines.
type Authenticator struct {
	directory *Directory
	router    LoginRouter
	cleartext string
	exempt    func(netip.Addr) bool
	log       *syslog.Logger
	throttle  *throttle
	hashing   chan struct{} // holds one for every password being hashed
	nobody    argonHash     // hashed for names that do not exist: it takes as long
	spare     []byte        // stands for the directory's secret while there is none
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
	if o.Cleartext == "" {
		o.Cleartext = "loopback"
	}
	return &Authenticator{
		directory: d,
		router:    r,
		cleartext: o.Cleartext,
		exempt:    o.Exempt,
		log:       o.Log,
		throttle:  newThrottle(processKey(), o.Now, o.MaxDelay),
		hashing:   make(chan struct{}, o.Parallel),
		nobody:    argonHash{params: d.params, salt: make([]byte, saltLength), sum: make([]byte, hashLength)},
		spare:     processKey(),
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
	Log     *syslog.Logger // the session's
}

// SignedIn is what a successful sign-in yields.
type SignedIn struct {
	Account    Account
	Identity   store.Identity
	Mailbox    store.MailboxRef // that the login name selects, INBOX by default; not opened yet
	Individual string           // show only mail for this local part; "" shows all
	Login      string           // as typed
	Mechanism  string           // "PASS", "LOGIN", "PLAIN", "SCRAM-SHA-256"
}

// Allowed reports whether a password in clear would be taken on this connection.
func (a *Authenticator) Allowed(at Attempt) bool {
	switch a.cleartext {
	case "always":
		return true
	case "loopback":
		return at.TLS || at.Remote.Unmap().IsLoopback()
	default:
		return at.TLS
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
	return e.finish(in, err)
}

// exchange is one attempt on its way.
type exchange struct {
	auth      *Authenticator
	at        Attempt
	mechanism string
	login     string // as typed
	mailbox   string
	name      string // what the account part came down to: failures are counted under it
	record    signInRecord
	known     bool // record is that of an account
	detail    string
}

// signInRecord is what the directory knows about who wants to sign in.
type signInRecord struct {
	account     Account
	individual  string
	services    Service // on for both the account and its domain
	credentials credentials
}

func (a *Authenticator) begin(at Attempt, mechanism, login string) *exchange {
	return &exchange{auth: a, at: at, mechanism: mechanism, login: login}
}

func (e *exchange) password(ctx context.Context, password string) (*SignedIn, error) {
	if !e.auth.Allowed(e.at) {
		return nil, ErrInsecure
	}
	if err := e.identify(ctx); err != nil {
		return nil, err
	}
	if err := e.wait(ctx); err != nil {
		return nil, err
	}
	fits, err := e.auth.verify(ctx, e.record.credentials, password)
	if err != nil {
		return nil, err
	}
	if !fits {
		return nil, e.wrong(password)
	}
	return e.admit(ctx)
}

// identify finds the account that the login name leads to. That there is none
// is no error: the exchange goes on as with a wrong password.
func (e *exchange) identify(ctx context.Context) error {
	login, err := ParseLogin(e.login)
	if err != nil {
		e.detail = "not a login name"
		return nil
	}
	e.mailbox = login.Mailbox
	route, err := e.auth.router.RouteLogin(ctx, login.Account, e.at.Local)
	e.name = route.Name
	if errors.Is(err, ErrNoAccount) {
		e.detail = "unknown account"
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: routing: %w", ErrUnavailable, err)
	}
	e.record, err = e.auth.directory.signInRecord(ctx, route)
	if errors.Is(err, ErrNoAccount) { // removed since
		e.detail = "unknown account"
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: reading the account: %w", ErrUnavailable, err)
	}
	e.known = true
	if e.record.credentials.hash == "" {
		e.detail = "no password is set"
	}
	return nil
}

// signInRecord reads all that a sign-in needs in one state.
func (d *Directory) signInRecord(ctx context.Context, route LoginRoute) (signInRecord, error) {
	rec := signInRecord{individual: route.Individual}
	err := d.View(ctx, func(n *Names) (err error) {
		if rec.account, err = n.AccountByID(route.Account.ID); err != nil {
			return err
		}
		dom, err := n.Domain(rec.account.Domain)
		if err != nil {
			return err
		}
		rec.services = rec.account.Services & dom.Services
		rec.credentials, err = n.credentials(rec.account.ID)
		return err
	})
	return rec, err
}

// credentials returns what checks an account's password; the zero value when it
// has none.
func (n *Names) credentials(id store.AccountID) (credentials, error) {
	b, err := n.get(idKey(keyPassword, id))
	if err != nil || b == nil {
		return credentials{}, err
	}
	return decodeCredentials(b)
}

// wait delays the attempt as far as earlier failures ask for it.
func (e *exchange) wait(ctx context.Context) error {
	if e.auth.exempt(e.at.Remote.Unmap()) {
		return nil
	}
	d, refuse := e.auth.throttle.delay(e.at.Remote, e.name)
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrThrottled, ctx.Err())
		}
	}
	if refuse {
		return ErrThrottled
	}
	return nil
}

// verify reports whether the password fits. It is the one place where a
// password in clear is checked. At most as many are hashed at once as
// AuthOptions.Parallel says; the others queue until ctx ends.
func (a *Authenticator) verify(ctx context.Context, c credentials, password string) (bool, error) {
	if len(password) > maxPassword {
		return false, nil // no account has such a one
	}
	hash, exists := a.nobody, c.hash != ""
	if exists {
		var err error
		if hash, err = parseHash(c.hash); err != nil {
			return false, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	select {
	case a.hashing <- struct{}{}:
	case <-ctx.Done():
		return false, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	defer func() { <-a.hashing }()
	fits := hash.fits(preparePassword(password))
	return fits && exists && password != "", nil
}

// wrong records a failure; password is "" when the mechanism does not show it.
func (e *exchange) wrong(password string) error {
	if e.detail == "" {
		e.detail = "wrong password"
	}
	if e.auth.exempt(e.at.Remote.Unmap()) {
		return ErrCredentials
	}
	if n := e.auth.throttle.failed(e.at.Remote, e.name, password); n > 1 {
		e.detail += fmt.Sprintf(" (%d different failures from this address)", n)
	}
	return ErrCredentials
}

// admit decides, after a right password, whether and to what the account may
// sign in.
func (e *exchange) admit(ctx context.Context) (*SignedIn, error) {
	e.auth.throttle.succeeded(e.at.Remote, e.name)
	acct := e.record.account
	if acct.Locked {
		return nil, ErrLocked
	}
	if !e.record.services.Has(e.at.Service) {
		return nil, ErrService
	}
	in := &SignedIn{
		Account:    acct,
		Identity:   acct.Identity(),
		Individual: e.record.individual,
		Login:      e.login,
		Mechanism:  e.mechanism,
	}
	name := e.mailbox
	if name == "" {
		name = "INBOX"
	}
	var err error
	in.Mailbox, err = e.auth.directory.Resolve(ctx, in.Identity, name)
	if err != nil && !errors.Is(err, ErrNoMailbox) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return in, err
}

// finish writes the one line that an attempt leaves in the log.
func (e *exchange) finish(in *SignedIn, err error) (*SignedIn, error) {
	log := e.at.Log
	if log == nil {
		log = e.auth.log
	}
	if err != nil {
		logRefusal(log, e, err)
		return nil, err
	}
	logSignIn(log, e, in)
	return in, nil
}
