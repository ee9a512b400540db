// Package imap serves IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051) with the
// extensions listed in capability.go. It holds sessions only: mailboxes, rights and
// messages are the store's, names of people the directory's.
//
// # Promises
//
//   - Every command gets exactly one tagged response, after the untagged data
//     that belongs to it and after the changes that other sessions made.
//   - What a command changed is on stable storage before its tagged OK.
//   - A refused literal is drained or ends the connection: none of its octets is
//     ever read as a command.
//   - A session holds no lock and no transaction while it waits for its client.
//   - Every line, literal, set, list and nesting is bounded; see [Limits].
//
// # Where things are
//
// Every command stands in one table (commands.go) with the states in which it is
// legal; every capability in another (capability.go) with its condition. A command
// is read whole (read.go), taken apart by a recursive-descent parser (parse.go),
// and handled in the file of its topic. Errors of the rooms below become responses
// in one function (errors.go).
package imap
