// Package dkim keeps the keys with which domains sign what they send, and signs
// with them (RFC 6376, RFC 8463). Keys are in the store: in its space for keys,
//
//	k domain 0 selector   a key
//	g                     written with each change
//
// # Promises
//
//   - A private key never leaves the store but into the memory of this process,
//     and is in no text that this package makes.
//   - A key that is made signs only from the time at which its record can be
//     known everywhere, as long as the domain has an older one.
//
// # Use
//
// [Keys] may be shared by goroutines.
package dkim
