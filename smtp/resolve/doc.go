// Package resolve asks DNS servers what mail needs to know: MX, addresses, TXT,
// PTR and TLSA, and whether DNSSEC vouches for the answer.
//
// # Promises
//
//   - Errors are [net.DNSError]. IsNotFound is set when the name or the kind of
//     record does not exist, and only then; everything else is temporary: a time
//     that ran out, SERVFAIL, an answer that makes no sense.
//   - Every question has an end, and no answer is kept beyond its bounds.
//   - An answer is called secure only when the server says so (the AD bit) and
//     [Options.Validates] says that its word counts.
//
// # Use
//
// A [Resolver] may be shared by goroutines. It has the methods of
// [net.Resolver] that mail needs, so what takes an interface of those takes it.
package resolve
