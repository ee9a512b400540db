// Package local keeps a store in one directory of one machine: a journal that
// holds everything, and a bbolt file that is its index.
//
// A commit group, which is all the Updates that were waiting, is one append to
// the journal and one sync. Until the next checkpoint the changes are also in
// memory, in an overlay that readers look through to the index; then they are
// written to the index together with the place in the journal that they reach
// to. Opening replays what lies behind that place.
//
// # Promises
//
//   - An Update that returned nil survives a crash of the process, the system
//     or the power, as far as the disk keeps what it said it had synced.
//   - A crash leaves each Update whole or absent.
//   - A write or sync that failed is never tried again on the same file as if
//     nothing had been. What it was for is refused, and the store takes no more
//     updates until a fresh file has been written and synced.
//   - Octets that are not what was written are found by their checksum and
//     reported by file and offset. They are never skipped silently.
//
// # Use
//
// An [Engine] may be shared by goroutines. One process at a time holds the
// directory. The functions given to Update run one after the other on one
// goroutine: a slow one holds up all writers, and none may call Update or wait
// for something that does.
//
// docs/storage-engine.md has the formats, and what a crash leaves at each step.
package local
