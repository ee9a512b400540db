// Package rules keeps what accounts want done with mail that arrives: forward
// it, file it, mark it, answer that they are away, or discard it. It decides;
// the queue carries out, in the transaction that delivers.
//
// Rules are data, an ordered list of conditions and actions, whatever language
// they are written in. [Parse] reads the one of docs/rules.md.
//
// # Promises
//
//   - A list of rules is checked whole before any of it changes.
//   - No decision depends on anything but the rules, the message's header, its
//     envelope and the time, so a transaction may decide again.
//   - Nobody is answered twice within the days that a rule says, also after a
//     crash: the record of it is part of the transaction with the reply.
//
// # Keys
//
// In the space U; account and time are 8 octets, big-endian:
//
//	R account              the rules: the octet 01, then JSON as [Rule] has it
//	V account digest8      when a sender was answered, Unix seconds; the digest is of sender and reply
//	N account              how many such records the account has
//
// # Use
//
// A [Rules] may be shared by goroutines.
package rules
