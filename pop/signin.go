package pop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tripost/accounts"
	"tripost/syslog"
)

// attempt describes the connection to the authenticator.
func (s *session) attempt() accounts.Attempt {
	return accounts.Attempt{
		Service: accounts.POP,
		Remote:  s.conn.Remote().Addr(),
		Local:   s.conn.Local().Addr(),
		TLS:     s.conn.TLS() != nil,
		Log:     s.log,
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
		return s.no("usage: USER name")
	case !s.Auth.Allowed(s.attempt()):
		return s.no("%s", string(refusedInsecure))
	}
	s.name = name
	return s.ok("please send the PASS")
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
		return s.no("PASS comes after USER")
	case arg == "":
		return s.no("usage: PASS password")
	}
	in, err := s.Auth.Password(ctx, s.attempt(), "PASS", name, arg)
	return s.finishSignIn(ctx, in, err)
}

// finishSignIn opens the mailbox that the login name selects, or says why not.
// It ends a USER and PASS pair as well as an AUTH exchange.
func (s *session) finishSignIn(ctx context.Context, in *accounts.SignedIn, err error) error {
	var drop *maildrop
	if err == nil {
		if drop, err = s.openMailbox(ctx, in); err != nil {
			s.log.Logf(syslog.Failure, "login('%s') failed: %v", in.Login, err)
		}
	}
	if err != nil {
		return s.refuseSignIn(ctx, err)
	}
	s.in, s.drop = in, drop
	s.state = transaction
	s.conn.SetDeadline(time.Time{})
	s.conn.SetReadTimeout(s.Idle)
	return s.ok("%d messages (%d octets)", drop.size(), drop.octets)
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
		s.no("%s", string(r))
		return errAbuse
	}
	return s.no("%s", string(r))
}

// openMailbox opens the maildrop with the rights of the account that signed in.
func (s *session) openMailbox(ctx context.Context, in *accounts.SignedIn) (*maildrop, error) {
	view, err := s.Store.OpenQuietly(ctx, in.Identity, in.Mailbox)
	if err != nil {
		return nil, fmt.Errorf("open mailbox %q: %w", in.Mailbox.Name, err)
	}
	drop := openMaildrop(view)
	if in.Individual == "" {
		return drop, nil
	}
	if err := s.showIndividual(ctx, drop, in.Individual); err != nil {
		view.Close()
		return nil, fmt.Errorf("find the messages of %q: %w", in.Individual, err)
	}
	return drop, nil
}
