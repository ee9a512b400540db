package pop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tripost/accounts"
	"tripost/message"
)

// composer makes of the header of a message sent by XTND XMIT the header that
// goes out, and of its address fields the list of recipients.
type composer struct {
	account    accounts.Account
	own        func(local, domain string) (bool, error) // is it an address of the account
	recipients int                                      // most

	list []string // the recipients, each once
	utf8 bool     // header or recipients need SMTPUTF8
}

var (
	errNoRecipient = refuse(sayNoRecipient)
	errManyTargets = refuse(sayManyRecipients)
	errFoldedFirst = refuse(sayFoldedFirst) // which would continue the fields put before it
)

// compose fills in the recipients and returns the new header: without Bcc and
// Resent-Bcc, and with a Sender that names the account when From does not (or
// Resent-Sender, when the message is a resent one).
func (c *composer) compose(header []byte) ([]byte, error) {
	if len(header) > 0 && isBlank(header[0]) {
		return nil, errFoldedFirst
	}
	fields := message.Fields(header)
	resent := resentBlock(fields)
	names := []string{"To", "Cc", "Bcc"}
	from := fields
	if len(resent) > 0 {
		names = []string{"Resent-To", "Resent-Cc", "Resent-Bcc"}
		from = resent
	}
	if err := c.collect(from, names); err != nil {
		return nil, err
	}
	added, drop, err := c.sender(from, len(resent) > 0)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(header)+len(added))
	out = append(out, added...)
	rest := header
	for _, f := range fields {
		rest = rest[len(f.Raw):]
		if !f.Is("Bcc") && !f.Is("Resent-Bcc") && (drop == "" || !f.Is(drop)) {
			out = append(out, f.Raw...)
		}
	}
	c.utf8 = c.utf8 || message.NeedsUTF8(out)
	return append(out, rest...), nil // the empty line
}

// resentBlock returns the fields of the newest resending, which stands first,
// or nil when the message is not resent to anybody (RFC 5322 section 3.6.6). A
// block ends where one of its fields comes again, or at a trace field.
func resentBlock(fields []message.Field) []message.Field {
	var block []message.Field
	resent := false
	for _, f := range fields {
		name := strings.ToLower(string(f.Name))
		if len(block) > 0 && (name == "received" || name == "return-path") {
			break
		}
		if !strings.HasPrefix(name, "resent-") {
			continue
		}
		if slices.ContainsFunc(block, func(g message.Field) bool { return g.Is(name) }) {
			break
		}
		block = append(block, f)
		resent = resent || name == "resent-to" || name == "resent-cc" || name == "resent-bcc"
	}
	if !resent {
		return nil
	}
	return block
}

// collect fills the list of recipients from the address fields of the given
// names, groups included, in the order of the header.
func (c *composer) collect(fields []message.Field, names []string) error {
	known := make(map[string]bool)
	for _, f := range fields {
		if !slices.ContainsFunc(names, f.Is) {
			continue
		}
		addresses, err := message.ParseAddressList(f.Value())
		if err != nil {
			return refuse(sayUnreadable, oneLine(string(f.Name)))
		}
		for _, a := range addresses {
			if a.Domain == "" {
				a.Domain = c.account.Domain
			}
			addr := a.Addr()
			key := a.Local + "@" + strings.ToLower(a.Domain)
			if known[key] {
				continue
			}
			if len(c.list) >= c.recipients {
				return errManyTargets
			}
			known[key] = true
			c.list = append(c.list, addr)
			c.utf8 = c.utf8 || !isASCII(addr)
		}
	}
	if len(c.list) == 0 {
		return errNoRecipient
	}
	return nil
}

// sender returns the fields to be added so that the header names the account:
// From when there is none, Sender when From is not one address of the account
// (RFC 5322 section 3.6.2). drop is the name of a field that would say
// otherwise; it goes.
func (c *composer) sender(fields []message.Field, resent bool) (added, drop string, err error) {
	from, sender := "From", "Sender"
	if resent {
		from, sender = "Resent-From", "Resent-Sender"
	}
	own, count, err := c.ownField(fields, from)
	if err != nil {
		return "", "", err
	}
	if count == 0 {
		return from + ": " + c.account.Address() + "\r\n", sender, nil
	}
	named, senders, err := c.ownField(fields, sender)
	if err != nil {
		return "", "", err
	}
	switch {
	case own && count == 1 && senders == 0, named && senders == 1:
		return "", "", nil
	case own && count == 1:
		return "", sender, nil // it would name somebody else
	default:
		return sender + ": " + c.account.Address() + "\r\n", sender, nil
	}
}

// ownField looks at the addresses in the fields of a name: how many they are,
// and whether the first is one of the account's. What cannot be read is counted
// as somebody else's address.
func (c *composer) ownField(fields []message.Field, name string) (own bool, count int, err error) {
	for _, f := range fields {
		if !f.Is(name) {
			continue
		}
		addresses, bad := message.ParseAddressList(f.Value())
		if bad != nil || len(addresses) == 0 {
			count++
			continue
		}
		if count == 0 {
			own, err = c.own(addresses[0].Local, addresses[0].Domain)
			if err != nil {
				return false, 0, fmt.Errorf("look up the %s address: %w", name, err)
			}
		}
		count += len(addresses)
	}
	return own, count, nil
}

// ownAddress reports whether an address is one of the account that is signed in:
// its own or an alias.
func (s *session) ownAddress(ctx context.Context, local, domain string) (bool, error) {
	if domain == "" {
		domain = s.in.Account.Domain
	}
	o, err := s.Directory.Lookup(ctx, local, domain)
	switch {
	case errors.Is(err, accounts.ErrNoDomain), errors.Is(err, accounts.ErrNoAccount), errors.Is(err, accounts.ErrBadName):
		return false, nil
	case err != nil:
		return false, err
	}
	return o.Account != nil && o.Account.ID == s.in.Account.ID, nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
