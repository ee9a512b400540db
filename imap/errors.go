package imap

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tripost/accounts"
	"tripost/store"
	"tripost/store/engine"
	"tripost/syslog"
)

// connError is an error of the connection itself: nothing more can be said, or
// need be, and the session ends.
type connError struct{ err error }

func (e *connError) Error() string { return e.err.Error() }
func (e *connError) Unwrap() error { return e.err }

// broken wraps an error of the connection; nil stays nil.
func broken(err error) error {
	if err == nil {
		return nil
	}
	return &connError{err}
}

// refusal carries a ready tagged response through functions that return errors.
type refusal struct{ completion completion }

func (e *refusal) Error() string { return e.completion.status + " " + e.completion.text }

func refuse(c completion) error { return &refusal{c} }

// errorToResponse turns an error of the rooms below into the tagged response that
// the client sees, with the codes of RFC 5530 and RFC 3501. Syntax errors are BAD,
// all else is NO. What is not listed is ours: it says no more than that, and is
// logged here, where it stops.
func (s *session) errorToResponse(err error) completion {
	var r *refusal
	if errors.As(err, &r) {
		return r.completion
	}
	switch {
	case errors.Is(err, errSyntax):
		return bad(err.Error())
	case errors.Is(err, errLimit):
		return no("LIMIT", err.Error())
	case errors.Is(err, context.Canceled):
		return no("UNAVAILABLE", "Interrupted: the server is shutting down")
	}
	for _, known := range responses {
		if errors.Is(err, known.err) {
			return no(known.code, known.text+reason(err, store.ErrBadName))
		}
	}
	s.log.Logf(syslog.Failure, "command failed: %v", err)
	return no("SERVERBUG", "Something went wrong here; it has been logged")
}

// reason is what stands behind an error in the one that wraps it, such as ": more
// than 20 levels".
func reason(err, wrapped error) string {
	_, reason, _ := strings.Cut(err.Error(), wrapped.Error())
	return reason
}

// responses are the errors that a client can understand or mend.
var responses = []struct {
	err  error
	code string
	text string
}{
	{engine.ErrReadOnly, "UNAVAILABLE", "The store takes no changes at the moment"},
	{store.ErrReadOnlyView, "READ-ONLY", "The mailbox is open read-only"},
	{store.ErrNoMailbox, "NONEXISTENT", "No such mailbox"},
	{accounts.ErrNoMailbox, "NONEXISTENT", "No such mailbox"},
	{store.ErrMailboxExists, "ALREADYEXISTS", "There is a mailbox of that name"},
	{store.ErrNotSelectable, "NONEXISTENT", "The name holds no messages"},
	{store.ErrNoRight, "NOPERM", "You have no right to do that"},
	{store.ErrOverQuota, "OVERQUOTA", "That would exceed the quota"},
	{store.ErrBadName, "CANNOT", "Not a valid mailbox name"},
	{store.ErrInbox, "CANNOT", "INBOX cannot be removed"},
	{store.ErrHasChildren, "HASCHILDREN", "The name has children"},
	{store.ErrTooManyMailboxes, "LIMIT", "Too many mailboxes"},
	{store.ErrMetadataValue, fmt.Sprintf("METADATA MAXSIZE %d", store.MaxMetadataValue), "The value is too large"},
	{store.ErrMetadataFull, "METADATA TOOMANY", "There is too much metadata"},
	{store.ErrBadMetadata, "CANNOT", "That entry cannot be set"},
	{store.ErrUIDs, "LIMIT", "The mailbox has no UIDs left"},
	{store.ErrKeywords, "LIMIT", "The mailbox cannot hold such a keyword, or no more of them"},
	{store.ErrTooLate, "CLOSED", "The mailbox has changed too much since it was selected"},
	{store.ErrNoMessage, "EXPUNGEISSUED", "Some of these messages no longer exist"},
	{store.ErrNoAccount, "NONEXISTENT", "The account no longer exists"},
	{engine.ErrDamaged, "CORRUPTION", "A stored message is damaged"},
}

// errLimit is behind errors that name a passed limit.
var errLimit = errors.New("limit passed")

// limitError names the limit that was passed.
type limitError struct{ text string }

func (e *limitError) Error() string        { return e.text }
func (e *limitError) Is(target error) bool { return target == errLimit }

// tryCreate turns the response to a missing target mailbox of APPEND, COPY and
// MOVE into the one that asks for its creation (RFC 3501 section 6.3.11).
func tryCreate(err error) error {
	missing := errors.Is(err, store.ErrNoMailbox) || errors.Is(err, accounts.ErrNoMailbox) ||
		errors.Is(err, store.ErrNotSelectable)
	if missing {
		return refuse(no("TRYCREATE", "No such mailbox"))
	}
	return err
}
