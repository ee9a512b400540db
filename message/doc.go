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
// # Broken mail
//
// Clients can reach all octets of a message through its structure:
//
//   - A header ends at the first empty line, at a boundary or at the end,
//     whatever its lines look like. Of one longer than [Limits.Header] the rest
//     is not looked at.
//   - A multipart without a usable boundary, or nested too deep, is text/plain,
//     and so is a message nested too deep.
//   - A multipart in which no part begins has one part of text/plain, which holds
//     all that stands there.
//   - The last part that [Limits.Parts] allows is text/plain and holds all that
//     follows.
//   - A Content-Type that cannot be read is text/plain.
//   - A message/rfc822 part is read as it stands, even if its encoding, against
//     RFC 2046, is base64 or quoted-printable.
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
