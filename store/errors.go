package store

import (
	"errors"
	"fmt"
)

// Errors about mailboxes and their names. Callers test with [errors.Is].
var (
	// ErrNoMailbox is also the answer where the identity may not know of the
	// mailbox.
	ErrNoMailbox = errors.New("no such mailbox")
	// ErrMailboxExists is returned for a name that is taken.
	ErrMailboxExists = errors.New("mailbox already exists")
	// ErrNotSelectable is returned where messages are asked of a directory-only
	// name.
	ErrNotSelectable = errors.New("the name holds no messages")
	// ErrBadName is returned for a new name that breaks the rules of names.
	ErrBadName = errors.New("not a valid mailbox name")
	// ErrInbox is returned on deleting INBOX.
	ErrInbox = errors.New("INBOX cannot be removed")
	// ErrHasChildren is returned on deleting a directory-only name that has
	// children.
	ErrHasChildren = errors.New("the name has children")
	// ErrTooManyMailboxes is returned where an account has as many names as it
	// may have.
	ErrTooManyMailboxes = errors.New("too many mailboxes")
)

// Errors about messages and accounts.
var (
	// ErrNoRight is what errors.Is finds in a [RightError].
	ErrNoRight = errors.New("no right to do that")
	// ErrOverQuota is returned where a message would take an account over its
	// limits.
	ErrOverQuota = errors.New("over quota")
	// ErrKeywords is returned for a keyword that the mailbox has no room for,
	// or that is no keyword.
	ErrKeywords = errors.New("too many keywords in this mailbox")
	// ErrNoAccount is returned for an account that does not exist, or no longer.
	ErrNoAccount = errors.New("no such account")
	// ErrNoPool is returned for a pool that does not exist, or no longer.
	ErrNoPool = errors.New("no such pool")
	// ErrNoMessage is returned for a message that was expunged meanwhile.
	ErrNoMessage = errors.New("no such message")
	// ErrReadOnlyView is returned for changes through a view that was opened
	// read-only.
	ErrReadOnlyView = errors.New("mailbox is open read-only")
	// ErrTooLate is returned by [View.Load] when what happened since the
	// opening is no longer on record.
	ErrTooLate = errors.New("the mailbox has changed too much since it was opened")
	// ErrUIDs is returned when a mailbox has given out its last UID.
	ErrUIDs = errors.New("mailbox has no UIDs left")
	// ErrBadMetadata is returned for a name of metadata that breaks the rules.
	ErrBadMetadata = errors.New("not a valid metadata entry")
	// ErrMetadataValue is returned for a value above [MaxMetadataValue].
	ErrMetadataValue = errors.New("the metadata value is too large")
	// ErrMetadataFull is returned where an account has as much metadata as it may.
	ErrMetadataFull = errors.New("too much metadata")
	// ErrBadACL is returned for an ACL entry that breaks the rules of entries.
	ErrBadACL = errors.New("not a valid access control entry")
)

// RightError tells which right is missing on which mailbox. It is returned only
// where the identity may know of the mailbox; [errors.Is] finds [ErrNoRight] in
// it.
type RightError struct {
	Right   Rights
	Mailbox string
}

func (e *RightError) Error() string {
	return fmt.Sprintf("the right %q is missing on mailbox %q", e.Right, e.Mailbox)
}

// Is makes errors.Is(e, ErrNoRight) true.
func (e *RightError) Is(target error) bool { return target == ErrNoRight }
