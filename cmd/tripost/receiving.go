package main

import (
	"time"

	"tripost/accounts"
	"tripost/smtp/mailauth"
	"tripost/smtp/screen"
)

// newChecker makes the part that finds out who answers for a message, nil when it
// is off.
func (s *server) newChecker() *mailauth.Checker {
	if !s.cfg.MailAuth.Check {
		return nil
	}
	return &mailauth.Checker{
		DNS: s.resolver, Time: s.cfg.MailAuth.Time.Duration, Signatures: s.cfg.MailAuth.Signatures,
		Now: s.ground.now,
	}
}

// accepted notes where somebody signed in to read mail: it is
// [accounts.AuthOptions].Accepted.
func (s *server) accepted(at accounts.Attempt) {
	if at.Service == accounts.POP || at.Service == accounts.IMAP {
		s.recent.Add(at.Remote)
	}
}

// dataRate tells the SMTP server what 0 means in the configuration.
func dataRate(s Size) int64 {
	if s == 0 {
		return -1
	}
	return int64(s)
}

// hostWait tells the SMTP server what 0 means in the configuration.
func hostWait(d Duration) time.Duration {
	if d.Duration == 0 {
		return -1
	}
	return d.Duration
}

// newScreen makes the first line against unwanted mail.
func (s *server) newScreen() (*screen.Screen, error) {
	o, err := s.cfg.screenOptions()
	if err != nil {
		return nil, err
	}
	if o.Rspamd.Password, err = secretFile("screen.rspamd_password_file", s.cfg.Screen.RspamdPasswordFile); err != nil {
		return nil, err
	}
	o.DNS, o.Log, o.Now = s.resolver, s.rooms.log.Tag("SCREEN"), s.ground.now
	return screen.New(s.store, o), nil
}
