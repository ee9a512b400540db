// Package wire is the connection under the POP3, IMAP, SMTP and LMTP sessions:
// a bounded reader of lines, literals and mail data, an append-style writer,
// deadlines, TLS, and the server that accepts connections within its limits. It
// knows the framing of the protocols and none of their commands.
//
// # Promises
//
//   - Whatever the peer sends, memory stays bounded: a line by the maximum given
//     for it, everything else by two buffers.
//   - Mail data ends at <CRLF>.<CRLF> and nowhere else. Data with a bare CR, a
//     bare LF or a NUL is refused, but only after its true end, so that no part
//     of it is ever read as a command.
//   - Plain-text input that was sent ahead of a TLS handshake is dropped.
//   - A connection that waits holds no buffer. One goroutine serves it.
//   - Every wait for the peer has an end.
//
// # Use
//
// A [Conn] belongs to the goroutine of its session; only Interrupt, Wake and
// Abort may be called from others. Slices that it returns are valid until the
// next read. A [Server] makes one for each connection it accepts.
package wire
