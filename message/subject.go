package message

import "strings"

// BaseSubject returns what a decoded subject is about, without the marks of
// replies, forwards and mailing lists around it (RFC 5256 section 2.1), and
// whether such marks of replies or forwards stood there. Case and accents stay:
// whoever compares two of them does it in the collation that applies.
func BaseSubject(s string) (base string, reply bool) {
	s = singleSpaces(s)
	for {
		s = cutTrailers(s, &reply)
		s = cutLeaders(s, &reply)
		inner, ok := cutForward(s)
		if !ok {
			return s, reply
		}
		s, reply = inner, true
	}
}

// singleSpaces makes every run of white space one space: step 1.
func singleSpaces(s string) string {
	if !strings.ContainsAny(s, "\t\r\n") && !strings.Contains(s, "  ") {
		return s
	}
	var b strings.Builder
	space := false
	for i := range len(s) {
		if isSpace(s[i]) {
			space = true
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteByte(s[i])
	}
	if space {
		b.WriteByte(' ')
	}
	return b.String()
}

// cutTrailers takes "(fwd)" and spaces off the end: step 2.
func cutTrailers(s string, reply *bool) string {
	for {
		s = strings.TrimRight(s, " ")
		if n := len(s) - len("(fwd)"); n < 0 || !strings.EqualFold(s[n:], "(fwd)") {
			return s
		} else {
			s, *reply = s[:n], true
		}
	}
}

// cutLeaders takes leaders like "Re:", "Fw[2]:" and "[list] Re:" off the front,
// and blobs like "[list]" as long as something stands behind them: steps 3 to 5.
func cutLeaders(s string, reply *bool) string {
	for {
		s = strings.TrimLeft(s, " ")
		rest, kept := cutBlobs(s)
		after, ok := cutRefwd(rest)
		if !ok {
			return kept
		}
		s, *reply = after, true
	}
}

// cutBlobs takes all blobs off the front. kept is the same, but with the last
// blob left when nothing stands behind it.
func cutBlobs(s string) (rest, kept string) {
	rest, kept = s, s
	for {
		after, ok := cutBlob(rest)
		if !ok {
			return rest, kept
		}
		rest = after
		if rest != "" {
			kept = rest
		}
	}
}

// cutBlob takes "[...]" with the space after it off the front.
func cutBlob(s string) (string, bool) {
	if s == "" || s[0] != '[' {
		return s, false
	}
	i := strings.IndexAny(s[1:], "[]")
	if i < 0 || s[1+i] != ']' {
		return s, false
	}
	return strings.TrimLeft(s[1+i+1:], " "), true
}

// cutRefwd takes "re", "fw" or "fwd", a blob perhaps, and a colon off the front.
func cutRefwd(s string) (string, bool) {
	switch {
	case len(s) >= 3 && strings.EqualFold(s[:3], "fwd"):
		s = s[3:]
	case len(s) >= 2 && (strings.EqualFold(s[:2], "re") || strings.EqualFold(s[:2], "fw")):
		s = s[2:]
	default:
		return s, false
	}
	s, _ = cutBlob(strings.TrimLeft(s, " "))
	if s == "" || s[0] != ':' {
		return s, false
	}
	return s[1:], true
}

// cutForward takes "[fwd:" and "]" off both ends: step 6.
func cutForward(s string) (string, bool) {
	const head = "[fwd:"
	if len(s) <= len(head) || !strings.EqualFold(s[:len(head)], head) || s[len(s)-1] != ']' {
		return s, false
	}
	return s[len(head) : len(s)-1], true
}
