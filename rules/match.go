package rules

import (
	"slices"
	"strings"
	"time"

	"tripost/message"
)

// Message is what rules see of a message.
type Message struct {
	From       string   // reverse-path, empty for the null one
	Recipients []string // of the envelope, as far as they led to the account
	Header     []byte   // or as much of it as is looked at
	Now        time.Time

	fields []message.Field // of Header
	seen   map[string][]string
}

// header returns the values that a condition can meet in the fields of a name:
// of each field its text, and with addresses each address of it. All are in lower
// case.
func (m *Message) header(name string, addresses bool) []string {
	name = strings.ToLower(name)
	key := name
	if addresses {
		key += ":"
	}
	if values, known := m.seen[key]; known {
		return values
	}
	var values []string
	for _, f := range m.all() {
		if !f.Is(name) {
			continue
		}
		raw := f.Value()
		values = append(values, strings.ToLower(message.DecodeHeader(raw)))
		if !addresses {
			continue
		}
		list, _ := message.ParseAddressList(raw) // what could be made out
		for _, a := range list {
			values = append(values, strings.ToLower(a.Addr()))
		}
	}
	if m.seen == nil {
		m.seen = make(map[string][]string)
	}
	m.seen[key] = values
	return values
}

// all returns the fields of the header.
func (m *Message) all() []message.Field {
	if m.fields == nil {
		m.fields = message.Fields(m.Header)
	}
	return m.fields
}

// raw returns the text of the first field of a name, unfolded.
func (m *Message) raw(name string) string {
	for _, f := range m.all() {
		if f.Is(name) {
			return f.Value()
		}
	}
	return ""
}

// values returns what a condition compares with.
func (c *Condition) values(m *Message) []string {
	switch c.Field {
	case Sender:
		return []string{strings.ToLower(m.From)}
	case Recipient:
		all := make([]string, len(m.Recipients))
		for i, r := range m.Recipients {
			all[i] = strings.ToLower(r)
		}
		return all
	case From, Cc:
		return m.header(string(c.Field), true)
	case To:
		return slices.Concat(m.header("to", true), m.header("cc", true))
	case Subject:
		return m.header("subject", false)
	default:
		return m.header(c.Header, false)
	}
}

func (c *Condition) met(m *Message) bool {
	want := strings.ToLower(c.Value)
	return c.Not != slices.ContainsFunc(c.values(m), func(have string) bool {
		switch c.Test {
		case Is:
			return have == want
		case Contains:
			return strings.Contains(have, want)
		case Begins:
			return strings.HasPrefix(have, want)
		case Ends:
			return strings.HasSuffix(have, want)
		default:
			return have != ""
		}
	})
}

// met tells whether the rule's conditions are met on its days.
func (r *Rule) met(m *Message) bool {
	if !r.today(m.Now) {
		return false
	}
	if len(r.Conditions) == 0 {
		return true
	}
	met := func(c Condition) bool { return c.met(m) }
	if r.Any {
		return slices.ContainsFunc(r.Conditions, met)
	}
	return !slices.ContainsFunc(r.Conditions, func(c Condition) bool { return !met(c) })
}

// today tells whether the rule is looked at on the day of now.
func (r *Rule) today(now time.Time) bool {
	today := now.Format(time.DateOnly)
	return (r.From == "" || today >= r.From) && (r.Until == "" || today <= r.Until)
}

// Verdict is what an account's rules ask for.
type Verdict struct {
	Keep      bool     // a copy stays where the message was going
	Mailboxes []string // into which it is filed
	Seen      bool     // what is kept is marked
	Flagged   bool
	Forwards  []string // addresses
	Vacation  *Action  // the reply that is asked for, nil: none
	Rules     []string // names of those that were met, in their order
}

// Decide looks at the rules in their order. Of several vacation replies the first
// one counts.
func Decide(list []Rule, m *Message) Verdict {
	v := Verdict{}
	keep, gone := false, false
	for i := range list {
		r := &list[i]
		if !r.met(m) {
			continue
		}
		v.Rules = append(v.Rules, r.Name)
		stop := false
		for j := range r.Actions {
			switch a := &r.Actions[j]; a.Do {
			case Keep:
				keep = true
			case File:
				gone = true
				v.Mailboxes = addOnce(v.Mailboxes, a.Mailbox)
			case Forward:
				gone = true
				v.Forwards = addOnce(v.Forwards, a.Address)
			case Discard:
				gone = true
			case Seen:
				v.Seen = true
			case Flagged:
				v.Flagged = true
			case Vacation:
				if v.Vacation == nil {
					v.Vacation = a
				}
			case Stop:
				stop = true
			}
		}
		if stop {
			break
		}
	}
	v.Keep = keep || !gone
	return v
}

func addOnce(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// String tells in one line what is asked for.
func (v *Verdict) String() string {
	var all []string
	add := func(on bool, what string) {
		if on {
			all = append(all, what)
		}
	}
	add(v.Keep, "keep")
	for _, name := range v.Mailboxes {
		all = append(all, "file "+quote(name))
	}
	add(v.Seen, "mark seen")
	add(v.Flagged, "mark flagged")
	for _, addr := range v.Forwards {
		all = append(all, "forward "+addr)
	}
	add(v.Vacation != nil, "vacation")
	add(!v.Keep && len(v.Mailboxes)+len(v.Forwards) == 0, "discard")
	return strings.Join(all, ", ")
}
