package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tripost/store"
)

// ErrBadRule is what errors.Is finds in the refusal of a rule.
var ErrBadRule = errors.New("not a usable rule")

// Bounds of one account's rules.
const (
	maxConditions = 20 // of one rule
	maxActions    = 10 // of one rule
	maxForwards   = 20 // of all rules together
	maxName       = 64 // octets of a rule's name
	maxValue      = 1024
	maxReply      = 8 << 10 // octets of the text of a vacation reply
	maxSubject    = 200
	maxAddress    = 254 // RFC 5321 section 4.5.3.1.3, without the brackets
	maxDays       = 365
)

// Rule is one rule. Its actions are carried out when its conditions are met.
type Rule struct {
	Name string `json:"name"` // unique in its list
	// Any asks for one of the conditions, else all are asked for. Without
	// conditions a rule is always met.
	Any        bool        `json:"any,omitempty"`
	Conditions []Condition `json:"conditions,omitempty"`
	Actions    []Action    `json:"actions"`
	// From and Until are the first and the last day, YYYY-MM-DD by the server's
	// clock, on which the rule is looked at; empty: no bound.
	From  string `json:"from,omitempty"`
	Until string `json:"until,omitempty"`
}

// Field says what a condition looks at.
type Field string

// The fields. All but the first two are of the header.
const (
	Sender    Field = "sender"    // the reverse-path
	Recipient Field = "recipient" // a recipient of the envelope that led to the account
	From      Field = "from"
	To        Field = "to" // To and Cc
	Cc        Field = "cc"
	Subject   Field = "subject"
	Header    Field = "header" // the one that Condition.Header names
)

var fields = []Field{Sender, Recipient, From, To, Cc, Subject, Header}

// Test says how a condition compares. Letters' case never counts.
type Test string

// The tests. Of an address field the address alone may also be what is compared.
const (
	Is       Test = "is"
	Contains Test = "contains"
	Begins   Test = "begins"
	Ends     Test = "ends"
	Exists   Test = "exists" // the field is there and not empty
)

var tests = []Test{Is, Contains, Begins, Ends, Exists}

// Condition is met when one value of the field passes the test, or with Not when
// none does.
type Condition struct {
	Field  Field  `json:"field"`
	Header string `json:"header,omitempty"` // name, for the field Header
	Not    bool   `json:"not,omitempty"`
	Test   Test   `json:"test"`
	Value  string `json:"value,omitempty"`
}

// Do names what an action does.
type Do string

// What actions do. A message stays where it was going unless File, Forward or
// Discard says otherwise; Keep says that it stays all the same.
const (
	Keep     Do = "keep"
	File     Do = "file"     // into Mailbox, which is made when missing
	Forward  Do = "forward"  // to Address
	Vacation Do = "vacation" // answer with Text, once in Days to a sender
	Seen     Do = "seen"     // mark what is kept
	Flagged  Do = "flagged"
	Discard  Do = "discard"
	Stop     Do = "stop" // look at no further rules
)

// Action is one thing that a rule does.
type Action struct {
	Do      Do     `json:"do"`
	Mailbox string `json:"mailbox,omitempty"`
	Address string `json:"address,omitempty"`
	Text    string `json:"text,omitempty"`
	Subject string `json:"subject,omitempty"` // of the reply; empty: "Auto: " and the message's
	Days    int    `json:"days,omitempty"`    // 0: the server's
}

// badRule is the refusal of one rule.
func badRule(name, format string, args ...any) error {
	return fmt.Errorf("rule %q: %s: %w", name, fmt.Sprintf(format, args...), ErrBadRule)
}

// Check says what is wrong with a list of rules, of which there may be limit:
// the error names the rule, the field and what was expected.
func Check(list []Rule, limit int) error {
	if len(list) > limit {
		return fmt.Errorf("%d rules, an account may have %d: %w", len(list), limit, ErrBadRule)
	}
	forwards := 0
	for i := range list {
		r := &list[i]
		if err := r.check(); err != nil {
			return err
		}
		if slices.ContainsFunc(list[:i], func(o Rule) bool { return o.Name == r.Name }) {
			return badRule(r.Name, "there are two of this name, each must have its own")
		}
		for _, a := range r.Actions {
			if a.Do == Forward {
				forwards++
			}
		}
		if forwards > maxForwards {
			return badRule(r.Name, "forward: an account may forward to %d addresses", maxForwards)
		}
	}
	return nil
}

func (r *Rule) check() error {
	if err := checkName(r.Name); err != nil {
		return err
	}
	for _, day := range []struct{ word, date string }{{"from", r.From}, {"until", r.Until}} {
		if _, err := time.Parse(time.DateOnly, day.date); day.date != "" && err != nil {
			return badRule(r.Name, "%s: %q is not a date such as 2026-12-31", day.word, day.date)
		}
	}
	if r.From != "" && r.Until != "" && r.Until < r.From {
		return badRule(r.Name, "until: %s is before %s", r.Until, r.From)
	}
	if len(r.Conditions) > maxConditions {
		return badRule(r.Name, "%d conditions, a rule may have %d", len(r.Conditions), maxConditions)
	}
	for i := range r.Conditions {
		if err := r.Conditions[i].check(r.Name); err != nil {
			return err
		}
	}
	switch {
	case len(r.Actions) == 0:
		return badRule(r.Name, "an action is expected: %s", actionWords)
	case len(r.Actions) > maxActions:
		return badRule(r.Name, "%d actions, a rule may have %d", len(r.Actions), maxActions)
	}
	for i := range r.Actions {
		if err := r.Actions[i].check(r.Name); err != nil {
			return err
		}
	}
	return nil
}

// checkName lets a name stand in a line of text and in the log.
func checkName(name string) error {
	switch {
	case name == "":
		return badRule(name, "a name is expected")
	case len(name) > maxName:
		return badRule(name[:8]+"...", "the name is longer than %d octets", maxName)
	case strings.IndexFunc(name, func(r rune) bool {
		return r >= 0x80 || r != '-' && r != '_' && r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) >= 0:
		return badRule(name, "a name has letters, digits, '-', '_' and '.'")
	}
	return nil
}

func (c *Condition) check(rule string) error {
	switch {
	case !slices.Contains(fields, c.Field):
		return badRule(rule, "%q is not a field: %s", c.Field, words(fields))
	case c.Field == Header && !validFieldName(c.Header):
		return badRule(rule, "header: %q is not the name of a header field", c.Header)
	case c.Field != Header && c.Header != "":
		return badRule(rule, "%s: the name of a header field goes with header only", c.Field)
	case !slices.Contains(tests, c.Test):
		return badRule(rule, "%s: %q is not a test: %s", c.Field, c.Test, words(tests))
	case c.Test == Exists && c.Value != "":
		return badRule(rule, "%s exists: a value is not expected", c.Field)
	case c.Test != Exists && (c.Value == "" || len(c.Value) > maxValue || !plainText(c.Value, "")):
		return badRule(rule, "%s %s: a text of 1 to %d octets is expected", c.Field, c.Test, maxValue)
	}
	return nil
}

// validFieldName tells names of RFC 5322 section 3.6.8 that fit into a line.
func validFieldName(s string) bool {
	return s != "" && len(s) <= 76 && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`:;,"`, r) }) < 0
}

func (a *Action) check(rule string) error {
	switch a.Do {
	case Keep, Seen, Flagged, Discard, Stop:
	case File:
		if err := store.CheckName(a.Mailbox); err != nil {
			return fmt.Errorf("rule %q: file: %q: %w: %w", rule, a.Mailbox, err, ErrBadRule)
		}
	case Forward:
		if !validAddress(a.Address) {
			return badRule(rule, "forward: %q is not an address such as name@domain", a.Address)
		}
	case Vacation:
		return a.checkVacation(rule)
	default:
		return badRule(rule, "%q is not an action: %s", a.Do, actionWords)
	}
	return nil
}

func (a *Action) checkVacation(rule string) error {
	switch {
	case strings.TrimSpace(a.Text) == "" || len(a.Text) > maxReply || !plainText(a.Text, "\n\t"):
		return badRule(rule, "vacation: a text of 1 to %d octets is expected", maxReply)
	case len(a.Subject) > maxSubject || !plainText(a.Subject, ""):
		return badRule(rule, "vacation subject: a line of at most %d octets is expected", maxSubject)
	case a.Days < 0 || a.Days > maxDays:
		return badRule(rule, "vacation days: a number of 1 to %d is expected, not %d", maxDays, a.Days)
	}
	return nil
}

// validAddress tells what can stand in a RCPT command and a header field. The
// router has the last word.
func validAddress(s string) bool {
	local, domain, found := strings.Cut(s, "@")
	return found && local != "" && domain != "" && len(s) <= maxAddress && plainText(s, "") &&
		!strings.ContainsAny(s, " <>,;:\"()[]\\") && !strings.Contains(domain, "@")
}

// plainText tells UTF-8 without control characters but those allowed.
func plainText(s, allowed string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && !strings.ContainsRune(allowed, r)
	}) < 0
}

func words[T ~string](list []T) string {
	all := make([]string, len(list))
	for i, w := range list {
		all[i] = string(w)
	}
	return strings.Join(all, ", ")
}
