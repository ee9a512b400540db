// Package store keeps every account's mailboxes and messages as records of an
// [engine.Engine], and the bodies as its blobs. It is the one place where
// rights are decided, where quota is counted and where changes are numbered.
// It knows nothing of POP3, IMAP or SMTP, and nothing of names of accounts: a
// session tells it who acts with an [Identity].
//
// # Promises
//
//   - When an operation returns nil its change is on stable storage; when it
//     returns an error nothing of it is visible.
//   - A UID is never given out twice under one UIDVALIDITY, and a UIDVALIDITY
//     never twice in one account.
//   - Renaming a mailbox changes neither its UIDVALIDITY nor a UID.
//   - Every change of an account takes a higher modseq than all before it.
//   - A body is stored once, however many messages, copies and queued items
//     hold it, and goes when the last of them goes.
//   - Opening a mailbox, asking for its state and appending a message cost the
//     same whatever the mailbox holds.
//   - What is expunged can be restored for [Options.Undelete].
//
// # Use
//
// A [Store] may be shared by goroutines. A [View] belongs to one goroutine, and
// holds no lock and no transaction between calls. A [Snapshot] and a [Tx] are
// valid only inside the function that they were passed to, and so is every
// slice read from them.
//
// The rooms above keep their own records in a [Space] of the same key space, so
// that one transaction can hold a message, its queue items and what else must
// be true together.
//
// The format is described in docs/storage.md.
package store
