package history

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"tripost/store"
	"tripost/store/engine"
)

// ErrNotFound is returned for an id of which nothing is known, or no longer.
var ErrNotFound = errors.New("nothing is known of a message with this Message-ID or queue id")

// Who did something, as far as it is known.
type Who struct {
	Account  string `json:"account,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	Session  string `json:"session,omitempty"`
	Remote   string `json:"remote,omitempty"` // address
	Client   string `json:"client,omitempty"` // as the program calls itself
}

// Story is what became of one message.
type Story struct {
	QueueID   string   `json:"queue_id,omitempty"`
	MessageID string   `json:"message_id,omitempty"`
	From      string   `json:"from"` // reverse-path
	Size      int64    `json:"size"`
	Events    []Event  `json:"events"`
	Copies    []Status `json:"copies"` // in mailboxes
	// Cut tells that there was more to read than is looked at for one answer.
	Cut bool `json:"cut,omitempty"`
}

// Event is one thing that happened.
type Event struct {
	At      time.Time `json:"at"`
	What    string    `json:"what"` // "received", "delivered", "read", "expunged", ...
	Who     Who       `json:"who,omitzero"`
	Account string    `json:"account,omitempty"` // whose mailbox
	Mailbox string    `json:"mailbox,omitempty"`
	UID     store.UID `json:"uid,omitempty"`
	Text    string    `json:"text"` // in one sentence
}

// Status is how a copy is now.
type Status struct {
	Account string    `json:"account"`
	Mailbox string    `json:"mailbox"`
	UID     store.UID `json:"uid"`
	State   string    `json:"state"` // "there", "restorable", "gone", "moved"
	// Until is when a removed copy can no longer be restored.
	Until time.Time `json:"until,omitzero"`
}

// Bounds of one answer.
const (
	maxActions = 200_000 // records that are read
	maxEvents  = 1000
	maxPlaces  = 200
)

// queueID reads a queue id.
func queueID(id string) (uint64, bool) {
	n, err := strconv.ParseUint(id, 10, 64)
	return n, err == nil && n > 0
}

// Explain tells what became of the messages with a Message-ID, or of the one with
// a queue id, oldest first. name gives the address of an account, "" where it is
// gone.
func (h *History) Explain(ctx context.Context, id string, name func(store.AccountID) string) ([]Story, error) {
	err := h.Write(ctx)
	if err == nil {
		err = h.index(ctx, 0)
	}
	if err != nil && !errors.Is(err, engine.ErrReadOnly) { // then it is told as far as it is written
		return nil, err
	}
	var stories []Story
	err = h.store.View(ctx, func(r *store.Snapshot) error {
		stories = nil
		bodies, err := bodiesOf(r, id)
		if err != nil {
			return err
		}
		for _, b := range bodies {
			v, err := r.Get(store.SpaceHistory, bodyKey(b))
			if err != nil {
				return err
			}
			if v == nil {
				continue
			}
			o, err := decodeOrigin(v)
			if err != nil {
				return err
			}
			t := teller{r: r, name: name, origin: o, left: maxActions}
			if err := t.tell(ctx); err != nil {
				return err
			}
			stories = append(stories, t.story)
		}
		return nil
	})
	if err == nil && len(stories) == 0 {
		err = fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return stories, nil
}

// teller collects one story.
type teller struct {
	r      *store.Snapshot
	name   func(store.AccountID) string
	origin *Origin
	story  Story
	left   int // records that may still be read
	places []spot
}

// spot is where a copy lay, from a time on.
type spot struct {
	account store.AccountID
	mailbox store.MailboxID
	uid     store.UID
	since   uint64
	name    string // of the mailbox
	state   string
}

func (t *teller) tell(ctx context.Context) error {
	o := t.origin
	t.story = Story{MessageID: o.MessageID, From: o.From, Size: o.Size, Events: []Event{}, Copies: []Status{}}
	if o.QueueID != 0 {
		t.story.QueueID = strconv.FormatUint(o.QueueID, 10)
	}
	t.arrival()
	if err := t.attempts(); err != nil {
		return err
	}
	for i := 0; i < len(t.places); i++ { // grows while copies are followed
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.follow(i); err != nil {
			return err
		}
	}
	for i := range t.places {
		if err := t.status(&t.places[i]); err != nil {
			return err
		}
	}
	slices.SortStableFunc(t.story.Events, func(x, y Event) int { return cmp.Compare(x.At.UnixMicro(), y.At.UnixMicro()) })
	return nil
}

func (t *teller) add(e Event) {
	if len(t.story.Events) >= maxEvents {
		t.story.Cut = true
		return
	}
	t.story.Events = append(t.story.Events, e)
}

// addPlace notes where a copy lies, unless that is known.
func (t *teller) addPlace(s spot) {
	for _, have := range t.places {
		if have.account == s.account && have.mailbox == s.mailbox && have.uid == s.uid {
			return
		}
	}
	if len(t.places) >= maxPlaces {
		t.story.Cut = true
		return
	}
	t.places = append(t.places, s)
}

// arrival tells how the message came in, and where it went.
func (t *teller) arrival() {
	o := t.origin
	if o.QueueID == 0 {
		p := o.Places[0]
		t.add(Event{At: o.At, What: "appended", Who: o.Who, Account: t.address(p.Account), Mailbox: p.Name, UID: p.UID,
			Text: fmt.Sprintf("put into %s of %s%s", p.Name, t.address(p.Account), by(o.Who))})
	} else {
		t.add(Event{At: o.At, What: "received", Who: o.Who, Text: received(o)})
		if o.Checks != "" {
			t.add(Event{At: o.At, What: "checked", Text: "found out about the sender: " + o.Checks})
		}
	}
	for i := range o.Steps {
		what, text := o.Steps[i].step()
		t.add(Event{At: o.At, What: what, Text: text})
	}
	for _, p := range o.Places {
		switch {
		case p.Account != 0:
			t.addPlace(spot{account: p.Account, mailbox: p.Mailbox, uid: p.UID, since: micros(o.At), name: p.Name})
			if o.QueueID != 0 {
				t.add(Event{At: o.At, What: "delivered", Account: p.Address, Mailbox: p.Name, UID: p.UID,
					Text: fmt.Sprintf("delivered to %s of %s%s", p.Name, p.Address, forWhom(p))})
			}
		case p.Host != "":
			t.add(Event{At: o.At, What: "queued", Text: fmt.Sprintf("queued for <%s>%s, to be sent to %s", p.Recipient, forWhom(Place{By: p.By}), p.Host)})
		default:
			t.add(Event{At: o.At, What: "discarded", Text: fmt.Sprintf("not delivered to <%s>, as the router says", p.Recipient)})
		}
	}
	for _, p := range o.Passed {
		t.add(Event{At: o.At, What: "expanded", Text: fmt.Sprintf("passed on to the members of <%s>, as message %d", p.Group, p.QueueID)})
	}
	if o.More > 0 {
		t.add(Event{At: o.At, What: "delivered", Text: fmt.Sprintf("and to %d recipients more", o.More)})
	}
}

// address names an account that may be gone.
func (t *teller) address(a store.AccountID) string {
	if name := t.name(a); name != "" {
		return name
	}
	return fmt.Sprintf("an account that was removed (%d)", a)
}

// attempts tells how the message was sent to other hosts.
func (t *teller) attempts() error {
	if t.origin.QueueID == 0 {
		return nil
	}
	prefix := numberKey(keyAttempt, t.origin.QueueID)
	for it, err := range t.r.Range(store.SpaceHistory, prefix, after(prefix)) {
		if err != nil {
			return err
		}
		a, err := decodeAttempt(it.Key, it.Value)
		if err != nil {
			return err
		}
		for _, o := range a.Outcomes {
			t.add(Event{At: a.At, What: o.State, Text: attempted(a, &o)})
		}
	}
	return nil
}

// follow reads what was done with a copy where it lay.
func (t *teller) follow(i int) error {
	s := t.places[i]
	prefix := mailboxPrefix(s.account, s.mailbox)
	// What is read is recorded together, under the time of the first reading.
	from := binary.BigEndian.AppendUint64(slices.Clone(prefix), s.since-min(s.since, uint64(time.Minute/time.Microsecond)))
	for it, err := range t.r.Range(store.SpaceHistory, from, after(prefix)) {
		if err != nil {
			return err
		}
		if t.left--; t.left < 0 {
			t.story.Cut = true
			return nil
		}
		a, err := decodeAction(it.Key, it.Value)
		if err != nil {
			return err
		}
		if !a.uids.Contains(s.uid) {
			continue
		}
		t.add(Event{At: a.at, What: a.what(), Who: a.who, Account: t.address(s.account), Mailbox: a.name, UID: s.uid,
			Text: t.done(a)})
		if a.op == store.OpMove {
			t.places[i].state = "moved"
		}
		if u, ok := a.target(s.uid); ok {
			t.addPlace(spot{account: a.to.Account, mailbox: a.to.Mailbox, uid: u, since: micros(a.at), name: a.to.Name})
		}
		if a.op == store.OpRestore {
			t.places[i].state = "moved"
		}
	}
	return nil
}

// status tells how a copy is now.
func (t *teller) status(s *spot) error {
	if s.state == "moved" {
		return nil
	}
	one := Status{Account: t.address(s.account), Mailbox: s.name, UID: s.uid, State: "gone"}
	now, err := t.r.MailboxName(s.account, s.mailbox)
	if err != nil {
		return err
	}
	if now != "" {
		one.Mailbox = now
	}
	lives, err := t.r.Lives(s.account, s.mailbox, store.UIDSet{{Lo: s.uid, Hi: s.uid}})
	if err != nil {
		return err
	}
	if lives && now != "" {
		one.State = "there"
	} else if one.Until, err = t.r.Trashed(s.account, s.mailbox, s.uid); err != nil {
		return err
	} else if !one.Until.IsZero() {
		one.State = "restorable"
	}
	t.story.Copies = append(t.story.Copies, one)
	return nil
}
