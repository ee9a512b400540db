package accounts

import (
	"fmt"
	"strings"
)

const (
	maxSendAs       = 50   // addresses in one setting
	maxSendAsOctets = 4096 // of all of them
)

// parseSendAs reads addresses, "@domain" and "*", separated by commas or blanks.
func parseSendAs(s string) (string, error) {
	list := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
	if len(list) == 0 || len(list) > maxSendAs || len(s) > maxSendAsOctets {
		return "", fmt.Errorf("%w: use up to %d addresses, @domain or *, off or default", ErrBadValue, maxSendAs)
	}
	for _, one := range list {
		at := strings.LastIndexByte(one, '@')
		if one != "*" && (at < 0 || at == len(one)-1 || strings.ContainsFunc(one, notInAddress)) {
			return "", fmt.Errorf("%q: %w: use addresses, @domain or *, off or default", clip(one), ErrBadValue)
		}
	}
	return strings.Join(list, ","), nil
}

// notInAddress tells characters that an address that is typed has no need of.
func notInAddress(r rune) bool {
	return r <= ' ' || r == 0x7f || strings.ContainsRune("<>()\"\\;:*", r)
}

// SendAsList takes [Policy.SendAs] apart.
func (p *Policy) SendAsList() []string {
	list, _ := p.SendAs.Get()
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}
