package pop

import (
	"context"
	"fmt"
)

// stls turns TLS on. What the client sent in clear after the command is thrown
// away by the connection, and so is what it said before: the session begins
// anew. STARTTLS is taken as another name for it.
//
// RFC 2595 section 4, STLS.
func (s *session) stls(ctx context.Context, _ string) error {
	switch {
	case s.conn.TLS() != nil:
		return s.no(codeNone, sayTLSOn)
	case !s.conn.CanTLS():
		return s.no(codeNone, sayNoTLS)
	}
	s.ok(sayBeginTLS)
	if err := s.conn.StartTLS(ctx); err != nil {
		return fmt.Errorf("start TLS: %w", err)
	}
	s.restart()
	return nil
}
