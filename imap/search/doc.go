// Package search finds, orders and threads the messages of a mailbox: what IMAP's
// SEARCH, SORT and THREAD ask for (RFC 9051 section 6.4.4, RFC 5256). It knows no
// session and no syntax: a program comes as a tree of keys, the answer is sequence
// numbers.
//
// # How a message is decided
//
// Cheap things first: by the index that the session has, then by what [Columns] has
// kept of the fields from earlier searches, then by the records that were stored at
// delivery, read many at a time, and only what is then still open by the message's
// octets. Those are looked through on all cores, by the scanners
// of a [Pool], which all searches of a server share: it bounds both the work done
// at a time and the memory that it takes.
//
// # Use
//
// A [Search] belongs to one goroutine; a [Pool] is safe for concurrent use.
package search
