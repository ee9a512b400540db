// Package smtp serves the Simple Mail Transfer Protocol: to other hosts as a
// mail exchanger (RFC 5321), and to users' mail programs as a submission server
// (RFC 6409). It parses, checks state, asks the queue, and replies; where a
// recipient leads and what becomes of a message is the queue's business.
//
// # Promises
//
//   - 250 after the message is written only when all of it is on stable
//     storage, and it carries the queue id.
//   - Mail data ends at <CRLF>.<CRLF> and nowhere else, and no octet of it is
//     ever read as a command.
//   - Nothing that a client sent before a TLS handshake counts after it
//     (RFC 3207 section 4.2).
//   - A stranger gets mail to local recipients only.
//
// # Use
//
// [New] makes a server of one mode. Its Serve method runs one session and is
// what wire.Server calls for each connection.
package smtp
