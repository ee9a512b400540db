// Package accounts keeps the directory of domains, accounts and aliases, and
// decides who may sign in and as whom.
//
// # Promises
//
//   - Every change is one transaction: a new account appears together with its
//     mailboxes and its password, a removed one goes together with its aliases.
//   - A domain has one name space: accounts and aliases never share a name.
//   - Names are compared without case and kept in lower case.
//   - No record is cached: what an administrator changed counts for the next
//     sign-in and the next recipient. That a password was right is remembered
//     for a while, if so configured, and forgotten with the password.
//   - No password is kept, only what checks it: an argon2id hash, and the keys
//     of SCRAM-SHA-256, both derived when the password is set. Accounts with
//     LegacyAuth are the exception: theirs is also kept sealed, under a key that
//     is not in the store.
//   - A sign-in that fails says neither by its answer nor by its duration
//     whether the name exists. What is wrong with the account itself (it is
//     locked, a service is off, a secure method is required) is told only to
//     who has shown that it is theirs.
//   - A list of mechanisms names what would work on the connection that it is
//     made for.
//
// # Parts
//
// A [Directory] reads and changes the records, which are in the store's
// directory space. An [Authenticator] signs users in for all protocols: by name
// and password or by a SASL exchange, with a growing delay for those who guess.
// Both may be shared by goroutines. A [Policy] holds the settings that an account
// may leave to its domain and a domain to the server; [Directory.Policy] returns
// what counts. Where a login name leads is the router's
// business, asked through [LoginRouter].
package accounts
