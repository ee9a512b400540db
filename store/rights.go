package store

import (
	"fmt"
	"strings"
)

// Rights is a set of what may be done with a mailbox.
type Rights uint16

// The rights, in the order in which they are written.
const (
	RightLookup Rights = 1 << iota // l: see the mailbox in lists
	RightRead                      // r: open it and read messages
	RightSeen                      // s: change \Seen
	RightWrite                     // w: change flags other than \Seen and \Deleted
	RightInsert                    // i: append and copy messages into it
	RightPost                      // p: kept for completeness, allows nothing here
	RightCreate                    // c: create children
	RightDelete                    // d: change \Deleted, expunge, delete the mailbox
	RightAdmin                     // a: read and change the ACL

	AllRights Rights = 1<<9 - 1
)

const rightLetters = "lrswipcda"

// ParseRights reads rights as letters in any order. The letters that RFC 4314
// section 2.1 split off are taken for what they were split from: k for c; x, t
// and e for d.
func ParseRights(s string) (Rights, error) {
	var r Rights
	for _, c := range []byte(s) {
		switch c {
		case 'k':
			c = 'c'
		case 'x', 't', 'e':
			c = 'd'
		}
		i := strings.IndexByte(rightLetters, c)
		if i < 0 {
			return 0, fmt.Errorf("%q is not a right: use letters of %s", string(rune(c)), rightLetters)
		}
		r |= 1 << i
	}
	return r, nil
}

// String returns the letters of the set, a part of "lrswipcda" in that order.
func (r Rights) String() string {
	var b [len(rightLetters)]byte
	n := 0
	for i := range len(rightLetters) {
		if r&(1<<i) != 0 {
			b[n] = rightLetters[i]
			n++
		}
	}
	return string(b[:n])
}

// lowest returns the first right of a set that is not empty.
func (r Rights) lowest() Rights { return r & -r }
