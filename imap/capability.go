package imap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tripost/accounts"
)

// capability is a row of the table of capabilities.
type capability struct {
	name string
	when func(*session) bool
}

// capabilities are what the server can do, each with its condition. A capability
// stands here only when it is whole.
var capabilities = []capability{
	{"IMAP4rev1", always},
	{"IMAP4rev2", always}, // RFC 9051
	{"LITERAL+", always},  // RFC 7888
	{"SASL-IR", early},    // RFC 4959
	{"ID", always},        // RFC 2971
	{"ENABLE", always},    // RFC 5161
	{"IDLE", always},      // RFC 2177
	{"NAMESPACE", always}, // RFC 2342
	{"STARTTLS", func(s *session) bool { return early(s) && s.c.CanTLS() }},
	{"LOGINDISABLED", func(s *session) bool { return early(s) && !s.srv.cfg.Auth.Allowed(s.attempt()) }},
	{"UIDPLUS", late},            // RFC 4315
	{"UNSELECT", late},           // RFC 3691
	{"CHILDREN", late},           // RFC 3348
	{"SPECIAL-USE", late},        // RFC 6154
	{"CREATE-SPECIAL-USE", late}, // RFC 6154
	{"MOVE", late},               // RFC 6851
	{"STATUS=SIZE", late},        // RFC 8438
	{"LIST-EXTENDED", late},      // RFC 5258
	{"LIST-STATUS", late},        // RFC 5819
	{"LIST-MYRIGHTS", late},      // RFC 8440
	{"UTF8=ACCEPT", late},        // RFC 9755
	{"OBJECTID", late},           // RFC 8474
	{"SAVEDATE", late},           // RFC 8514
	{"UIDONLY", late},            // RFC 9586
	{"CONDSTORE", late},          // RFC 7162
	{"QRESYNC", late},            // RFC 7162
	{"MULTIAPPEND", late},        // RFC 3502
	{"CATENATE", late},           // RFC 4469
	{"REPLACE", late},            // RFC 8508
	{"BINARY", late},             // RFC 3516
	{"PREVIEW", late},            // RFC 8970
	{"ESEARCH", late},            // RFC 4731
	{"SEARCHRES", late},          // RFC 5182
	{"WITHIN", late},             // RFC 5032
	{"PARTIAL", late},            // RFC 9394
	{"MULTISEARCH", late},        // RFC 7377
	{"SEARCH=FUZZY", late},       // RFC 6203
	{"SORT", late},               // RFC 5256
	{"SORT=DISPLAY", late},       // RFC 5957
	{"ESORT", late},              // RFC 5267 section 3
	{"THREAD=REFERENCES", late},  // RFC 5256
	{"THREAD=ORDEREDSUBJECT", late},
	{"INPROGRESS", late},  // RFC 9585
	{"I18NLEVEL=2", late}, // RFC 5255
	{"ACL", late},         // RFC 4314
	{"RIGHTS=kxte", late}, // RFC 4314 section 5.1.1
	{"QUOTA", late},       // RFC 9208
	{"QUOTA=RES-STORAGE", late},
	{"QUOTA=RES-MESSAGE", late},
	{"QUOTA=RES-MAILBOX", late},
	{"LIST-METADATA", late},            // RFC 9590
	{"METADATA", late},                 // RFC 5464
	{"NOTIFY", late},                   // RFC 5465
	{"UNAUTHENTICATE", late},           // RFC 8437
	{"COMPRESS=DEFLATE", compressible}, // RFC 4978
}

func always(*session) bool  { return true }
func early(s *session) bool { return s.state == notAuthenticated }
func late(s *session) bool  { return s.state != notAuthenticated }

// compressible says whether compression can begin.
func compressible(s *session) bool { return late(s) && !s.c.Compressed() }

// capabilities lists what this session can do now. Before sign-in those are left
// out that mean nothing then, and the SASL mechanisms that would work are named.
func (s *session) capabilities() string {
	var b strings.Builder
	for _, c := range capabilities {
		if s.tells(&c) {
			b.WriteString(" " + c.name)
		}
	}
	if late(s) { // RFC 7889
		fmt.Fprintf(&b, " APPENDLIMIT=%d", s.srv.cfg.Limits.Message)
	}
	if limit := s.srv.cfg.Limits.Messages; late(s) && limit > 0 { // RFC 9738
		fmt.Fprintf(&b, " MESSAGELIMIT=%d", limit)
	}
	if early(s) {
		for _, m := range s.srv.cfg.Auth.Mechanisms(s.attempt()) {
			b.WriteString(" AUTH=" + m)
		}
	}
	return b.String()[1:]
}

// offers finds a capability that the session has now.
func (s *session) offers(name string) (c capability, offered bool) {
	i := slices.IndexFunc(capabilities, func(c capability) bool { return strings.EqualFold(c.name, name) })
	if i < 0 {
		return c, false
	}
	return capabilities[i], s.tells(&capabilities[i])
}

// tells says whether a capability is there now, and not hidden from this user.
func (s *session) tells(c *capability) bool { return c.when(s) && !s.hidden.Hides(c.name) }

// CheckHidden returns an error for what cannot be hidden from the clients of an
// account: no capability, the name of the protocol itself, or one that counts
// before it is known whose client it is. A name without its "=" stands for all with
// it.
func CheckHidden(name string) error {
	switch name = strings.ToUpper(name); name {
	case "IMAP4REV1", "IMAP4REV2", "SASL-IR", "STARTTLS", "LOGINDISABLED":
		return fmt.Errorf("%s cannot be hidden from an account: it says how to speak at all", name)
	}
	hidden := accounts.Hidden(name)
	if !slices.ContainsFunc(capabilities, func(c capability) bool { return hidden.Hides(c.name) }) {
		return fmt.Errorf("%q is not a capability that IMAP clients of an account are told of", name)
	}
	return nil
}

// attempt describes the connection to those who decide about a sign-in.
func (s *session) attempt() accounts.Attempt {
	state := s.c.TLS()
	return accounts.Attempt{
		Service:  accounts.IMAP,
		Remote:   s.c.Remote().Addr(),
		Local:    s.c.Local().Addr(),
		TLS:      state != nil,
		TLSState: state,

		ServerCertificate: s.c.ServerCertificate(),
		Log:               s.log,
	}
}

// capability answers CAPABILITY, RFC 3501 section 6.1.1.
func (s *session) capability(_ context.Context, cmd *command) (completion, error) {
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	s.line("CAPABILITY " + s.capabilities())
	return ok("Done"), nil
}
