package accounts

import (
	"fmt"
	"slices"
	"strings"
)

// Hidden is a list of IMAP capabilities that are kept from clients which deal badly
// with them: names in upper case, sorted, with commas between. "" hides none.
type Hidden string

// Bounds of a [Hidden].
const (
	maxHidden     = 500 // octets
	maxHiddenName = 40
)

// ParseHidden reads a list as it is typed.
func ParseHidden(s string) (Hidden, error) {
	names := strings.Split(strings.ToUpper(s), ",")
	for i, name := range names {
		if names[i] = strings.TrimSpace(name); !isCapability(names[i]) {
			return "", fmt.Errorf("%q: %w: use names of capabilities with commas between, such as UIDONLY,COMPRESS, off or default", clip(name), ErrBadValue)
		}
	}
	slices.Sort(names)
	h := Hidden(strings.Join(slices.Compact(names), ","))
	return h, h.check()
}

func (h Hidden) check() error {
	if len(h) > maxHidden {
		return fmt.Errorf("imap_hide: %d octets: %w: at most %d", len(h), ErrBadValue, maxHidden)
	}
	return nil
}

// hiding checks what a change hides that was not hidden before.
func (d *Directory) hiding(p *Policy, change func() error) error {
	before, _ := p.IMAPHide.Get()
	if err := change(); err != nil {
		return err
	}
	now, _ := p.IMAPHide.Get()
	if now == before || now == "" || d.checkHidden == nil {
		return nil
	}
	for name := range strings.SplitSeq(string(now), ",") {
		if err := d.checkHidden(name); err != nil {
			return fmt.Errorf("imap_hide: %w: %w", ErrBadValue, err)
		}
	}
	return nil
}

func isCapability(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isLetterOrDigit(c) && strings.IndexByte("=+-_.", c) < 0 {
			return false
		}
	}
	return name != "" && len(name) <= maxHiddenName
}

// Hides tells whether a capability is in the list, by its whole name or by what
// stands before its "=".
func (h Hidden) Hides(name string) bool {
	if h == "" {
		return false
	}
	name = strings.ToUpper(name)
	family, _, _ := strings.Cut(name, "=")
	for hidden := range strings.SplitSeq(string(h), ",") {
		if hidden == name || hidden == family {
			return true
		}
	}
	return false
}

func hiddenText(h Hidden) string { return string(h) }
