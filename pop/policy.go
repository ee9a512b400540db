package pop

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"tripost/accounts"
	"tripost/store"
	"tripost/syslog"
)

// Policy is what an administrator asks of the POP sessions of an account. The
// zero value asks nothing.
type Policy struct {
	// ExpireDays is after how many days in the mailbox a message that has been
	// read is removed at the end of a session; 0: never.
	ExpireDays int
	// LoginDelay is how long an account has to wait from one sign-in to the
	// next; 0: it need not.
	LoginDelay time.Duration
}

// policyOf returns the policy of a session. Messages of other people's mailboxes
// do not expire: whose they are has a policy of his own.
func (s *session) policyOf(in *accounts.SignedIn) Policy {
	if s.Policy == nil {
		return Policy{}
	}
	p := s.Policy(in.Account)
	if in.Mailbox.Account != in.Account.ID {
		p.ExpireDays = 0
	}
	return p
}

// policyCapabilities returns the lines that tell the policy: that of the account
// after sign-in, before it the strictest of any, with USER to say so.
//
// RFC 2449 sections 6.5 and 6.7, LOGIN-DELAY and EXPIRE.
func (s *session) policyCapabilities() []string {
	p, user := s.policy, ""
	if s.state == authorization && s.Strictest != nil {
		p, user = s.Strictest(), " USER"
	}
	list := []string{"EXPIRE NEVER"}
	if p.ExpireDays > 0 {
		list[0] = "EXPIRE " + strconv.Itoa(p.ExpireDays) + user
	}
	if p.LoginDelay > 0 {
		list = append(list, "LOGIN-DELAY "+strconv.Itoa(seconds(p.LoginDelay))+user)
	}
	return list
}

// seconds rounds up: who waits as long as he was told has waited long enough.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// mustWait refuses a sign-in that comes too soon after the last one.
func (s *session) mustWait(in *accounts.SignedIn, p Policy) error {
	last, ok := s.signIns.get(in.Account.ID)
	wait := p.LoginDelay - time.Since(last)
	if p.LoginDelay <= 0 || !ok || wait <= 0 {
		return nil
	}
	n := seconds(wait)
	s.log.Logf(syslog.Failure, "login('%s') refused: LOGIN-DELAY, %d s to wait", in.Login, n)
	return refuseWith(codeLoginDelay, sayLoginDelay, n)
}

const (
	// timesMost bounds how many accounts and mailboxes the server remembers.
	timesMost = 100_000
	// expireEvery is how often a mailbox is looked through for what expires: a
	// client that polls each minute is not to cost a look at each message.
	expireEvery = time.Hour
	// expireMost is how many messages one session removes; the next goes on.
	expireMost = 2000
)

// expire removes messages that have been read and have been in the mailbox for
// as long as the policy lets them. It is part of the UPDATE state. They can be
// restored as others that are removed. That it fails is logged and no reason to
// refuse the client's own deletions.
func (s *session) expire(ctx context.Context) {
	box := s.drop.view.Mailbox()
	key := store.MailboxRef{Account: box.Account, Name: box.Name}
	last, ok := s.expired.get(key)
	if s.policy.ExpireDays <= 0 || ok && time.Since(last) < expireEvery {
		return
	}
	s.expired.put(key, time.Now())
	n, err := s.removeExpired(ctx)
	if err != nil {
		s.log.Logf(syslog.Problem, "EXPIRE: %v", err)
	}
	if n > 0 {
		s.log.Logf(syslog.Major, "EXPIRE: removed %d messages read and older than %d days", n, s.policy.ExpireDays)
	}
	if n == expireMost {
		s.expired.forget(key)
	}
}

func (s *session) removeExpired(ctx context.Context) (int, error) {
	rights, err := s.present(ctx)
	if err != nil || rights&store.RightDelete == 0 {
		return 0, err
	}
	if err := s.drop.load(ctx); err != nil {
		return 0, err
	}
	before := time.Now().AddDate(0, 0, -s.policy.ExpireDays).Unix()
	var old store.UIDSet
	found := 0
	for n := 1; n <= s.drop.size() && found < expireMost; n++ {
		m := s.drop.message(n)
		if s.drop.isMarked(n) || m.Flags&store.FlagSeen == 0 && !s.drop.view.Changed() {
			continue
		}
		d, err := s.drop.view.Detail(ctx, m.UID)
		switch {
		case errors.Is(err, store.ErrNoMessage):
		case err != nil:
			return 0, err
		case d.SaveDate >= before:
			n = s.drop.size() // all that follow came later
		case d.Flags&store.FlagSeen != 0:
			old.Add(m.UID, m.UID)
			found++
		}
	}
	if found == 0 {
		return 0, nil
	}
	removed, err := s.drop.view.Expunge(ctx, old, true)
	if err != nil {
		err = fmt.Errorf("remove %d messages: %w", found, err)
	}
	return removed.Count(), err
}
