// Package message reads Internet mail: header fields, addresses, dates, MIME
// structure, character sets. It knows no protocol and no store; what it finds
// is what IMAP, POP3 and SMTP need to know about a message without reading it
// again.
//
// # Promises
//
//   - A message is never changed. What is broken, too deep or too long is left
//     out of the structure, and the octets are served as they came.
//   - No input makes a function of this package fail hard: broken mail gives
//     the best structure that can be read from it.
//   - Time is linear in the input and memory is bounded by [Limits], whatever
//     the nesting.
//   - What a [Scanner] finds does not depend on how the octets were cut into
//     writes.
//
// # Use
//
// A [Scanner] is given a message while it streams by and yields a [Summary].
// [Summary.Append] encodes it for storage; a [Record] reads the encoding
// without decoding the rest. Lines end with LF or CRLF; a CR alone is an
// ordinary octet.
//
// All functions are safe for concurrent use; a Scanner belongs to one goroutine
// at a time.
package message
