package queue

import (
	"context"
	"errors"
	"slices"
	"strings"

	"tripost/accounts"
	"tripost/history"
	"tripost/router"
	"tripost/store"
)

// plan is where all recipients of one envelope lead.
type plan struct {
	copies    []*copyTo
	dests     []*destination
	discarded []string

	kinds   map[string]router.Kind     // of the envelope's recipients
	refused map[string]*RecipientError // of them, where the others get the message all the same
	steps   []history.Step             // on the way, for the history
	lost    []result                   // members of lists that cannot be reached now
	listed  bool                       // a list was expanded
	once    bool                       // likewise, one whose members get no second copy
	ruled   bool                       // rules have said what becomes of copies
	groups  []*groupPlan               // whose members get a message of their own

	byPlace map[place]*copyTo       // copies
	byName  map[string]*destination // dests
	*expansion
}

// expansion is what the plans of one envelope share.
type expansion struct {
	from  string           // reverse-path
	seen  map[string]visit // addresses routed, against loops and doubles
	count int
	apart int // groups whose members get a message of their own
}

// visit is what came of an address so far.
type visit uint8

const (
	unseen visit = iota
	onTheWay
	nowhere
	placed
	named // placed, as a recipient of the envelope itself
)

// place is a local mailbox.
type place struct {
	account store.AccountID
	mailbox string
}

// copyTo is one copy for one local mailbox.
type copyTo struct {
	account     accounts.Account
	mailbox     string   // empty: INBOX
	junk        bool     // mailbox is that for unwanted mail, made when it is missing
	individuals []string // whom it is for, when a whole domain shares the account
	address     string   // one that led here, for refusals
	owners      []string // recipients of the envelope that led here
	members     []origin // likewise, by way of a list

	flags  store.Flags // by a rule
	create bool        // the mailbox is made when it is missing, for a rule has named it
	beyond store.Allowance
}

// origin is the recipient of the envelope that led to an address.
type origin struct {
	recipient string
	options   RecipientOptions
	listed    bool // by way of a list
	once      bool // of one whose members get no second copy
	owned     bool // reports go to who owns the group, and so knows its members
}

// errTooWide is within the refusal of what lists make too large.
var errTooWide = errors.New("too many recipients")

// plan routes all recipients, and the members of lists among them, and merges
// what leads to the same place.
func (q *Queue) plan(ctx context.Context, env *Envelope) (*plan, error) {
	return q.planWithout(ctx, env, nil)
}

// planEach is plan for a submitter who gets an answer for each recipient: those
// that are refused are left out. It begins anew without them, for what a list
// had brought before it failed must go too.
func (q *Queue) planEach(ctx context.Context, env *Envelope) (*plan, error) {
	without := make(map[string]*RecipientError)
	for {
		p, err := q.planWithout(ctx, env, without)
		var refused *RecipientError
		if !errors.As(err, &refused) || errors.Is(err, errTooWide) {
			return p, err
		}
		without[refused.Address] = refused
	}
}

func (q *Queue) planWithout(ctx context.Context, env *Envelope, without map[string]*RecipientError) (*plan, error) {
	p := &plan{
		expansion: &expansion{from: env.From, seen: make(map[string]visit, len(env.Recipients))},
		refused:   without,
	}
	if len(env.Options) > 0 {
		p.kinds = make(map[string]router.Kind, len(env.Recipients))
	}
	for i, addr := range env.Recipients {
		if p.seen[addr] == named || without[addr] != nil {
			continue
		}
		res, err := q.route(ctx, addr)
		if err != nil {
			return nil, err
		}
		if _, err := q.admit(ctx, addr, &res, &env.Source); err != nil {
			return nil, err
		}
		if p.kinds != nil {
			p.kinds[addr] = res.Kind
		}
		if p.seen[addr] != placed || res.Kind != router.List { // else its members have got it by another list
			if err := q.put(ctx, p, addr, &res, origin{recipient: addr, options: env.options(i)}, 0); err != nil {
				return nil, err
			}
		}
		p.seen[addr] = named
	}
	p.spare()
	return p, nil
}

// put enters one routed address in the plan.
func (q *Queue) put(ctx context.Context, p *plan, addr string, res *router.Result, from origin, depth int) error {
	if p.count++; p.count > maxExpanded {
		return &RecipientError{Address: from.recipient, Code: 550, Enhanced: "5.5.3",
			Reason: "leads to too many recipients", Err: errTooWide}
	}
	switch res.Kind {
	case router.Local:
		p.addLocal(res, addr, from)
	case router.Remote:
		p.addRemote(res, addr, from)
	case router.List:
		p.seen[addr] = onTheWay
		if err := q.expand(ctx, p, res, from, depth+1); err != nil {
			p.seen[addr] = nowhere
			return err
		}
	default:
		p.discarded = append(p.discarded, addr)
	}
	p.seen[addr] = placed
	return nil
}

// expand routes the members of a list. Who may send to the list may reach its
// members, wherever they are. A member that is refused for good, or leads back
// to the list, is left out; the list is refused when it reaches nobody.
func (q *Queue) expand(ctx context.Context, p *plan, list *router.Result, from origin, depth int) error {
	refusal := &RecipientError{Address: from.recipient, Code: 550, Enhanced: "5.1.1", Reason: "has no members"}
	if depth > maxNesting {
		refusal.Enhanced, refusal.Reason = "5.4.6", "lists nested too deeply"
		return refusal
	}
	from.listed, from.options.Notify = true, from.options.Notify.member()
	p.listed = true
	from.once = from.once || list.List.Once
	into, err := q.membersOf(ctx, p, &list.List, &from)
	if err != nil {
		return err
	}
	into.once = into.once || from.once
	taken := 0
	for _, addr := range list.Addresses {
		switch p.seen[addr] {
		case placed, named:
			taken++
			continue
		case onTheWay, nowhere:
			refusal.Enhanced, refusal.Reason = "5.4.6", "leads in a circle"
			continue
		}
		err := q.member(ctx, into, addr, from, depth)
		var refused *RecipientError
		switch {
		case err == nil:
			taken++
		case errors.As(err, &refused) && !refused.Temporary() && !errors.Is(err, errTooWide):
			q.memberRefused(into, from.recipient, addr, refused)
			refusal = refused
			if from.owned {
				into.lose(addr, from, refused)
			}
		default:
			return err
		}
	}
	if taken == 0 {
		return refusal
	}
	if into != p {
		p.addGroup(&list.List, from, into)
	}
	return nil
}

// memberRefused logs and notes that a list has lost a member.
func (q *Queue) memberRefused(p *plan, list, member string, why *RecipientError) {
	q.log.memberRefused(list, member, why)
	p.note(history.LeftOut, list, "<"+member+">: "+why.Reason)
}

func (q *Queue) member(ctx context.Context, p *plan, addr string, from origin, depth int) error {
	res, err := q.route(ctx, addr)
	if err != nil {
		return err
	}
	if res.Kind == router.Refused {
		p.seen[addr] = nowhere
		return refused(from.recipient, &res)
	}
	return q.put(ctx, p, addr, &res, from, depth)
}

// addLocal adds a copy, or a further individual to one that is there.
func (p *plan) addLocal(res *router.Result, addr string, from origin) {
	mailbox := res.Mailbox
	if strings.EqualFold(mailbox, "INBOX") {
		mailbox = ""
	}
	at := place{res.Account.ID, mailbox}
	c := p.byPlace[at]
	if c == nil {
		if p.byPlace == nil {
			p.byPlace = make(map[place]*copyTo)
		}
		c = &copyTo{account: res.Account, mailbox: mailbox, address: addr}
		p.byPlace[at] = c
		p.copies = append(p.copies, c)
	}
	if res.Role {
		c.exceed()
	}
	if from.listed {
		c.members = append(c.members, from)
	} else {
		c.owners = append(c.owners, from.recipient)
	}
	c.add(res.Individual)
}

func (c *copyTo) add(individual string) {
	if individual == "" {
		return
	}
	for _, have := range c.individuals {
		if strings.EqualFold(have, individual) {
			return
		}
	}
	c.individuals = append(c.individuals, individual)
}

// addRemote adds a recipient to its destination.
func (p *plan) addRemote(res *router.Result, addr string, from origin) {
	d := &destination{host: strings.ToLower(res.Host), port: res.Port, direct: res.Direct}
	name := d.name()
	if have := p.byName[name]; have != nil {
		d = have
	} else {
		if p.byName == nil {
			p.byName = make(map[string]*destination)
		}
		p.byName[name] = d
		p.dests = append(p.dests, d)
	}
	for i := range d.recipients {
		if r := &d.recipients[i]; r.address == res.Address {
			r.notify = r.notify.and(from.options.Notify)
			r.once = r.once && from.once
			return
		}
	}
	r := recipient{address: res.Address, notify: from.options.Notify, orcpt: from.options.Original, once: from.once}
	if known := from.knownAs(addr); known != res.Address {
		r.original = known
	}
	d.recipients = append(d.recipients, r)
}

// empty tells that nobody is left to get the message.
func (p *plan) empty() bool {
	return len(p.copies) == 0 && len(p.dests) == 0 && len(p.discarded) == 0 && !p.ruled &&
		!slices.ContainsFunc(p.groups, func(g *groupPlan) bool { return !g.empty() })
}

// remove takes a copy out.
func (p *plan) remove(c *copyTo) {
	p.copies = slices.DeleteFunc(p.copies, func(o *copyTo) bool { return o == c })
}
