package pop

import (
	"context"
	"io"
	"net/netip"

	"tripost/accounts"
	"tripost/syslog"
)

// Submitter takes messages for delivery: the queue, as this package sees it.
type Submitter interface {
	// Submit reads body to its end and answers for all recipients or for none.
	// It returns the message's queue id when it is on stable storage. An error
	// of body's Read is returned, wrapped or not, and nothing is kept. What the
	// client may know of a refusal is said by a [SubmitError] in the error's
	// chain; any other error is taken as temporary and ours.
	//
	// body has CRLF line ends, no bare CR or LF and no NUL. Trace fields, Date
	// and Message-ID are the Submitter's to add.
	Submit(ctx context.Context, m Submission, body io.Reader) (id string, err error)
}

// Submission is the envelope of a message that came by XTND XMIT.
type Submission struct {
	From       string   // reverse-path: the address of the account
	Recipients []string // at least one, each once; those without a domain were given that of the account
	Account    accounts.Account
	Remote     netip.Addr
	Local      netip.Addr
	TLS        bool
	UTF8       bool           // header or addresses need SMTPUTF8 (RFC 6531)
	Log        *syslog.Logger // the session's
}

// SubmitError is a refusal that the client is told.
type SubmitError struct {
	Permanent bool   // sending it again as it is would be refused again
	Text      string // in a sentence, such as "no such account: <x@company.test>"
	Err       error  // the cause, for the log; may be nil
}

// Error is the cause's text, if there is a cause.
func (e *SubmitError) Error() string {
	if e.Err == nil {
		return e.Text
	}
	return e.Err.Error()
}

func (e *SubmitError) Unwrap() error { return e.Err }
