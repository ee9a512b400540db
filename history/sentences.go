package history

import (
	"fmt"
	"strings"

	"tripost/store"
)

// by says who has done something: " over POP from 192.0.2.7 by ann@company.test
// (Thunderbird), POP-000123".
func by(w Who) string {
	if w.Protocol == "" {
		if w.Account == "" {
			return " by the server or an administrator"
		}
		return " by " + w.Account
	}
	s := " over " + w.Protocol
	if w.Remote != "" {
		s += " from " + w.Remote
	}
	if w.Account != "" {
		s += " by " + w.Account
	}
	if w.Client != "" {
		s += " (" + w.Client + ")"
	}
	if w.Session != "" {
		s += ", " + w.Session
	}
	return s
}

func received(o *Origin) string {
	s := "received"
	switch {
	case o.Group != "":
		s = fmt.Sprintf("passed on to the members of <%s>, from message %d", o.Group, o.Parent)
	case o.Parent != 0:
		s = fmt.Sprintf("made by a rule, from message %d", o.Parent)
	case o.Who.Protocol == "" || o.Who.Protocol == "REPORT":
		s = "made by this server as a report"
	default:
		with := o.With
		if with == "" {
			with = o.Who.Protocol
		}
		s += " by " + with
		if o.Who.Remote != "" {
			s += " from " + o.Who.Remote
		}
		if o.Helo != "" {
			s += " (" + o.Helo + ")"
		}
		if o.Who.Account != "" {
			s += ", submitted by " + o.Who.Account
		}
		if o.Who.Session != "" {
			s += ", " + o.Who.Session
		}
	}
	return s + fmt.Sprintf(": from <%s>, %d octets, queue id %d", o.From, o.Size, o.QueueID)
}

// forWhom tells a recipient that is not the account itself, and how it came to be
// one.
func forWhom(p Place) string {
	s := ""
	if p.Recipient != "" && !strings.EqualFold(p.Recipient, p.Address) {
		s = fmt.Sprintf(", for <%s>", p.Recipient)
	}
	if p.By != "" {
		s += fmt.Sprintf(", by way of <%s>", p.By)
	}
	return s
}

// step tells a step, and the word for it.
func (s *Step) step() (what, text string) {
	switch s.What {
	case Ruled:
		return "ruled", fmt.Sprintf("met the rules of %s: %s", s.Who, s.Text)
	case Forwarded:
		return "forwarded", fmt.Sprintf("passed on by the rules of %s to %s, as message %d", s.Who, s.Text, s.QueueID)
	case NotForwarded:
		return "kept", fmt.Sprintf("not passed on by the rules of %s, and kept: %s", s.Who, s.Text)
	case Answered:
		return "answered", fmt.Sprintf("answered by the rules of %s to <%s>, by message %d", s.Who, s.Text, s.QueueID)
	default:
		return "left out", fmt.Sprintf("left out of <%s> is %s", s.Who, s.Text)
	}
}

func attempted(a *Attempt, o *Outcome) string {
	s := o.State + " for <" + o.Recipient + ">"
	if a.Via != "" {
		s += " by " + a.Via
	} else if a.Host != "" {
		s += " by " + a.Host
	}
	if a.Security != "" {
		s += ", " + a.Security
	}
	if o.Reply == "" {
		return s
	}
	return s + ": " + o.Reply
}

// what names an action in one word.
func (a *action) what() string {
	switch a.op {
	case store.OpFlags:
		return "flags"
	case store.OpCopy:
		return "copied"
	case store.OpMove:
		return "moved"
	case store.OpExpunge:
		return "expunged"
	case store.OpRestore:
		return "restored"
	case store.OpRemove:
		return "removed"
	case store.OpRead:
		return "read"
	default:
		return fmt.Sprintf("action %d", a.op)
	}
}

// done tells an action in a sentence.
func (t *teller) done(a *action) string {
	s := ""
	switch a.op {
	case store.OpFlags:
		s = a.flagText() + " in " + a.name
	case store.OpCopy, store.OpMove:
		s = fmt.Sprintf("%s from %s to %s", a.what(), a.name, a.to.Name)
		if a.to.Account != 0 && t.address(a.to.Account) != a.who.Account {
			s += " of " + t.address(a.to.Account)
		}
	case store.OpExpunge:
		s = "deleted from " + a.name
	case store.OpRestore:
		s = "restored to " + a.to.Name
	case store.OpRemove:
		s = "removed with the mailbox " + a.name
	case store.OpRead:
		s = "read in " + a.name
	default:
		s = a.what()
	}
	return s + by(a.who)
}

// systemFlags are in the order of their bits.
var systemFlags = [...]string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`}

func (a *action) flagText() string {
	var names []string
	for i, name := range systemFlags {
		if a.flags&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	all := strings.Join(append(names, a.words...), " ")
	switch a.flagged {
	case store.FlagsAdd:
		return "marked " + all
	case store.FlagsRemove:
		return "no longer marked " + all
	default:
		if all == "" {
			return "given no flags"
		}
		return "given the flags " + all
	}
}
