// Package queue is the one way in for every message that is submitted, and the
// keeper of what waits to go out to other hosts.
//
// A message comes with an [Envelope]. [Queue.Submit] asks the router where each
// recipient leads, streams the body once into the store and records, in one
// transaction, every local copy and every remote recipient. Whoever submits
// (an SMTP session, a POP session, a bounce) therefore gets one answer for
// the whole message.
//
// # Promises
//
//   - When Submit returns nil, the body, all local copies and all remote
//     recipients are on stable storage; when it returns an error, none of them
//     is.
//   - A queue id is never given out twice.
//   - The outcome of an attempt is recorded in one transaction together with the
//     report that it makes necessary. A crash can repeat the attempts that were
//     in flight and nothing else.
//   - No report is ever sent for a message with the null reverse-path.
//
// # Use
//
// A [Queue] may be shared by goroutines. A [Sender] carries away what is due;
// one of them runs per process.
package queue
