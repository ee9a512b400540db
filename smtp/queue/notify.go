package queue

import (
	"strings"
	"unicode/utf8"

	"tripost/router"
)

// Notify says of which outcomes the sender wants to hear: RFC 3461 section 4.1.
// The zero value is that nothing was said: of failures and delays.
type Notify uint8

const (
	NotifySuccess Notify = 1 << iota
	NotifyFailure
	NotifyDelay
	NotifyNever // alone
)

// String returns the value of NOTIFY, "" for none.
func (n Notify) String() string {
	if n == NotifyNever {
		return "NEVER"
	}
	var words []string
	for i, word := range [...]string{"SUCCESS", "FAILURE", "DELAY"} {
		if n&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return strings.Join(words, ",")
}

// wants tells whether the sender is to hear of one kind of outcome.
func (n Notify) wants(of Notify) bool {
	if n == 0 {
		n = NotifyFailure | NotifyDelay
	}
	return n&of != 0
}

// and joins what two recipients that are one and the same were given with.
func (n Notify) and(o Notify) Notify {
	if n == o {
		return n
	}
	all := n | o
	if n == 0 || o == 0 {
		all |= NotifyFailure | NotifyDelay
	}
	if all != NotifyNever {
		all &^= NotifyNever
	}
	return all
}

// member is what holds for the members of a list: of success the sender hears
// that the list was expanded, and no more (RFC 3461 section 5.2.7).
func (n Notify) member() Notify {
	if n == NotifySuccess {
		return NotifyNever
	}
	return n &^ NotifySuccess
}

// Return says how much of the message a report of failure brings back: RFC 3461
// section 4.3. The zero value is that nothing was said: the header.
type Return uint8

const (
	ReturnHeaders Return = iota + 1
	ReturnFull
)

// String returns the value of RET, "" for none.
func (r Return) String() string {
	switch r {
	case ReturnHeaders:
		return "HDRS"
	case ReturnFull:
		return "FULL"
	}
	return ""
}

// RecipientOptions are what RCPT said about one recipient beside its address.
type RecipientOptions struct {
	Notify Notify
	// Original is the recipient as its first sender gave it: the type of the
	// address, a semicolon, and the address in clear, not as xtext (RFC 3461
	// section 4.2). Empty: not given.
	Original string
}

// maxOriginal and maxEnvelopeID are the bounds of RFC 3461 sections 4.2 and 4.4.
const (
	maxOriginal   = 500
	maxEnvelopeID = 100
)

// options returns those of a recipient, by its index.
func (e *Envelope) options(i int) RecipientOptions {
	if i < len(e.Options) {
		return e.Options[i]
	}
	return RecipientOptions{}
}

// checkOptions refuses what could break out of a report or a command.
func (e *Envelope) checkOptions() error {
	if !printable(e.EnvelopeID, maxEnvelopeID) {
		return errBadOption
	}
	for _, o := range e.Options {
		if !printable(o.Original, maxOriginal) || o.Original != "" && !strings.Contains(o.Original, ";") {
			return errBadOption
		}
	}
	return nil
}

// printable tells text that fits into a field: RFC 3461 sections 4.2 and 4.4 ask
// for printable ASCII, RFC 6533 section 3 has UTF-8.
func printable(s string, max int) bool {
	return len(s) <= max && utf8.ValidString(s) && strings.IndexFunc(s, unsafe) < 0
}

// notices returns what the sender asked to be told at once: recipients whose way
// ends here, and lists. The others are told of by the hosts they are sent to.
func (p *parcel) notices() []result {
	var all []result
	for i, addr := range p.env.Recipients {
		o := p.env.options(i)
		if !o.Notify.wants(NotifySuccess) || p.plan.refused[addr] != nil {
			continue
		}
		r := result{recipient: recipient{address: addr, notify: o.Notify, orcpt: o.Original}, enhanced: "2.0.0"}
		switch p.plan.kinds[addr] {
		case router.Local, router.Discard:
			r.state, r.reply = stored, "delivered"
		case router.List:
			r.state, r.reply = expanded, "passed on to the members"
		default:
			continue
		}
		all = append(all, r)
	}
	return all
}
