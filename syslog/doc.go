// Package syslog is the System Log: one stream of records in which everything
// the server does can be followed, whichever module did it.
//
// # Form
//
// A record is one line, whatever a client sent:
//
//	10:15:02.140 4 POP-000123([192.0.2.7]:51022) cmd: USER jsmith
//	00:08:20.112 2 QUEUE([1134]) deleted
//	00:00:00.001 3 SYSTEM certificate expires in 6 days
//
// that is: local time of day, level, and the session (tag, serial number,
// remote address), the named thing, or the tag alone. The date stands in the
// name of the file. Control characters and octets that are not UTF-8 are
// escaped. With [Options.JSON] the same record is one JSON object, in which
// [Field] values stand beside the text.
//
// # Promises
//
//   - Logging waits for room at most [maxWait], and then not again until the
//     disk has taken something: a slow, full or dead disk costs records, never
//     service. Lost records are counted and the count is logged when writing
//     works again.
//   - Records of level [Crash] and [Failure] are handed to the operating system
//     before Log returns, within the same bound.
//   - A level that is off costs one atomic load.
//
// # Use
//
// A [Log] and a [Logger] may be shared by goroutines. A nil Logger is silent.
// Passwords, SASL responses and message text never go into the log, at no
// level; that is the duty of the callers.
package syslog
