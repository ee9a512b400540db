package imap

import "context"

// features are what a client switches on, and what then stays so until it signs
// off: where the extension changes responses that other clients would not
// understand.
type features uint8

const (
	featureCondstore features = 1 << iota // mod-sequences in FETCH responses, RFC 7162 section 3.1
	featureQresync                        // VANISHED in place of EXPUNGE, RFC 7162 section 3.2.3
	featureUTF8                           // UTF-8 in names and quoted strings, RFC 9755
	featureRev2                           // what is new in IMAP4rev2, RFC 9051
	featureUIDOnly                        // no sequence numbers, RFC 9586
	featureMetadata                       // METADATA responses nobody asked for, RFC 5464 section 4.1
)

// enableable are the capabilities that ENABLE can switch on, with what that is.
var enableable = map[string]features{
	"CONDSTORE": featureCondstore,
	"QRESYNC":   featureQresync | featureCondstore,

	"METADATA":    featureMetadata,
	"UIDONLY":     featureUIDOnly,
	"UTF8=ACCEPT": featureUTF8,
	"IMAP4REV2":   featureRev2 | featureUTF8,
}

// has tells whether a feature is on.
func (s *session) has(f features) bool { return s.features&f != 0 }

// enable answers ENABLE. What is not known, cannot be enabled, or is not offered to
// this user, is passed over in silence. RFC 5161 section 3.1.
func (s *session) enable(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	var names []string
	for n := 0; p.err == nil && (n == 0 || p.more()); n++ {
		p.space()
		names = append(names, p.word())
	}
	if err := p.end(); err != nil {
		return completion{}, err
	}
	enabled := "ENABLED"
	var on features
	for _, name := range names {
		if f := enableable[name]; f != 0 && on|f != on {
			if c, offered := s.offers(name); offered {
				on |= f
				enabled += " " + c.name
			}
		}
	}
	if on&featureMetadata != 0 && !s.has(featureMetadata) {
		if err := s.watchAnnotations(ctx); err != nil {
			return completion{}, err
		}
	}
	s.line(enabled)
	if on&featureCondstore != 0 {
		s.enableCondstore()
	}
	s.features |= on
	return ok("Done"), nil
}
