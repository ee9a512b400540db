package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tripost/store"
)

// Selection says which messages an order is about. One of the fields is set.
type Selection struct {
	ID string
	// Sender is a reverse-path, "<>" for the null one, an account that submitted,
	// or "@domain" for all of these in a domain.
	Sender string
	// Domain is where recipients wait to be sent to: only those of a message that
	// go there are meant.
	Domain string
}

// Order is what an administrator wants done.
type Order uint8

// The orders.
const (
	Retry   Order = iota + 1 // make the next attempt now, of what is not held
	Hold                     // keep it from being sent; an attempt in flight is not stopped
	Release                  // let it go on, now
	Reroute                  // send it to another host, now
	Bounce                   // give it up and tell the sender
	Drop                     // remove it and tell nobody
)

// orderTexts are for the log.
var orderTexts = map[Order]string{
	Retry: "retried by an administrator", Hold: "held by an administrator", Release: "released by an administrator",
	Reroute: "rerouted by an administrator", Bounce: "given up by an administrator", Drop: "dropped by an administrator",
}

// Host is where messages are rerouted to, whatever the MX of their domain says.
type Host struct {
	Name string // a host name or an IP address
	Port int    // 0: the usual one
}

// Steered tells what an order was about.
type Steered struct {
	Messages int
	Held     int // of these, the ones of which something is held, which neither Retry nor Reroute sends
}

// Steer carries out an order and returns what it was about. A
// message that was selected by its id and is not there is ErrNoItem; what was
// selected otherwise may be none. An order about many messages is carried out in
// steps, and those that were done stay done when one fails.
func (q *Queue) Steer(ctx context.Context, sel Selection, o Order, to Host) (total Steered, err error) {
	st := &steering{q: q, order: o, to: to, now: q.o.Now()}
	if sel.ID != "" || sel.Sender == "" && sel.Domain == "" {
		id, err := parseID(sel.ID)
		if err != nil {
			return total, err
		}
		return st.page(ctx, []chosen{{id: id, named: true}})
	}
	next := q.bySender(sel.Sender)
	if sel.Domain != "" {
		next = q.byDomain(sel.Domain)
	}
	for more := true; more && err == nil; {
		var page []chosen
		if page, more, err = next(ctx); err == nil {
			var some Steered
			some, err = st.page(ctx, page)
			total.Messages += some.Messages
			total.Held += some.Held
		}
	}
	return total, err
}

// chosen is one message, or with lane what of it goes to one destination.
type chosen struct {
	id    uint64
	lane  string // empty: all
	named bool   // by its id: it must be there
}

// pager returns further messages, and whether there may be more.
type pager func(context.Context) (page []chosen, more bool, err error)

// pageOfSteps is how many messages one transaction looks at.
const pageOfSteps = 512

// bySender finds messages of a sender.
func (q *Queue) bySender(sender string) pager {
	sender = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(sender, "<"), ">"))
	is := func(addr string) bool {
		addr = strings.ToLower(addr)
		return addr == sender || strings.HasPrefix(sender, "@") && strings.HasSuffix(addr, sender)
	}
	from := []byte{keyMessage}
	return func(ctx context.Context) (page []chosen, more bool, err error) {
		err = q.store.View(ctx, func(r *store.Snapshot) error {
			looked := 0
			for it, err := range r.Range(store.SpaceQueue, from, []byte{keyMessage + 1}) {
				if err != nil {
					return err
				}
				if looked++; looked > pageOfSteps {
					from, more = append([]byte(nil), it.Key...), true
					return nil
				}
				m, err := decodeKeyed(it.Key, it.Value)
				if err == nil && (is(m.from) || m.account != "" && is(m.account)) {
					page = append(page, chosen{id: m.id})
				}
			}
			return nil
		})
		return page, more, err
	}
}

// byDomain finds messages with recipients that wait for a domain.
func (q *Queue) byDomain(domain string) pager {
	name := strings.ToLower(strings.TrimSuffix(domain, "."))
	if strings.Contains(name, ":") {
		name = "=" + name // a host that the router named, with its port
	}
	after := uint64(0)
	return func(ctx context.Context) (page []chosen, more bool, err error) {
		err = q.store.View(ctx, func(r *store.Snapshot) error {
			for it, err := range r.Range(store.SpaceQueue, laneKey(name, after+1), laneEnd(name)) {
				if err != nil {
					return err
				}
				id, _, _, err := parseLane(name, it.Key, it.Value)
				if err != nil {
					return err
				}
				page = append(page, chosen{id: id, lane: name})
				if len(page) == pageOfSteps {
					after, more = id, true
					return nil
				}
			}
			return nil
		})
		return page, more, err
	}
}

// steering carries out one order.
type steering struct {
	q     *Queue
	order Order
	to    Host
	now   time.Time
}

// page carries the order out for some messages: in one transaction, unless
// reports have to be made.
func (s *steering) page(ctx context.Context, page []chosen) (some Steered, err error) {
	if len(page) == 0 {
		return some, nil
	}
	if s.order == Bounce {
		for _, c := range page {
			if err := s.bounce(ctx, c); err != nil {
				return some, err
			}
			s.q.log.changed(formatID(c.id), orderTexts[s.order])
			some.Messages++
		}
		return some, nil
	}
	var done []uint64
	var due []notice
	held := 0
	err = s.q.store.Update(ctx, func(tx *store.Tx) error {
		done, due, held = nil, nil, 0
		for _, c := range page {
			dests, err := s.take(tx, c)
			if errors.Is(err, ErrNoItem) && !c.named {
				continue // sent meanwhile
			}
			if err == nil {
				err = s.apply(tx, c.id, dests)
			}
			if err == nil {
				err = s.q.rememberOrder(tx, s.order, s.now, dests)
			}
			if err != nil {
				return err
			}
			done = append(done, c.id)
			if slices.ContainsFunc(dests, func(d *destination) bool { return d.held }) {
				held++
			}
			for _, d := range dests {
				if !d.held {
					due = append(due, notice{work{d.id, d.name()}, d.next, true})
				}
			}
		}
		return wakeSender(tx)
	})
	if err != nil {
		return some, err
	}
	s.q.notices.tell(due...)
	for _, id := range done {
		s.q.log.changed(formatID(id), orderTexts[s.order])
	}
	some.Messages = len(done)
	if s.order == Retry || s.order == Reroute {
		some.Held = held
	}
	return some, nil
}

// take reads the destinations that the order is about.
func (s *steering) take(tx *store.Tx, c chosen) ([]*destination, error) {
	if _, err := getMessage(&tx.Snapshot, c.id); err != nil {
		return nil, err
	}
	if c.lane == "" {
		return destinations(&tx.Snapshot, c.id)
	}
	d, err := getDestination(&tx.Snapshot, c.id, c.lane)
	if err != nil {
		return nil, err
	}
	return []*destination{d}, nil
}

// apply changes the records of one message.
func (s *steering) apply(tx *store.Tx, id uint64, dests []*destination) error {
	if s.order == Drop && len(dests) == 0 {
		m, err := getMessage(&tx.Snapshot, id)
		if err != nil {
			return err
		}
		return removeMessage(tx, m)
	}
	if s.order == Reroute {
		s.joinedFirst(dests)
	}
	for _, d := range dests {
		if s.order == Drop {
			if err := removeDestination(tx, d); err != nil {
				return err
			}
			d.held = true // nothing is due
			continue
		}
		tx.Delete(store.SpaceQueue, dueKey(d.next, d.id, d.name()))
		switch s.order {
		case Retry:
			d.next, d.hurry = s.now, true
		case Hold:
			d.held = true
		case Release:
			if d.held {
				d.next, d.hurry = s.now, true
			}
			d.held = false
		case Reroute:
			if err := s.move(tx, d); err != nil {
				return err
			}
		}
		putDestination(tx, d)
	}
	return nil
}

// joinedFirst puts what waits at the host already before what is led there, which
// joins it: the other way round it would be written over what has joined.
func (s *steering) joinedFirst(dests []*destination) {
	there := destination{host: strings.ToLower(s.to.Name), port: s.to.Port, direct: true}
	i := slices.IndexFunc(dests, func(d *destination) bool { return d.name() == there.name() })
	if i > 0 {
		dests[0], dests[i] = dests[i], dests[0]
	}
}

// move leads a destination to another host. Where the message has recipients for
// that host already, they become one.
func (s *steering) move(tx *store.Tx, d *destination) error {
	old := d.name()
	d.host, d.port, d.direct, d.next, d.hurry = strings.ToLower(s.to.Name), s.to.Port, true, s.now, true
	if d.name() == old {
		return nil
	}
	tx.Delete(store.SpaceQueue, destinationKey(d.id, old))
	tx.Delete(store.SpaceQueue, laneKey(old, d.id))
	there, err := getDestination(&tx.Snapshot, d.id, d.name())
	if errors.Is(err, ErrNoItem) {
		return nil
	}
	if err != nil {
		return err
	}
	tx.Delete(store.SpaceQueue, dueKey(there.next, there.id, there.name()))
	for _, r := range there.recipients {
		if !d.has(r.address) {
			d.recipients = append(d.recipients, r)
		}
	}
	m, err := getMessage(&tx.Snapshot, d.id)
	if err != nil {
		return err
	}
	m.pending = max(m.pending, 2) - 1
	tx.Put(store.SpaceQueue, messageKey(m.id), m.encode())
	return nil
}

func (d *destination) has(address string) bool {
	for i := range d.recipients {
		if d.recipients[i].address == address {
			return true
		}
	}
	return false
}

// bounce gives up what an order is about.
func (s *steering) bounce(ctx context.Context, c chosen) error {
	var dests []*destination
	err := s.q.store.View(ctx, func(r *store.Snapshot) (err error) {
		if _, err = getMessage(r, c.id); err == nil {
			dests, err = destinations(r, c.id)
		}
		return err
	})
	if errors.Is(err, ErrNoItem) && !c.named {
		return nil
	}
	if err != nil {
		return err
	}
	for _, d := range dests {
		if c.lane != "" && d.name() != c.lane {
			continue
		}
		a := &attempt{id: c.id, name: d.name(), when: s.now, administrative: true}
		for _, r := range d.recipients {
			a.results = append(a.results, result{recipient: r, state: failed,
				enhanced: "5.0.0", reply: orderTexts[Bounce]})
		}
		if err := s.q.settle(ctx, a); err != nil && !errors.Is(err, ErrNoItem) {
			return fmt.Errorf("give up %d: %w", c.id, err)
		}
	}
	return nil
}
