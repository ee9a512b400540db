// Package screen is the first line against unwanted mail from other hosts: lists
// of addresses in the DNS, what a host's names say about it, rates, greylisting,
// addresses that walked into a trap, and the filters that an organisation may
// have already (rspamd, milters). It gathers findings, each with points and a
// reason; what becomes of a message is its caller's decision.
//
// # Promises
//
//   - Everything ends within [Options.Time], and what cannot be found out counts
//     for nothing: a list that does not answer holds up no mail.
//   - What is remembered is bounded in number and in time.
//   - Each finding has a reason that may be shown in a header field and in the log.
//
// # Use
//
// A [Screen] may be shared by goroutines. [Screen.Run] forgets what is out of
// date; without it that happens only when there is no more room.
package screen
