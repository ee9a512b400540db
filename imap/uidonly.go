package imap

import (
	"strconv"

	"tripost/store"
)

// A client that enables UIDONLY neither sends sequence numbers nor is sent any: the
// commands that have a UID form are there in that form alone, FETCH responses are
// UIDFETCH, and VANISHED takes the place of EXPUNGE. RFC 9586.

// uidRequired refuses a sequence number. Section 3.
func uidRequired() error {
	return refuse(badCode("UIDREQUIRED", "Sequence numbers have been switched off"))
}

// appendFetchStart appends what a FETCH response begins with, up to its parenthesis.
func (s *session) appendFetchStart(b []byte, seq int, u store.UID) []byte {
	b = append(b, "* "...)
	if s.has(featureUIDOnly) {
		b = strconv.AppendUint(b, uint64(u), 10)
		return append(b, " UIDFETCH ("...)
	}
	b = strconv.AppendUint(b, uint64(seq), 10)
	return append(b, " FETCH ("...)
}
