package accounts

import "fmt"

// Handling is what is done with a message from outside that is probably not
// wanted.
type Handling uint8

const (
	Mark   Handling = iota + 1 // delivered, with a header field that says so
	Junk                       // to the mailbox for unwanted mail
	Refuse                     // not taken
)

// ParseHandling reads "mark", "junk" or "refuse". Anything else is ErrBadValue.
func ParseHandling(s string) (Handling, error) {
	for h := Mark; h <= Refuse; h++ {
		if s == h.String() {
			return h, nil
		}
	}
	return 0, fmt.Errorf("%q: %w: use mark, junk, refuse or default", clip(s), ErrBadValue)
}

// String returns the word for it.
func (h Handling) String() string {
	switch h {
	case Junk:
		return "junk"
	case Refuse:
		return "refuse"
	default:
		return "mark"
	}
}

// handlingOf makes the line of a setting.
func handlingOf(name string, in func(*Policy) *Setting[Handling]) policySetting {
	return policySetting{
		name: name,
		parse: func(p *Policy, value string) error {
			if value == "default" {
				*in(p) = Setting[Handling]{}
				return nil
			}
			h, err := ParseHandling(value)
			if err == nil {
				*in(p) = Set(h)
			}
			return err
		},
		text: func(p *Policy) string {
			if h, set := in(p).Get(); set {
				return h.String()
			}
			return ""
		},
	}
}
