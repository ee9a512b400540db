package pop

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// newStamp returns the stamp of the greeting: a message id that no greeting had
// before, since the digest of one that came again could be used again. It is ""
// when nobody could use it.
func (s *session) newStamp(ctx context.Context) string {
	if !s.Auth.OffersAPOP(ctx) {
		return ""
	}
	return fmt.Sprintf("<%s.%d@%s>", s.Random(), time.Now().UnixNano(), s.Hostname)
}

// apop signs in by the MD5 digest of the greeting's stamp and the password. It
// works for accounts whose password the administrator lets the server keep, and
// only where the greeting had a stamp.
//
// RFC 1939 section 7, APOP.
func (s *session) apop(ctx context.Context, arg string) error {
	s.name = ""
	if s.stamp == "" {
		return s.no(codeNone, sayNoAPOP)
	}
	name, digest, _ := strings.Cut(arg, " ")
	if !utf8.ValidString(name) {
		return s.no(codeNone, sayNotUTF8)
	}
	in, err := s.Auth.APOP(ctx, s.attempt(), s.stamp, name, digest)
	return s.finishSignIn(ctx, in, err)
}
