// Package send hands messages over to other hosts: it finds the hosts of a mail
// domain, connects to one of them, and speaks SMTP as a client (RFC 5321). It
// knows nothing of queues: who calls it decides what becomes of a recipient
// that was not taken.
//
// # Promises
//
//   - Every wait for the peer has an end, and what the peer says is read in
//     bounded memory.
//   - A recipient counts as taken only after the peer's positive reply to the
//     whole message.
//   - Credentials go only over TLS with a verified certificate.
//   - Nothing that came before a TLS handshake counts after it.
//
// # Use
//
// A [Finder] and a [Client] may be shared by goroutines, a [Conn] may not.
package send
