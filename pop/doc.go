// Package pop is the POP3 module: sessions in which a user lists, reads and
// removes the messages of one mailbox, and sends mail with XTND XMIT.
//
// # Promises
//
//   - Message-numbers, sizes and unique-ids never change within a session,
//     whatever other sessions do to the mailbox meanwhile. No session locks it.
//   - Nothing is removed before QUIT. A session that ends in any other way
//     removes nothing.
//   - A message is marked Seen when RETR has sent the whole of it, and TOP never
//     marks one.
//   - The sizes in STAT and LIST are the octets that RETR sends.
//   - A message whose octets cannot all be read is never ended as if it were
//     whole: the connection is closed instead.
//   - Whether an account or a mailbox exists is told to nobody who may not open
//     it.
//
// RFC 1939, 2449, 2595, 3206, 5034, 6856, 6857; LAST of RFC 1460; XTND XMIT as the clients
// that send by POP know it. Where each command stands is in
// docs/protocols/pop.md.
//
// # Use
//
// A [Server] holds what its sessions share and may be used by any number of
// them at once. A session runs in the goroutine that calls [Server.Serve].
package pop
