package store

import (
	"encoding/binary"
	"strings"
)

// The first octet of every key is its space. Zero is the engine's, the letters
// of [Space] are the rooms' above.
const (
	spaceStore     = 'S' // about the store itself
	spaceAccounts  = 'A' // accounts, mailboxes, messages
	spaceSummaries = 'P' // one message.Record for each body
	spaceNames     = 'I' // the individuals that a body is for, where it names any
)

// What follows an account's id in spaceAccounts.
const (
	partAccount      = 0x00
	partName         = 0x01 // + name: the mailbox it leads to
	partSubscription = 0x03 // + name
	partMailbox      = 0x04 // + mailbox
	partTrash        = 0x05 // + modseq, mailbox, UID: an expunged message
	partMetadata     = 0x06 // + mailbox, owner, name: an annotation
	partContents     = 0x10 // + mailbox + one of the items below
)

// What follows a mailbox's id in partContents. The state sorts directly behind
// the newest message, so that an append touches one place.
const (
	itemMessage    = 0x01 // + UID
	itemState      = 0x02
	itemChange     = 0x03 // + modseq
	itemKeywords   = 0x04
	itemIndividual = 0x05 // + name, 00, UID: the message again, for one individual
	itemUniqueID   = 0x06 // + UID: the message's unique-id, where it is not the ordinary one
	itemHolder     = 0x07 // + unique-id: the message that has it
	itemFlags      = 0x08 // + block: flags of many messages that changed at once
)

// What follows spaceStore.
const (
	partFormat      = 0x00 // the schema's version
	partNextAccount = 0x01 // the next account id
	partRemoved     = 0x02 // + account, mailbox: contents still to be cleared away
	partGone        = 0x03 // + account: what an account was that can be made again
	partPool        = 0x04 // + pool: what its accounts hold together
	partNextPool    = 0x05 // the next pool id
)

// maxFixedKey is the length of the longest key without a name.
const maxFixedKey = 1 + 8 + 1 + 8 + 4 + 4

func formatKey() []byte      { return []byte{spaceStore, partFormat} }
func nextAccountKey() []byte { return []byte{spaceStore, partNextAccount} }
func nextPoolKey() []byte    { return []byte{spaceStore, partNextPool} }

func appendRemovedKey(b []byte, a AccountID, m MailboxID) []byte {
	b = append(b, spaceStore, partRemoved)
	b = binary.BigEndian.AppendUint64(b, uint64(a))
	return binary.BigEndian.AppendUint32(b, uint32(m))
}

func removedAccountKey(a AccountID) []byte {
	return binary.BigEndian.AppendUint64([]byte{spaceStore, partGone}, uint64(a))
}

func appendAccountPart(b []byte, a AccountID, part byte) []byte {
	b = append(b, spaceAccounts)
	b = binary.BigEndian.AppendUint64(b, uint64(a))
	return append(b, part)
}

func accountKey(a AccountID) []byte {
	return appendAccountPart(make([]byte, 0, 10), a, partAccount)
}

// appendName writes a name with '/' as a zero octet, which no name contains: a
// name then comes directly before its subtree, and the subtree is one range.
func appendName(b []byte, name string) []byte {
	for {
		i := strings.IndexByte(name, separator)
		if i < 0 {
			return append(b, name...)
		}
		b = append(b, name[:i]...)
		b = append(b, 0)
		name = name[i+1:]
	}
}

// nameOf reads what appendName wrote.
func nameOf(b []byte) string { return strings.ReplaceAll(string(b), "\x00", "/") }

func nameKey(a AccountID, name string) []byte {
	return appendName(appendAccountPart(make([]byte, 0, 10+len(name)), a, partName), name)
}

// subtreeRange bounds the names below name.
func subtreeRange(a AccountID, name string) (lo, hi []byte) {
	k := nameKey(a, name)
	return append(k[:len(k):len(k)], 0), append(k[:len(k):len(k)], 1)
}

func subscriptionKey(a AccountID, name string) []byte {
	return append(appendAccountPart(make([]byte, 0, 10+len(name)), a, partSubscription), name...)
}

func mailboxKey(a AccountID, m MailboxID) []byte {
	b := appendAccountPart(make([]byte, 0, 14), a, partMailbox)
	return binary.BigEndian.AppendUint32(b, uint32(m))
}

func appendTrashKey(b []byte, a AccountID, at ModSeq, m MailboxID, u UID) []byte {
	b = appendAccountPart(b, a, partTrash)
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = binary.BigEndian.AppendUint32(b, uint32(m))
	return binary.BigEndian.AppendUint32(b, uint32(u))
}

func appendContents(b []byte, a AccountID, m MailboxID, item byte) []byte {
	b = appendAccountPart(b, a, partContents)
	b = binary.BigEndian.AppendUint32(b, uint32(m))
	return append(b, item)
}

func stateKey(a AccountID, m MailboxID) []byte {
	return appendContents(make([]byte, 0, 15), a, m, itemState)
}

func keywordsKey(a AccountID, m MailboxID) []byte {
	return appendContents(make([]byte, 0, 15), a, m, itemKeywords)
}

func appendMessageKey(b []byte, a AccountID, m MailboxID, u UID) []byte {
	b = appendContents(b, a, m, itemMessage)
	return binary.BigEndian.AppendUint32(b, uint32(u))
}

func messageKey(a AccountID, m MailboxID, u UID) []byte {
	return appendMessageKey(make([]byte, 0, 19), a, m, u)
}

// messageRange bounds the messages lo to hi, both included.
func messageRange(a AccountID, m MailboxID, lo, hi UID) (from, to []byte) {
	from = messageKey(a, m, lo)
	if hi == ^UID(0) {
		return from, stateKey(a, m)
	}
	return from, messageKey(a, m, hi+1)
}

// uidOf reads the UID at the end of a message's or a trash record's key.
func uidOf(key []byte) UID { return UID(binary.BigEndian.Uint32(key[len(key)-4:])) }

func changeKey(a AccountID, m MailboxID, q ModSeq) []byte {
	b := appendContents(make([]byte, 0, 23), a, m, itemChange)
	return binary.BigEndian.AppendUint64(b, uint64(q))
}

// changeRange bounds the changes from modseq lo on.
func changeRange(a AccountID, m MailboxID, lo ModSeq) (from, to []byte) {
	return changeKey(a, m, lo), keywordsKey(a, m)
}

func modSeqOf(changeKey []byte) ModSeq {
	return ModSeq(binary.BigEndian.Uint64(changeKey[len(changeKey)-8:]))
}

func summaryKey(b Body) []byte {
	k := make([]byte, 0, 9)
	return binary.BigEndian.AppendUint64(append(k, spaceSummaries), uint64(b))
}

func namesKey(b Body) []byte {
	k := make([]byte, 0, 9)
	return binary.BigEndian.AppendUint64(append(k, spaceNames), uint64(b))
}

func appendIndividual(b []byte, k boxKey, name string) []byte {
	b = appendContents(b, k.account, k.mailbox, itemIndividual)
	return append(append(b, name...), 0)
}

func individualKey(k boxKey, name string, u UID) []byte {
	b := appendIndividual(make([]byte, 0, maxFixedKey+len(name)), k, name)
	return binary.BigEndian.AppendUint32(b, uint32(u))
}

// individualRange bounds the messages of a mailbox for one individual.
func individualRange(k boxKey, name string) (lo, hi []byte) {
	lo = appendIndividual(make([]byte, 0, maxFixedKey+len(name)), k, name)
	return lo, prefixEnd(lo)
}

func uniqueIDKey(k boxKey, u UID) []byte {
	b := appendContents(make([]byte, 0, maxFixedKey), k.account, k.mailbox, itemUniqueID)
	return binary.BigEndian.AppendUint32(b, uint32(u))
}

// uniqueIDRange bounds the unique-ids of a mailbox.
func uniqueIDRange(k boxKey) (lo, hi []byte) {
	lo = appendContents(nil, k.account, k.mailbox, itemUniqueID)
	return lo, prefixEnd(lo)
}

func uniqueIDHolderKey(k boxKey, id string) []byte {
	b := appendContents(make([]byte, 0, maxFixedKey+len(id)), k.account, k.mailbox, itemHolder)
	return append(b, id...)
}

func flagBlockKey(k boxKey, n uint32) []byte {
	b := appendContents(make([]byte, 0, maxFixedKey), k.account, k.mailbox, itemFlags)
	return binary.BigEndian.AppendUint32(b, n)
}

// flagBlockRange bounds the flag blocks of a mailbox.
func flagBlockRange(k boxKey) (lo, hi []byte) {
	lo = appendContents(nil, k.account, k.mailbox, itemFlags)
	return lo, prefixEnd(lo)
}

// prefixEnd returns the first key behind all that begin with prefix, nil when
// there is none.
func prefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

// boxKey names a mailbox in the whole store.
type boxKey struct {
	account AccountID
	mailbox MailboxID
}

// slab hands out small slices from larger pieces of memory, so that a
// transaction with many keys and values makes few allocations.
type slab struct {
	free []byte
	size int // of the last piece
}

const (
	slabFirst = 256
	slabMost  = 64 << 10
)

// room returns an empty slice with room for n octets.
func (s *slab) room(n int) []byte {
	if cap(s.free) < n {
		s.size = min(max(slabFirst, 2*s.size), slabMost)
		s.free = make([]byte, 0, max(s.size, n))
	}
	return s.free[:0]
}

// keep fixes what was written into the slice from room, which must not have
// outgrown it.
func (s *slab) keep(b []byte) []byte {
	s.free = s.free[len(b):len(b):cap(s.free)]
	return b[:len(b):len(b)]
}
