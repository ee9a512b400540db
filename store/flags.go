package store

import (
	"fmt"
	"strings"
)

// Flags is a message's flags in its mailbox: bits 0 to 7 are system flags, bits
// 8 to 63 the mailbox's keywords in the order of [State.Keywords].
type Flags uint64

// The system flags. \Recent is no flag of a message but of a session: see
// [View.IsRecent].
const (
	FlagSeen Flags = 1 << iota
	FlagAnswered
	FlagFlagged
	FlagDeleted
	FlagDraft

	systemFlags = FlagSeen | FlagAnswered | FlagFlagged | FlagDeleted | FlagDraft
)

const (
	// FirstKeyword is the bit of a mailbox's first keyword.
	FirstKeyword = 8
	// MaxKeywords is how many different keywords a mailbox can have.
	MaxKeywords = 56
	// maxKeyword bounds one keyword's length in octets.
	maxKeyword = 128
)

// FlagSet is flags by name, as a client gives them. Keywords are compared
// without regard to case (RFC 9051 section 2.3.2) and kept as first written.
type FlagSet struct {
	System   Flags
	Keywords []string
}

// keywordBit returns the flag bit of a keyword, 0 when the table has none.
func keywordBit(table []string, keyword string) Flags {
	for i, k := range table {
		if strings.EqualFold(k, keyword) {
			return 1 << (FirstKeyword + i)
		}
	}
	return 0
}

// addKeyword returns the bit of a keyword and the table that has it.
func addKeyword(table []string, keyword string) (Flags, []string, error) {
	if bit := keywordBit(table, keyword); bit != 0 {
		return bit, table, nil
	}
	if !validKeyword(keyword) {
		return 0, table, fmt.Errorf("keyword %q: not a keyword: %w", keyword, ErrKeywords)
	}
	if len(table) >= MaxKeywords {
		return 0, table, fmt.Errorf("keyword %q: %w", keyword, ErrKeywords)
	}
	table = append(table[:len(table):len(table)], keyword)
	return 1 << (FirstKeyword + len(table) - 1), table, nil
}

// validKeyword accepts what an atom can hold (RFC 9051 section 9, flag-keyword),
// so that every protocol can write it back.
func validKeyword(k string) bool {
	if k == "" || len(k) > maxKeyword {
		return false
	}
	for _, c := range []byte(k) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return true
}

// keywordNames returns the names of the keywords in f.
func keywordNames(table []string, f Flags) []string {
	var names []string
	for i, k := range table {
		if f&(1<<(FirstKeyword+i)) != 0 {
			names = append(names, k)
		}
	}
	return names
}

// settable returns the flags that the rights allow to change: s for \Seen, d
// for \Deleted, w for all others (RFC 4314 section 4).
func settable(r Rights) Flags {
	var f Flags
	if r&RightSeen != 0 {
		f |= FlagSeen
	}
	if r&RightDelete != 0 {
		f |= FlagDeleted
	}
	if r&RightWrite != 0 {
		f |= ^(FlagSeen | FlagDeleted)
	}
	return f
}

// rightFor returns the right that is missing to change any of f.
func rightFor(f Flags) Rights {
	switch {
	case f&^(FlagSeen|FlagDeleted) != 0:
		return RightWrite
	case f&FlagDeleted != 0:
		return RightDelete
	default:
		return RightSeen
	}
}
