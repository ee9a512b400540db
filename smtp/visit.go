package smtp

import (
	"context"
	"strings"
	"sync"
	"time"

	"tripost/smtp/mailauth"
	"tripost/smtp/screen"
)

// visit is what is found out about the host of a stranger, from its connection on.
type visit struct {
	cancel  context.CancelFunc
	done    chan struct{}   // closed when all is known that will be
	soon    context.Context // ends when RCPT has waited long enough
	trapped bool            // it wrote to a trap not long ago
	allowed bool            // its address is never screened
	lists   *screen.Inquiry // nil: none are asked

	mu   sync.Mutex // guards what follows
	name mailauth.Name
}

// facts is what is known about a host at one moment.
type facts struct {
	name    mailauth.Name // zero: not known
	listed  []screen.Finding
	allowed string // why the host is not screened; empty: it is
	trapped bool
}

// stranger tells whether the session is of somebody who is not known: the only
// ones whose mail is checked.
func (s *session) stranger() bool {
	return s.server.config.Mode == MX && s.user == nil && !s.client
}

// beginVisit asks the DNS about a stranger's host, all at once. The answers come
// while the client goes on.
func (s *session) beginVisit() {
	c := &s.server.config
	if c.Checker == nil && c.Screen == nil || !s.stranger() || !s.remote.IsValid() {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.ctx))
	v := &visit{cancel: cancel, done: make(chan struct{})}
	s.visit = v
	soon, release := context.WithTimeout(ctx, c.Timeouts.Host)
	v.soon = soon
	if c.Screen != nil {
		v.trapped = c.Screen.InTrap(ctx, s.remote)
		if v.allowed = c.Screen.Allowed(s.remote); !v.allowed {
			v.lists = c.Screen.Inquire(ctx, s.remote)
		}
	}
	go func() {
		defer close(v.done)
		defer release()
		if c.Checker != nil && !v.allowed {
			name := c.Checker.Reverse(ctx, s.remote)
			v.mu.Lock()
			v.name = name
			v.mu.Unlock()
		}
		if v.lists != nil {
			v.lists.Wait()
		}
	}()
}

// endVisit ends what still asks.
func (s *session) endVisit() {
	if s.visit != nil {
		s.visit.cancel()
		<-s.visit.done
	}
}

// seen waits for all there is to know about the host; nil: nothing was asked.
func (s *session) seen() *facts {
	if s.visit == nil {
		return nil
	}
	<-s.visit.done
	return s.visit.facts()
}

// seenSoon waits for it no longer than RCPT may: what the DNS has not said by then
// is not known.
func (s *session) seenSoon() *facts {
	if s.visit == nil {
		return nil
	}
	select {
	case <-s.visit.done:
	case <-s.visit.soon.Done():
	}
	return s.visit.facts()
}

func (v *visit) facts() *facts {
	f := &facts{trapped: v.trapped}
	v.mu.Lock()
	f.name = v.name
	v.mu.Unlock()
	if v.allowed {
		f.allowed = "its address is allowed"
	}
	if v.lists != nil {
		var zone string
		if f.listed, zone = v.lists.Answers(); zone != "" {
			f.allowed = "allowed by " + zone
		}
	}
	return f
}

// findings lists what speaks against the host.
func (s *session) findings(v *facts) []screen.Finding {
	sc := s.server.config.Screen
	if sc == nil || v == nil || v.allowed != "" {
		return nil
	}
	all := append([]screen.Finding(nil), v.listed...)
	points := sc.Points()
	add := func(name string, p float64, detail string) {
		if p > 0 {
			all = append(all, screen.Finding{Name: name, Points: p, Detail: detail})
		}
	}
	switch v.name.Result {
	case mailauth.PermError:
		add("no-name", points.NoName, "the address has no name")
	case mailauth.Fail:
		add("no-name", points.NoName, "no name of the address leads back to it")
	}
	if f, ok := sc.Hello(s.helo, s.remote); ok {
		all = append(all, f)
	}
	if s.early {
		add("early", points.Early, "did not wait for its turn")
	}
	return all
}

func total(all []screen.Finding) (sum float64) {
	for _, f := range all {
		sum += f.Points
	}
	return sum
}

// reasons names findings in a reply.
func reasons(all []screen.Finding) string {
	var words []string
	for _, f := range all {
		if f.Points > 0 {
			words = append(words, f.Name+" ("+f.Detail+")")
		}
	}
	return strings.Join(words, ", ")
}

// screenConnection tells whether the address may connect at all now.
func (s *session) screenConnection() bool {
	sc := s.server.config.Screen
	return sc == nil || !s.stranger() || sc.Allowed(s.remote) || sc.Count(screen.Connection, s.remote)
}

// screenMail decides about MAIL of a stranger; the zero reply: it may go on.
func (s *session) screenMail() reply {
	sc := s.server.config.Screen
	switch {
	case sc == nil || !s.stranger() || sc.Allowed(s.remote):
	case sc.Exceeded(screen.RefusedRecipient, s.remote):
		return reply{450, "4.7.1", "too many unknown recipients from your address, try again later"}
	case !sc.Count(screen.Message, s.remote):
		return reply{450, "4.7.1", "too many messages from your address, try again later"}
	}
	return reply{}
}

// screenRecipient decides about a recipient of a stranger's message that can be
// taken otherwise. Postmaster hears everybody (RFC 5321 section 4.5.1), and so
// does abuse (RFC 2142 section 2).
func (s *session) screenRecipient(path string) reply {
	sc := s.server.config.Screen
	if sc == nil || !s.stranger() || isOffice(path) {
		return reply{}
	}
	v := s.seenSoon()
	if v == nil || v.allowed != "" {
		return reply{}
	}
	if v.trapped {
		return reply{550, "5.7.1", "your address has sent mail to a trap for unwanted mail"}
	}
	found := s.findings(v)
	if limit := sc.Points().Refuse; limit > 0 && total(found) >= limit {
		return reply{550, "5.7.1", "refused: " + reasons(found)}
	}
	ctx := context.WithoutCancel(s.ctx)
	if wait := sc.PutOff(ctx, s.remote, s.mail.from, path); wait > 0 {
		return reply{450, "4.7.1", "not known yet, try again in " + wait.Round(time.Second).String()}
	}
	return reply{}
}

func isOffice(path string) bool {
	local, _, _ := strings.Cut(path, "@")
	return strings.EqualFold(local, "postmaster") || strings.EqualFold(local, "abuse")
}
