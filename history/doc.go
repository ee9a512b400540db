// Package history remembers what became of each message: how it came in and
// where it went, who was given its text, what was done with it, and when it was
// removed. [History.Explain] tells it, also after the message is gone.
//
// # Promises
//
//   - What is recorded in a transaction of the store is there when the
//     transaction is, and not otherwise. Only that a text was read is collected
//     in memory for some seconds and may be lost in a crash.
//   - A delivery writes one record more; every other action one, however many
//     messages it is about.
//   - A record stays for [Options.Keep] after the message is gone, and what a
//     mailbox's records may take is bounded by [Options.Limit].
//
// # Keys
//
// In the space H; numbers in keys are big-endian, times are microseconds since
// 1970:
//
//	B body8                             how a message came in, and where it went
//	M account8 mailbox4 time8 uid4 op1  what was done with messages of a mailbox
//	S id8 time8                         an attempt to send a queued message
//	X digest8 body8                     index: the body by its Message-ID
//	Q id8                               index: the body by its queue id
//	G body8                             when a message was first found gone
//	C                                   up to which body the indexes reach
//
// The indexes are made in the background, in the order of the bodies' numbers, and
// before a question is answered; so deliveries need not write to random places.
//
// # Use
//
// A [History] may be shared by goroutines. [Record] is for the options of the
// store.
package history
