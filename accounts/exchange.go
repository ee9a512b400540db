package accounts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tripost/store"
)

// exchange is one attempt on its way.
type exchange struct {
	auth      *Authenticator
	at        Attempt
	mechanism string
	login     string // as typed
	mailbox   string
	name      string // what the account part came down to: failures are counted under it
	record    signInRecord
	known     bool   // record is that of an account
	inClear   bool   // the client has sent what others could sign in with
	detail    string // why it is refused, for the log
	logged    bool   // the line in the log is written
}

// signInRecord is what the directory knows about who wants to sign in.
type signInRecord struct {
	account     Account
	domain      Domain
	services    Service // on for the account
	individual  string
	groups      []string
	credentials credentials
}

func (a *Authenticator) begin(at Attempt, mechanism, login string) *exchange {
	return &exchange{auth: a, at: at, mechanism: mechanism, login: login}
}

func (e *exchange) password(ctx context.Context, password string) (*SignedIn, error) {
	if !e.auth.Allowed(e.at) {
		return nil, ErrInsecure
	}
	e.inClear = true
	if err := e.identify(ctx); err != nil {
		return nil, err
	}
	if err := e.wait(ctx); err != nil {
		return nil, err
	}
	fits, err := e.fits(ctx, password)
	if err != nil {
		return nil, err
	}
	if !fits {
		return nil, e.wrong(password)
	}
	return e.admit(ctx)
}

// fits reports whether the password is right, which it may know from a short
// while ago.
func (e *exchange) fits(ctx context.Context, password string) (bool, error) {
	a := e.auth
	check := a.remembered.of(e.record.account.ID, e.record.credentials, password)
	if e.known && a.remembered.has(check) {
		return true, nil
	}
	fits, err := a.verify(ctx, e.record.credentials, password)
	if err != nil || !fits {
		return false, err
	}
	a.remembered.add(check)
	if err := a.renew(ctx, e.record, password); err != nil {
		e.note("the password's hash could not be renewed", err)
	}
	return true, nil
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
	return nil
}

// signInRecord reads all that a sign-in needs in one state.
func (d *Directory) signInRecord(ctx context.Context, route LoginRoute) (signInRecord, error) {
	rec := signInRecord{individual: route.Individual}
	err := d.View(ctx, func(n *Names) (err error) {
		if rec.account, err = n.AccountByID(route.Account.ID); err != nil {
			return err
		}
		if rec.domain, err = n.Domain(rec.account.Domain); err != nil {
			return err
		}
		rec.services = n.Services(rec.account, rec.domain)
		if rec.groups, err = n.GroupsOf(rec.account); err != nil {
			return err
		}
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

// wrong records a failure; password is "" when the mechanism does not show it.
func (e *exchange) wrong(password string) error {
	switch {
	case e.detail != "":
	case e.known && e.record.credentials.hash == "":
		e.detail = "no password is set"
	default:
		e.detail = "wrong password"
	}
	if e.auth.exempt(e.at.Remote.Unmap()) {
		return ErrCredentials
	}
	ofAddress, ofAccount := e.auth.throttle.failed(e.at.Remote, e.name, password)
	if ofAddress > 1 {
		e.detail += fmt.Sprintf(" (%d different failures from this address)", ofAddress)
	}
	if e.known && ofAccount >= GuessesToTell && e.auth.guessed != nil {
		e.auth.guessed(e.record.account, e.at.Remote, ofAccount)
	}
	return ErrCredentials
}

// admit decides, after a right password or what stands for one, whether and to
// what the account may sign in.
func (e *exchange) admit(ctx context.Context) (*SignedIn, error) {
	e.auth.throttle.succeeded(e.at.Remote, e.name)
	acct := e.record.account
	if acct.Locked {
		return nil, ErrLocked
	}
	if e.detail = e.record.missing(e.at.Service); e.detail != "" {
		return nil, ErrService
	}
	if e.inClear && !e.at.encrypted() && e.auth.secureMethodRequired(e.record) {
		e.detail = "a secure method is required"
		return nil, ErrInsecure
	}
	in := &SignedIn{
		Account:    acct,
		Identity:   acct.Identity(),
		Individual: e.record.individual,
		Login:      e.login,
		Mechanism:  e.mechanism,
	}
	in.Identity.Groups = e.record.groups
	in.Identity.Actor = e.at.actor()
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

// missing says which of the wanted services is off, and for whom; "" if none is.
func (r signInRecord) missing(want Service) string {
	off := want &^ r.services
	own, has := r.account.Policy.Services.Get()
	switch {
	case off == 0:
		return ""
	case has && !own.Has(want):
		return (want &^ own).String() + " is off for the account"
	default:
		return off.String() + " is off for the domain " + r.domain.Name
	}
}

// secureMethodRequired tells whether what crossed the network in clear is to be
// refused. It is asked only after a right password: a stranger who has guessed
// wrong learns nothing of the setting, and one who has guessed right would have
// learnt the same over TLS, while the owner is told what to do about it.
func (a *Authenticator) secureMethodRequired(r signInRecord) bool {
	return r.account.SecureMethodRequired.over(r.domain.SecureMethodRequired.over(a.secureOnly))
}

// finish writes the one line that an attempt leaves in the log.
func (e *exchange) finish(ctx context.Context, in *SignedIn, err error) (*SignedIn, error) {
	if err != nil {
		if !e.logged {
			e.logRefusal(err)
		}
		return nil, err
	}
	e.logSignIn(in)
	signedIn(ctx, in.Account.ID)
	return in, nil
}
