package smtp

import (
	"context"
	"strings"
)

// etrn makes what waits for a domain due now. It is for those who may relay: for
// others it would be a way to make this server work.
//
// RFC 1985 section 5, ETRN.
func (s *session) etrn(arg string) error {
	switch {
	case s.user == nil && !s.client:
		return s.refuse(459, "4.7.1", "not for you: what waits here is tried when it is due")
	case arg == "" || strings.ContainsAny(arg, " \t"):
		return s.refuse(501, "5.5.4", "use ETRN domain")
	case arg[0] == '#':
		return s.refuse(458, "4.3.3", "there is no such queue")
	}
	domain, below := strings.CutPrefix(arg, "@")
	n, err := scanDomain(domain)
	if err != nil || n != len(domain) {
		return s.refuse(501, "5.1.3", "malformed domain")
	}
	count, failure := s.server.config.Queue.RetryDomain(context.WithoutCancel(s.ctx), domain, below)
	switch {
	case failure != nil:
		s.events.failed("ETRN "+arg, failure)
		return s.refuse(458, "4.3.0", "try again later")
	case count == 0:
		return s.ok(251, "2.0.0", "nothing waits for "+domain)
	}
	return s.ok(250, "2.0.0", "what waits for "+domain+" is being sent")
}
