package store

import "tripost/store/engine"

// AccountID names an account. It is never given out twice; 0 is none.
type AccountID uint64

// MailboxID names a mailbox of one account, whatever it is called at the time.
// It is never given out twice in that account; 0 is none.
type MailboxID uint32

// UID is a message's unique identifier in its mailbox, from 1 up (RFC 9051
// section 2.3.1.1).
type UID uint32

// ModSeq numbers the changes of one account: every change in any of its
// mailboxes takes a higher one. A mailbox sees its own in ascending order, which
// is what RFC 7162 asks.
type ModSeq uint64

// Body names a message's octets.
type Body = engine.Blob

// MailboxRef names a mailbox of an account. Names are UTF-8 with '/' between
// levels, case-sensitive but for INBOX.
type MailboxRef struct {
	Account AccountID
	Name    string
}
