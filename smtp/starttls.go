package smtp

import "fmt"

// startTLS puts the session under TLS. All that the client said before is
// forgotten, and what it sent ahead of the handshake is dropped.
//
// RFC 3207 section 4, STARTTLS.
func (s *session) startTLS(arg string) error {
	switch {
	case arg != "":
		return s.refuse(501, "5.5.4", "STARTTLS takes no argument")
	case s.conn.TLS() != nil:
		return s.refuse(503, "5.5.1", "TLS is on already")
	case !s.conn.CanTLS():
		return s.refuse(454, "4.7.0", "TLS is not available")
	}
	s.write(220, "2.0.0", "ready for TLS")
	if err := s.conn.StartTLS(s.ctx); err != nil {
		return fmt.Errorf("start TLS: %w", err)
	}
	s.helo, s.esmtp, s.user, s.mail = "", false, nil, nil // no chunks: not legal within them
	s.limitSignIn()
	return nil
}
