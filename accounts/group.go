package accounts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tripost/store"
)

// maxMembers bounds the record of one group.
const maxMembers = 2000

// maxGroups bounds the groups that one account is found to be in, by way of other
// groups too.
const maxGroups = 1000

// Group is a name for several addresses: mail to it goes to each, and in access
// control lists it stands for its members ("#name").
type Group struct {
	Local  string // canonical
	Domain string // canonical
	Name   string // for people, at most 255 octets

	Members []string // addresses with their domains, in order, at most 2,000
	Senders Senders  // who may send to it
	NoMail  bool     // it takes no mail: it is for rights alone
	Flat    bool     // mail does not go to the members of groups that are members
	Once    bool     // members whom the header of a message names get it without the group

	ReplyTo bool   // answers go to the group: Reply-To is set to its address
	Owner   string // who hears of members that cannot be reached, with its domain; empty: who sent the message
}

// Address returns the group's address.
func (g Group) Address() string { return g.Local + "@" + g.Domain }

// Apart tells that the members do not get a message as it came, but one of their
// own.
func (g Group) Apart() bool { return g.ReplyTo || g.Owner != "" }

// Identifier returns what stands for the group in access control lists.
func (g Group) Identifier() string { return "#" + g.Address() }

// Senders says who may send to an address that many read.
type Senders uint8

// Who may send. The first is the zero value of a group, SendersNobody that of
// all@ a domain: see [Domain.AllSenders].
const (
	SendersDefault Senders = iota // anyone to a group, nobody to all@ a domain
	SendersNobody
	SendersMembers // its members; of all@ a domain, the domain's accounts
	SendersDomain  // accounts of its domain
	SendersUsers   // all accounts of this server
	SendersAnyone

	lastSenders = SendersAnyone
)

func sendersNames() []string {
	return []string{"default", "nobody", "members", "domain", "users", "anyone"}
}

// ParseSenders reads what [Senders.String] writes. ErrBadValue.
func ParseSenders(s string) (Senders, error) {
	i := slices.Index(sendersNames(), strings.ToLower(strings.TrimSpace(s)))
	if i < 0 {
		return 0, fmt.Errorf("%q: %w: use %s", clip(s), ErrBadValue, strings.Join(sendersNames(), ", "))
	}
	return Senders(i), nil
}

// String returns "default", "nobody", "members", "domain", "users" or "anyone".
func (s Senders) String() string { return sendersNames()[min(s, lastSenders)] }

// Or returns s, or what the default stands for.
func (s Senders) Or(usual Senders) Senders { return cmp.Or(s, usual) }

func (r *stored) group(g Group) *stored {
	r.text(g.Name).number(uint64(g.Senders)).choice(g.NoMail).choice(g.Flat).number(uint64(len(g.Members)))
	for _, m := range g.Members {
		r.text(m)
	}
	return r.choice(g.Once).choice(g.ReplyTo).text(g.Owner)
}

func (f *fields) group(g *Group) {
	g.Name, g.Senders, g.NoMail, g.Flat = f.Text(), Senders(f.upTo(int(lastSenders))), f.Bool(), f.Bool()
	for range f.Count() {
		g.Members = append(g.Members, f.Text())
	}
	if f.More() {
		g.Once = f.Bool()
	}
	if f.More() {
		g.ReplyTo, g.Owner = f.Bool(), f.Text()
	}
}

// AddGroup makes a group with members: see [Directory.SetGroup].
func (d *Directory) AddGroup(ctx context.Context, name string, members []string) (Group, error) {
	var g Group
	err := d.update(ctx, func(w *writer) (err error) {
		g = Group{Members: slices.Clone(members)}
		if g.Local, g.Domain, err = w.freeName(name); err != nil {
			return err
		}
		return w.putGroup(&g, nil)
	})
	if err != nil {
		return Group{}, fmt.Errorf("adding group %q: %w", clip(name), err)
	}
	return g, nil
}

// SetGroup lets change alter a group: all but its address. Members, and an owner,
// without a domain are in the group's; those in a domain of ours have to be there.
// change may be called more than once.
func (d *Directory) SetGroup(ctx context.Context, name string, change func(*Group) error) (Group, error) {
	var g Group
	err := d.update(ctx, func(w *writer) error {
		old, err := w.group(name)
		if err != nil {
			return err
		}
		g = old
		g.Members = slices.Clone(old.Members)
		if err := change(&g); err != nil {
			return err
		}
		if g.Address() != old.Address() {
			return fmt.Errorf("its name stays: %w", ErrBadValue)
		}
		if g.Owner != "" && g.Owner != old.Owner {
			if g.Owner, err = w.owner(g.Owner, &g); err != nil {
				return err
			}
		}
		return w.putGroup(&g, old.Members)
	})
	if err != nil {
		return Group{}, fmt.Errorf("setting group %q: %w", clip(name), err)
	}
	return g, nil
}

// putGroup checks a group whole and writes it, and under its members where they
// are found.
func (w *writer) putGroup(g *Group, old []string) error {
	if !isRealName(g.Name) {
		return fmt.Errorf("name: %w: one line of UTF-8, at most %d octets", ErrBadValue, maxRealName)
	}
	if len(g.Members) > maxMembers {
		return fmt.Errorf("%d members: %w: at most %d", len(g.Members), ErrBadValue, maxMembers)
	}
	for i, m := range g.Members {
		var err error
		if g.Members[i], err = w.member(m, g.Domain); err != nil {
			return err
		}
		if g.Members[i] == g.Address() {
			return fmt.Errorf("it cannot be its own member: %w", ErrBadValue)
		}
	}
	slices.Sort(g.Members)
	g.Members = slices.Compact(g.Members)
	for _, m := range old {
		w.delete(memberKey(m, g.Address()))
	}
	for _, m := range g.Members {
		w.put(memberKey(m, g.Address()), newStored().b)
	}
	w.put(objectKey(g.Domain, g.Local), encodeObject(object{kind: isGroup, group: *g}))
	return nil
}

// member returns a member's address in the form that is kept. An alias becomes
// the account that it is of.
func (n *Names) member(addr, domain string) (string, error) {
	kept, err := n.inGroup(addr, domain)
	if err != nil {
		return "", fmt.Errorf("member %q: %w", clip(addr), err)
	}
	return kept, nil
}

// inGroup is member for whoever has a part in a group of a domain.
func (n *Names) inGroup(addr, domain string) (string, error) {
	if !isTarget(addr) || strings.Contains(addr, "*") {
		return "", fmt.Errorf("%w: one address of at most %d octets", ErrBadValue, maxTarget)
	}
	local, of := splitAddress(addr)
	if of == "" {
		of = domain
	}
	dom, err := n.Domain(of)
	if errors.Is(err, ErrNoDomain) {
		canonical, err := CanonicalDomain(of)
		return local + "@" + canonical, err
	}
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(local, "#%!+\"") {
		return local + "@" + dom.Name, nil // for the router to read
	}
	obj, err := n.Find(dom, local)
	switch {
	case err != nil:
		return "", err
	case obj.Account != nil:
		return obj.Account.Address(), nil
	}
	return strings.ToLower(local) + "@" + dom.Name, nil
}

// owner returns the address of who owns a group, in the same form.
func (n *Names) owner(addr string, g *Group) (string, error) {
	owner, err := n.inGroup(addr, g.Domain)
	if err == nil && owner == g.Address() {
		err = fmt.Errorf("a group cannot own itself: %w", ErrBadValue)
	}
	if err != nil {
		return "", fmt.Errorf("owner %q: %w", clip(addr), err)
	}
	return owner, nil
}

func memberKey(member, group string) []byte {
	return append(memberPrefix(member), group...)
}

func memberPrefix(member string) []byte {
	return append(append([]byte{keyMember}, member...), 0)
}

// Group returns a group by its address, which without a domain is in the Main
// Domain. ErrNoGroup, ErrNoDomain.
func (d *Directory) Group(ctx context.Context, name string) (Group, error) {
	var g Group
	err := d.View(ctx, func(n *Names) (err error) {
		g, err = n.group(name)
		return err
	})
	return g, err
}

func (n *Names) group(name string) (Group, error) {
	local, domain, o, err := n.named(name)
	if err == nil && o.kind != isGroup {
		err = ErrNoGroup
	}
	if err != nil {
		return Group{}, fmt.Errorf("group %q: %w", clip(name), orElse(err, ErrNoGroup))
	}
	o.group.Local, o.group.Domain = local, domain
	return o.group, nil
}

// Groups returns those of a domain, given by name or alias, or of all for "",
// ordered by domain and name.
func (d *Directory) Groups(ctx context.Context, domain string) ([]Group, error) {
	var all []Group
	err := d.View(ctx, func(n *Names) error {
		return n.objects(domain, isGroup, func(domain, local string, o object) {
			o.group.Local, o.group.Domain = local, domain
			all = append(all, o.group)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing groups of %q: %w", clip(domain), err)
	}
	return all, nil
}

// RemoveGroup removes a group, also from the groups that it is a member of. What
// access control lists grant to it stays there and is granted to nobody.
func (d *Directory) RemoveGroup(ctx context.Context, name string) error {
	err := d.update(ctx, func(w *writer) error {
		g, err := w.group(name)
		if err != nil {
			return err
		}
		for _, m := range g.Members {
			w.delete(memberKey(m, g.Address()))
		}
		w.delete(objectKey(g.Domain, g.Local))
		return w.leaveGroups(g.Address())
	})
	if err != nil {
		return fmt.Errorf("removing a group: %w", err)
	}
	return nil
}

// leaveGroups takes an address that goes out of the groups that it is in.
func (w *writer) leaveGroups(addr string) error {
	in, err := w.groupsWith(addr)
	if err != nil {
		return err
	}
	for _, name := range in {
		g, err := w.group(name)
		if err != nil {
			return err
		}
		old := slices.Clone(g.Members)
		g.Members = slices.DeleteFunc(g.Members, func(m string) bool { return m == addr })
		if err := w.putGroup(&g, old); err != nil {
			return err
		}
	}
	return nil
}

// groupsWith returns the addresses of the groups that have an address as a member.
func (n *Names) groupsWith(addr string) ([]string, error) {
	prefix := memberPrefix(addr)
	var in []string
	err := n.each(prefix, func(key, _ []byte) error {
		in = append(in, string(key[len(prefix):]))
		return nil
	})
	return in, err
}

// GroupsOf returns the groups that an account is in, by way of other groups too,
// as access control lists name them ("#sales@company.test"), in order and at
// most 1,000.
func (n *Names) GroupsOf(acct Account) ([]string, error) {
	var all []string
	seen := map[string]bool{}
	for next := []string{acct.Address()}; len(next) > 0 && len(all) < maxGroups; next = next[1:] {
		in, err := n.groupsWith(next[0])
		if err != nil {
			return nil, err
		}
		for _, g := range in {
			if !seen[g] {
				seen[g] = true
				all = append(all, "#"+g)
				next = append(next, g)
			}
		}
	}
	slices.Sort(all)
	return all[:min(len(all), maxGroups)], nil
}

// Identity returns as whom an account acts in the store, with its groups.
func (d *Directory) Identity(ctx context.Context, acct Account) (id store.Identity, err error) {
	id = acct.Identity()
	err = d.View(ctx, func(n *Names) (err error) {
		id.Groups, err = n.GroupsOf(acct)
		return err
	})
	return id, err
}

// MaySend tells whether an account that has signed in, nil for nobody, may send
// to a group that senders may send to, or to all@ a domain, which is given as a
// group of that name. What the account has become since it signed in counts.
func (d *Directory) MaySend(ctx context.Context, acct *Account, to Group, senders Senders) (bool, error) {
	if senders == SendersDefault || senders == SendersAnyone {
		return true, nil
	}
	if acct == nil || senders == SendersNobody {
		return false, nil
	}
	may := false
	err := d.View(ctx, func(n *Names) error {
		now, err := n.AccountByID(acct.ID)
		if errors.Is(err, ErrNoAccount) || now.Locked {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case senders == SendersUsers:
			may = true
		case senders == SendersDomain || len(to.Members) == 0:
			may = now.Domain == to.Domain
		default:
			var in []string
			in, err = n.GroupsOf(now)
			may = slices.Contains(in, to.Identifier())
		}
		return err
	})
	return may, err
}
