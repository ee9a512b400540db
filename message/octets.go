package message

// octetSet tells of each octet whether it belongs to a class.
type octetSet [256]bool

// The classes that grammars ask for. They never change.
var (
	tokenChars    = octetsOf(func(c byte) bool { return c > ' ' && c < 0x7f && !within(c, `()<>@,;:\"/[]?=`) })
	atomEnds      = octetsOf(func(c byte) bool { return isSpace(c) || within(c, `()<>[]:;@\,."`) })
	memberStops   = octetsOf(func(c byte) bool { return within(c, ",;<:") })
	angleStops    = octetsOf(func(c byte) bool { return within(c, ",;<>") })
	tailStops     = octetsOf(func(c byte) bool { return within(c, ",;<") })
	straySpecials = octetsOf(func(c byte) bool { return within(c, `()<>[]:;,\"`) })
)

func octetsOf(belongs func(byte) bool) *octetSet {
	var set octetSet
	for c := range set {
		set[c] = belongs(byte(c))
	}
	return &set
}

func within(c byte, chars string) bool {
	for i := range len(chars) {
		if chars[i] == c {
			return true
		}
	}
	return false
}
