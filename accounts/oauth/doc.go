// Package oauth checks the bearer tokens with which users sign in by OAUTHBEARER
// (RFC 7628) and XOAUTH2: by asking the server that issued them (RFC 7662), or
// by its signature on them (JWT, RFC 7519 and RFC 9068).
//
// # Promises
//
//   - A token signs in only whom its issuer names in the configured claim, only
//     within its time, and only if it was issued for this server.
//   - Whatever the issuer's server answers, however slowly, is bounded. While it
//     cannot be asked, sign-ins by token fail for the time being
//     ([accounts.ErrUnavailable]), and nobody's others do.
//   - No error holds a token, a part of one, or a client secret, and no token is
//     kept: what is remembered of one is its hash.
//
// # Use
//
// A [Checker] is an [accounts.TokenChecker]. It may be shared by goroutines.
package oauth
