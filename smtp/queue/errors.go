package queue

import (
	"errors"
	"fmt"
)

// Errors callers may test for with [errors.Is].
var (
	// ErrTooLong is returned when a body has more octets than
	// [Options.MaxSize], or was announced to have.
	ErrTooLong = errors.New("message exceeds the size limit")
	// ErrLoop is returned when a body carries more Received fields than
	// [Options.MaxHops] (RFC 5321 section 6.3).
	ErrLoop = errors.New("mail loop: too many Received fields")
	// ErrQueueFull is returned when remote recipients would make the queue
	// longer than [Options.MaxItems]. It is temporary.
	ErrQueueFull = errors.New("the queue is full")
	// ErrNoItem is returned for a queue id under which nothing waits.
	ErrNoItem = errors.New("no such message in the queue")
	// ErrNoRecipients is returned for an envelope without any recipient.
	ErrNoRecipients = errors.New("no recipients")
)

// RecipientError says which recipient is refused, and why, in the terms of an
// SMTP reply. Codes below 500 are temporary.
type RecipientError struct {
	Address  string // as given by the submitter
	Code     int    // SMTP reply code, 4yz or 5yz
	Enhanced string // enhanced status code of RFC 3463, such as "5.1.1"
	Reason   string // for the reply, without the address
	Err      error  // the cause where there is one, for [errors.Is]
}

// Error returns the refusal in one line.
func (e *RecipientError) Error() string {
	return fmt.Sprintf("<%s>: %d %s %s", e.Address, e.Code, e.Enhanced, e.Reason)
}

// Unwrap returns the cause.
func (e *RecipientError) Unwrap() error { return e.Err }

// Temporary tells whether the same recipient may be taken later.
func (e *RecipientError) Temporary() bool { return e.Code < 500 }
