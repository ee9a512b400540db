package rules

import (
	"slices"
	"time"
)

// answer is what is known of a condition or a rule before the message is there.
type answer uint8

const (
	no answer = iota
	maybe
	yes
)

// LeavesNothing reports whether no copy of a message for that recipient would stay
// in the account, whoever sent it and whatever is in its header: it is forwarded
// or discarded, and nothing keeps or files it.
func LeavesNothing(list []Rule, recipient string, now time.Time) bool {
	m := &Message{Recipients: []string{recipient}, Now: now}
	gone := false
	for i := range list {
		r := &list[i]
		met := r.known(m)
		if met == no {
			continue
		}
		if r.does(Keep, File) {
			return false
		}
		goes := r.does(Forward, Discard)
		gone = gone || goes && met == yes
		switch stops := r.does(Stop); {
		case stops && met == yes:
			return gone
		case stops && !goes && !gone: // what comes behind may not be looked at
			return false
		}
	}
	return gone
}

// does reports whether one of the rule's actions does one of these things.
func (r *Rule) does(what ...Do) bool {
	return slices.ContainsFunc(r.Actions, func(a Action) bool { return slices.Contains(what, a.Do) })
}

// known is met for a message of which the recipient and the day are known.
func (r *Rule) known(m *Message) answer {
	if !r.today(m.Now) {
		return no
	}
	if len(r.Conditions) == 0 {
		return yes
	}
	least, most := yes, no
	for i := range r.Conditions {
		c := &r.Conditions[i]
		a := maybe
		if c.Field == Recipient {
			if a = no; c.met(m) {
				a = yes
			}
		}
		least, most = min(least, a), max(most, a)
	}
	if r.Any {
		return most
	}
	return least
}
