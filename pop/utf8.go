package pop

import "context"

// utf8Mode ends the conversion of messages whose headers are in UTF-8: the
// client reads RFC 6532. It is legal before sign-in only, because the sizes in
// the maildrop depend on it, and forgotten by STLS. Names and passwords may be
// in UTF-8 without it, which CAPA tells as "UTF8 USER".
//
// RFC 6856 section 2, UTF8.
func (s *session) utf8Mode(context.Context, string) error {
	s.unicode = true
	return s.ok(sayUTF8On)
}
