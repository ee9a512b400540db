package imap

import "math"

// literal is the announcement of a literal: {n}, or {n+} for one that is sent
// without waiting (RFC 7888), with ~ before it for one that may hold NUL
// (RFC 3516).
type literal struct {
	size int64 // saturated: a number too large to hold is MaxInt64
	plus bool  // non-synchronising
}

// literalHead reads the announcement at the start of b and says how many octets
// it takes.
func literalHead(b []byte) (lit literal, n int, ok bool) {
	if len(b) > 0 && b[0] == '~' {
		n++
	}
	if n >= len(b) || b[n] != '{' {
		return lit, 0, false
	}
	n++
	digits := n
	for ; n < len(b) && b[n]-'0' <= 9; n++ {
		d := int64(b[n] - '0')
		if lit.size > (math.MaxInt64-d)/10 {
			lit.size = math.MaxInt64
			continue
		}
		lit.size = lit.size*10 + d
	}
	if n == digits {
		return lit, 0, false
	}
	if n < len(b) && b[n] == '+' {
		lit.plus = true
		n++
	}
	if n >= len(b) || b[n] != '}' {
		return lit, 0, false
	}
	return lit, n + 1, true
}

// literalTail finds the announcement that a line ends in and where it starts.
//
// It does not look whether the brace is inside a quoted string: a line that ends
// there is malformed in any case, and taking what follows for a literal can lose
// a command of a broken client but can never run data as one.
func literalTail(line []byte) (lit literal, start int, ok bool) {
	i := len(line) - 1
	if i < 0 || line[i] != '}' {
		return lit, 0, false
	}
	for i--; i >= 0 && line[i] != '{'; i-- {
		if c := line[i]; c != '+' && c-'0' > 9 {
			return lit, 0, false
		}
	}
	if i < 0 {
		return lit, 0, false
	}
	if i > 0 && line[i-1] == '~' {
		i--
	}
	lit, n, ok := literalHead(line[i:])
	return lit, i, ok && i+n == len(line)
}
