package store

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Inbox is the name of the mailbox that every account has.
const Inbox = "INBOX"

const (
	separator = '/'
	// Bounds of names, in octets and levels. They keep a key far below the
	// engine's limit and work on a subtree bounded.
	maxName      = 1024
	maxComponent = 255
	maxDepth     = 64
	// maxSpecialUse bounds a special-use attribute in octets.
	maxSpecialUse = 64
)

// canonicalName checks a name and returns it with its first level written
// INBOX when it is that in any case. One '/' at the end is taken off and told:
// it asks for a directory only where a name is created.
func canonicalName(name string) (canonical string, directory bool, err error) {
	if n := len(name) - 1; n > 0 && name[n] == separator {
		name, directory = name[:n], true
	}
	switch {
	case name == "":
		return "", false, fmt.Errorf("%w: it is empty", ErrBadName)
	case len(name) > maxName:
		return "", false, fmt.Errorf("%w: longer than %d octets", ErrBadName, maxName)
	case !utf8.ValidString(name):
		return "", false, fmt.Errorf("%w: not UTF-8", ErrBadName)
	case name[0] == '~':
		return "", false, fmt.Errorf("%w: '~' begins the name of another account", ErrBadName)
	case strings.IndexFunc(name, forbiddenInName) >= 0:
		return "", false, fmt.Errorf("%w: control character", ErrBadName)
	}
	depth := 0
	for level := range strings.SplitSeq(name, "/") {
		depth++
		if level == "" {
			return "", false, fmt.Errorf("%w: empty level", ErrBadName)
		}
		if len(level) > maxComponent {
			return "", false, fmt.Errorf("%w: level longer than %d octets", ErrBadName, maxComponent)
		}
	}
	if depth > maxDepth {
		return "", false, fmt.Errorf("%w: more than %d levels", ErrBadName, maxDepth)
	}
	return canonicalInbox(name), directory, nil
}

// CheckName says with [ErrBadName] why a mailbox cannot have a name.
func CheckName(name string) error {
	_, directory, err := canonicalName(name)
	if err == nil && directory {
		err = fmt.Errorf("%w: it ends in '/'", ErrBadName)
	}
	return err
}

// forbiddenInName tells the characters that RFC 9051 section 5.1 rules out:
// controls, and the line and paragraph separators.
func forbiddenInName(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}

// canonicalInbox writes a first level of "inbox" in any case as INBOX.
func canonicalInbox(name string) string {
	if len(name) < len(Inbox) || !strings.EqualFold(name[:len(Inbox)], Inbox) {
		return name
	}
	if len(name) == len(Inbox) || name[len(Inbox)] == separator {
		return Inbox + name[len(Inbox):]
	}
	return name
}

// parentName returns the name one level up, "" for a name at the top.
func parentName(name string) string {
	if i := strings.LastIndexByte(name, separator); i >= 0 {
		return name[:i]
	}
	return ""
}

// within tells whether name lies below ancestor.
func within(name, ancestor string) bool {
	return len(name) > len(ancestor) && name[len(ancestor)] == separator && name[:len(ancestor)] == ancestor
}

// compareNames orders names as their keys are ordered: a name comes directly
// before its subtree.
func compareNames(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		switch {
		case a[i] == separator:
			return -1
		case b[i] == separator:
			return 1
		case a[i] < b[i]:
			return -1
		default:
			return 1
		}
	}
	return len(a) - len(b)
}

// inboxFirst orders names with INBOX and what is below it in front.
func inboxFirst(a, b string) int {
	ia, ib := a == Inbox || within(a, Inbox), b == Inbox || within(b, Inbox)
	switch {
	case ia && !ib:
		return -1
	case ib && !ia:
		return 1
	default:
		return compareNames(a, b)
	}
}
