// Package mailauth finds out who answers for a message that came from another
// host: SPF (RFC 7208), DKIM (RFC 6376, RFC 8463), DMARC (RFC 7489), and whether
// the address of the host has a name that leads back to it. It renders what it
// found as an Authentication-Results field (RFC 8601). What becomes of the
// message is its caller's decision.
//
// # Promises
//
//   - Each check ends within [Checker.Time], whatever the DNS does: what was not
//     answered by then is a temperror.
//   - Work is bounded: lookups by RFC 7208 section 4.6.4, signatures by
//     [Checker.Signatures], keys, fields and lines by constants; a message that
//     exceeds them has no valid signature.
//   - What others chose cannot break out of the field that shows it.
//
// # Use
//
// A [Checker] may be shared by goroutines. The DNS is asked in the names of
// others, so its answers are to be bounded and cached there.
package mailauth
