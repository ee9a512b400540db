package pop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"tripost/accounts"
	"tripost/store"
	"tripost/syslog"
)

// attempt describes the connection to the authenticator.
func (s *session) attempt() accounts.Attempt {
	return accounts.Attempt{
		Service:  accounts.POP,
		Remote:   s.conn.Remote().Addr(),
		Local:    s.conn.Local().Addr(),
		TLS:      s.conn.TLS() != nil,
		TLSState: s.conn.TLS(),

		ServerCertificate: s.conn.ServerCertificate(),
		Log:               s.log,
	}
}

// user takes the login name. The answer is the same for every name, and no
// where a password in clear would be refused, so that it is not sent.
//
// RFC 1939 section 7, USER.
func (s *session) user(_ context.Context, arg string) error {
	s.name = ""
	name := strings.Trim(arg, " \t")
	switch {
	case name == "":
		return s.no(codeNone, sayUsage, "USER", "name")
	case !utf8.ValidString(name):
		return s.no(codeNone, sayNotUTF8)
	case !s.Auth.Allowed(s.attempt()):
		return s.say(refusedInsecure)
	}
	s.name = name
	return s.ok(sayPASSPlease)
}

// pass takes the password: everything after one space, since a password may
// hold spaces and end with one.
//
// RFC 1939 section 7, PASS.
func (s *session) pass(ctx context.Context, arg string) error {
	name := s.name
	s.name = ""
	switch {
	case name == "":
		return s.no(codeNone, sayPASSAfterUSER)
	case arg == "":
		return s.no(codeNone, sayUsage, "PASS", "password")
	case !utf8.ValidString(arg):
		return s.no(codeNone, sayNotUTF8)
	}
	in, err := s.Auth.Password(ctx, s.attempt(), "PASS", name, arg)
	return s.finishSignIn(ctx, in, err)
}

// finishSignIn opens the mailbox that the login name selects, or says why not.
// It ends a USER and PASS pair as well as an AUTH exchange.
func (s *session) finishSignIn(ctx context.Context, in *accounts.SignedIn, err error) error {
	var drop *maildrop
	if err == nil {
		drop, err = s.enter(ctx, in)
	}
	switch {
	case errors.Is(err, errAlert):
		s.extend()
		return nil
	case isConnectionError(err):
		return err
	case err != nil:
		return s.refuseSignIn(ctx, err)
	}
	s.in, s.drop = in, drop
	s.state = transaction
	s.conn.SetDeadline(time.Time{})
	s.conn.SetReadTimeout(s.Idle)
	return s.ok(sayMaildrop, drop.size(), drop.octets)
}

// enter opens the maildrop for who has given the right password, unless the
// policy lets him wait or there is an alert to be shown first.
func (s *session) enter(ctx context.Context, in *accounts.SignedIn) (*maildrop, error) {
	p := s.policyOf(in)
	if err := s.mustWait(in, p); err != nil {
		return nil, err
	}
	if err := s.showAlert(ctx, in.Account); err != nil {
		return nil, err
	}
	drop, err := s.openMailbox(ctx, in)
	if err != nil {
		s.log.Logf(syslog.Failure, "login('%s') failed: %v", in.Login, err)
		return nil, err
	}
	s.policy = p
	if p.LoginDelay > 0 {
		s.signIns.put(in.Account.ID, time.Now())
	}
	return drop, nil
}

// refuseSignIn answers a sign-in that failed.
func (s *session) refuseSignIn(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return s.shutdown()
	}
	r := replyToSignIn(err)
	s.extend()
	s.failed++
	if s.failed >= s.Limits.SignIns {
		s.say(r)
		return errAbuse
	}
	return s.say(r)
}

// openMailbox opens the maildrop with the rights of the account that signed in:
// the whole mailbox, or what is in it for one of the people who share a unified
// account.
func (s *session) openMailbox(ctx context.Context, in *accounts.SignedIn) (*maildrop, error) {
	view, err := s.openView(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("open mailbox %q: %w", in.Mailbox.Name, err)
	}
	drop := openMaildrop(view)
	if err := s.convertSizes(ctx, drop); err != nil {
		view.Close()
		return nil, err
	}
	return drop, nil
}

func (s *session) openView(ctx context.Context, in *accounts.SignedIn) (*store.View, error) {
	if in.Individual != "" {
		return s.Store.OpenIndividual(ctx, in.Identity, in.Mailbox, in.Individual, false)
	}
	return s.Store.OpenQuietly(ctx, in.Identity, in.Mailbox)
}
