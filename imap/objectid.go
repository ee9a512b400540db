package imap

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"tripost/message"
	"tripost/store"
)

// Object identifiers, RFC 8474. None of them is stored: a mailbox's is its number,
// a message's and a thread's are digests of what stands in the message.

// mailboxID is what a mailbox is called for ever, whatever its name. Section 4.
func mailboxID(box *store.Mailbox) string { return fmt.Sprintf("F%d-%d", box.Account, box.ID) }

// emailID is the same for all messages with the same octets, copies and others.
// Section 5.1.
func emailID(r message.Record) string { return "M" + objectID(r.Digest()) }

// threadID is the same for messages that name the same message as the first of
// their thread: the first reference, else what they answer, else themselves. It is
// "" for a message that has no such name. Section 5.2.
func threadID(r message.Record) string {
	root := r.MessageID()
	if in := r.InReplyTo(); len(in) > 0 {
		root = in
	}
	for first := range r.References() {
		root = first
		break
	}
	if len(root) == 0 {
		return ""
	}
	digest := sha256.Sum256(root)
	return "T" + objectID(digest[:])
}

// appendThreadID appends THREADID, NIL where there is none.
func appendThreadID(b []byte, r message.Record) []byte {
	id := threadID(r)
	if id == "" {
		return append(b, "THREADID NIL"...)
	}
	return append(append(append(b, "THREADID ("...), id...), ')')
}

// objectID writes the beginning of a digest in the alphabet of RFC 8474 section 7;
// 144 bits are more than enough to be unique.
func objectID(digest []byte) string {
	return base64.RawURLEncoding.EncodeToString(digest[:min(len(digest), 18)])
}
