package accounts

import (
	"fmt"
	"strings"
)

// Choice is a setting that an account may leave to its domain, and a domain to
// the server.
type Choice uint8

const (
	Default Choice = iota // what the next one up says
	On
	Off
)

// ParseChoice reads "default", "on" (also "yes", "true") or "off" ("no",
// "false"), in any case. Anything else is ErrBadValue.
func ParseChoice(s string) (Choice, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "default":
		return Default, nil
	case "on", "yes", "true":
		return On, nil
	case "off", "no", "false":
		return Off, nil
	}
	return Default, fmt.Errorf("%q: %w: use on, off or default", clip(s), ErrBadValue)
}

// String returns "default", "on" or "off".
func (c Choice) String() string {
	switch c {
	case On:
		return "on"
	case Off:
		return "off"
	default:
		return "default"
	}
}

// over returns the setting that counts; above is what the next one up says.
func (c Choice) over(above bool) bool {
	switch c {
	case On:
		return true
	case Off:
		return false
	default:
		return above
	}
}
