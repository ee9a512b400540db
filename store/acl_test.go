package store_test

import (
	"errors"
	"fmt"
	"testing"

	"tripost/store"
)

// gateCase is one operation, as bob does it in ann's mailbox "top/box".
type gateCase struct {
	name   string
	need   store.Rights // on the mailbox
	parent store.Rights // on "top"
	// hidden is the right without which the mailbox is as good as gone for a
	// session that has it open.
	hidden store.Rights
	do     func(g *gateTest) error
}

type gateTest struct {
	s        *store.Store
	ann, bob store.Identity
	ref      store.MailboxRef
	v        *store.View // bob's, opened when he had all rights
	own      *store.View // of bob's INBOX, which holds one message
}

const (
	l = store.RightLookup
	r = store.RightRead
	w = store.RightWrite
	d = store.RightDelete
	i = store.RightInsert
	c = store.RightCreate
)

func setFlags(f store.FlagSet, op store.FlagOp) func(*gateTest) error {
	return func(g *gateTest) error {
		seqs, _, err := g.v.SetFlags(ctx, span(1, 1), op, f, 0)
		if err == nil && len(seqs) != 1 {
			return errors.New("no message changed")
		}
		return err
	}
}

var gateCases = []gateCase{
	{name: "Mailbox", need: l, do: func(g *gateTest) error {
		_, _, err := g.s.Mailbox(ctx, g.bob, g.ref)
		return err
	}},
	{name: "Mailboxes", need: l, do: func(g *gateTest) error {
		list, err := g.s.Mailboxes(ctx, g.bob, g.ann.Account)
		for _, m := range list {
			if m.Name == g.ref.Name {
				return nil
			}
		}
		return errors.Join(err, store.ErrNoMailbox)
	}},
	{name: "Open", need: l | r, do: func(g *gateTest) error {
		v, err := g.s.Open(ctx, g.bob, g.ref, false)
		if err == nil {
			v.Close()
		}
		return err
	}},
	{name: "Refresh", need: l | r, hidden: r, do: func(g *gateTest) error {
		_, err := g.v.Refresh(ctx, false)
		return err
	}},
	{name: "Detail", need: l | r, do: func(g *gateTest) error {
		_, err := g.v.Detail(ctx, 1)
		return err
	}},
	{name: "OpenBody", need: l | r, do: func(g *gateTest) error {
		b, err := g.v.OpenBody(ctx, 1)
		if err == nil {
			b.Close()
		}
		return err
	}},
	{name: "SetFlags Seen", need: l | r | store.RightSeen, hidden: r, do: setFlags(store.FlagSet{System: seen}, store.FlagsAdd)},
	{name: "SetFlags Deleted", need: l | r | d, hidden: r, do: setFlags(store.FlagSet{System: deleted}, store.FlagsAdd)},
	{name: "SetFlags Flagged", need: l | r | w, hidden: r, do: setFlags(store.FlagSet{System: flagged}, store.FlagsAdd)},
	{name: "SetFlags keyword", need: l | r | w, hidden: r, do: setFlags(store.FlagSet{Keywords: []string{"new"}}, store.FlagsAdd)},
	{name: "SetFlags remove", need: l | r | w, hidden: r, do: setFlags(store.FlagSet{System: flagged}, store.FlagsRemove)},
	{name: "Expunge", need: l | r | d, hidden: r, do: func(g *gateTest) error {
		_, err := g.v.Expunge(ctx, span(1, 1), true)
		return err
	}},
	{name: "Copy from", need: l | r, hidden: r, do: func(g *gateTest) error {
		_, err := g.v.Copy(ctx, span(1, 1), box(g.bob, "INBOX"))
		return err
	}},
	{name: "Move from", need: l | r | d, hidden: r, do: func(g *gateTest) error {
		_, err := g.v.Move(ctx, span(1, 1), box(g.bob, "INBOX"))
		return err
	}},
	{name: "Copy into", need: l | i, do: func(g *gateTest) error {
		_, err := g.own.Copy(ctx, span(1, 1), g.ref)
		return err
	}},
	{name: "Move into", need: l | i, do: func(g *gateTest) error {
		_, err := g.own.Move(ctx, span(1, 1), g.ref)
		return err
	}},
	{name: "Append", need: l | i, do: func(g *gateTest) error {
		_, err := tryAppend(g.s, g.bob, g.ref, mail("x"), store.FlagSet{System: seen})
		return err
	}},
	{name: "Create child", need: l | c, do: func(g *gateTest) error {
		return g.s.Create(ctx, g.bob, store.MailboxRef{Account: g.ann.Account, Name: g.ref.Name + "/deep/new"}, store.CreateOptions{})
	}},
	{name: "Delete", need: l | d, parent: l | c, do: func(g *gateTest) error {
		return g.s.Delete(ctx, g.bob, g.ref)
	}},
	{name: "Rename", need: l | d, parent: l | c, do: func(g *gateTest) error {
		return g.s.Rename(ctx, g.bob, g.ref, "top/other")
	}},
	{name: "ACL", need: l | store.RightAdmin, do: func(g *gateTest) error {
		_, err := g.s.ACL(ctx, g.bob, g.ref)
		return err
	}},
	{name: "SetACL", need: l | store.RightAdmin, do: func(g *gateTest) error {
		return g.s.SetACL(ctx, g.bob, g.ref, store.ACLEntry{ID: "anyone", Rights: l}, store.RightsReplace)
	}},
}

// TestGate does every operation with exactly the rights that it needs, and with
// all but each one.
func TestGate(t *testing.T) {
	s, ann := open(t)
	bob := newAccount(t, s, "bob")
	for _, op := range gateCases {
		t.Run(op.name, func(t *testing.T) {
			attempt(t, s, ann, bob, op, op.need, op.parent, nil)
			for bit := store.Rights(1); bit < store.AllRights; bit <<= 1 {
				attempt(t, s, ann, bob, op, store.AllRights&^bit, op.parent, op.missing(op.need&bit, l|op.hidden))
				if op.parent != 0 {
					attempt(t, s, ann, bob, op, op.need, store.AllRights&^bit, op.missing(op.parent&bit, 0))
				}
			}
		})
	}
}

// missing returns the error that is due when a right is missing; those of
// hidden hide the mailbox.
func (op *gateCase) missing(right, hidden store.Rights) error {
	switch {
	case right == 0:
		return nil
	case right&hidden != 0:
		return store.ErrNoMailbox
	default:
		return store.ErrNoRight
	}
}

func attempt(t *testing.T, s *store.Store, ann, bob store.Identity, op gateCase, rights, parent store.Rights, want error) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	g := &gateTest{s: s, ann: ann, bob: bob, ref: box(ann, "top/box")}
	must(s.Create(ctx, ann, g.ref, store.CreateOptions{}))
	grant := func(name string, r store.Rights) {
		must(s.SetACL(ctx, ann, box(ann, name), store.ACLEntry{ID: bob.Name, Rights: r}, store.RightsReplace))
	}
	appendTo(t, s, ann, g.ref, mail("theirs"), store.FlagSet{System: flagged})
	grant("top/box", store.AllRights)
	own := box(bob, fmt.Sprintf("own %d %d", rights, parent))
	s.Create(ctx, bob, own, store.CreateOptions{})
	appendTo(t, s, bob, own, mail("mine"), store.FlagSet{})
	g.own, g.v = openView(t, s, bob, own), openView(t, s, bob, g.ref)
	grant("top/box", rights)
	grant("top", parent)
	err := op.do(g)
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("with %q, and %q above: %v, want %v", rights, parent, err, want)
	}
	g.v.Close()
	g.own.Close()
	must(s.Delete(ctx, bob, own))
	list, err := s.Mailboxes(ctx, ann, ann.Account)
	must(err)
	for n := len(list) - 1; list[n].Name != "INBOX"; n-- {
		must(s.Delete(ctx, ann, box(ann, list[n].Name)))
	}
}

// TestWhoIsMeant reads rights off ACLs.
func TestWhoIsMeant(t *testing.T) {
	s, ann := open(t)
	bob := newAccount(t, s, "bob")
	bob.Groups = []string{"#sales@company.test", "#staff@other.test"}
	ref := box(ann, "shared")
	for _, c := range []struct {
		acl  string
		want string // bob's rights; "-" when the mailbox is hidden from him
	}{
		{"", "-"},
		{"bob@company.test lr", "lr"},
		{"BOB@company.test lr", "-"},
		{"bob lr", "-"},
		{"bob@other.test lr", "-"},
		{"anyone lr", "lr"},
		{"anyone@company.test lri", "lri"},
		{"anyone@other.test lri", "-"},
		{"owner lrswipcda", "-"},
		{"#sales@company.test lrs", "lrs"},
		{"#sales@other.test lrs", "-"},
		{"anyone l|bob@company.test r|#sales@company.test s|anyone@company.test w", "lrsw"},
		{"anyone lrsw|-bob@company.test w", "lrs"},
		{"bob@company.test lrsw|-anyone w", "lrs"},
		{"bob@company.test lrsw|-#sales@company.test s|-#staff@other.test r", "lw"},
		{"bob@company.test lrsw|-anyone@company.test l", "-"},
		{"anyone lr|-anyone@other.test lr|-jim@company.test lr", "lr"},
		{"anyone lr|-owner lr", "lr"},
		{"anyone lkxte", "lcd"},
	} {
		if err := s.Create(ctx, ann, ref, store.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		setACL(t, s, ann, ref, c.acl)
		box, _, err := s.Mailbox(ctx, bob, ref)
		got := box.Rights.String()
		if errors.Is(err, store.ErrNoMailbox) {
			got = "-"
		}
		equal(t, "bob's rights with "+c.acl, got, c.want)
		for who, id := range map[string]store.Identity{"the owner": ann, "the system": store.System()} {
			if box, _, err := s.Mailbox(ctx, id, ref); err != nil || box.Rights != store.AllRights {
				t.Errorf("with %s %s has %q, %v", c.acl, who, box.Rights, err)
			}
		}
		if err := s.Delete(ctx, ann, ref); err != nil {
			t.Fatal(err)
		}
	}
}

// setACL gives a mailbox entries written "id rights|id rights".
func setACL(t testing.TB, s *store.Store, id store.Identity, ref store.MailboxRef, acl string) {
	t.Helper()
	for _, e := range splitACL(acl) {
		rights, err := store.ParseRights(e[1])
		if err == nil {
			err = s.SetACL(ctx, id, ref, store.ACLEntry{ID: e[0], Rights: rights}, store.RightsReplace)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSetACL(t *testing.T) {
	s, ann := open(t)
	inbox := box(ann, "INBOX")
	entry := func(id, rights string) store.ACLEntry {
		r, err := store.ParseRights(rights)
		if err != nil {
			t.Fatal(err)
		}
		return store.ACLEntry{ID: id, Rights: r}
	}
	for _, step := range []struct {
		e    store.ACLEntry
		op   store.RightsOp
		want string
	}{
		{entry("anyone", "lr"), store.RightsReplace, "anyone lr"},
		{entry("bob@x.test", "l"), store.RightsAdd, "anyone lr|bob@x.test l"},
		{entry("anyone", "sw"), store.RightsAdd, "anyone lrsw|bob@x.test l"},
		{entry("anyone", "lw"), store.RightsRemove, "anyone rs|bob@x.test l"},
		{entry("-bob@x.test", "w"), store.RightsReplace, "-bob@x.test w|anyone rs|bob@x.test l"},
		{entry("anyone", "rs"), store.RightsRemove, "-bob@x.test w|bob@x.test l"},
		{entry("jim@x.test", "r"), store.RightsRemove, "-bob@x.test w|bob@x.test l"},
		{entry("bob@x.test", ""), store.RightsReplace, "-bob@x.test w"},
	} {
		if err := s.SetACL(ctx, ann, inbox, step.e, step.op); err != nil {
			t.Fatal(err)
		}
		list, err := s.ACL(ctx, ann, inbox)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for n, e := range list {
			if n > 0 {
				got += "|"
			}
			got += e.ID + " " + e.Rights.String()
		}
		equal(t, "entries", got, step.want)
	}
	for n := range 199 { // with the one that is there as many as there may be
		if err := s.SetACL(ctx, ann, inbox, store.ACLEntry{ID: fmt.Sprint("user", n, "@x.test"), Rights: l}, store.RightsAdd); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetACL(ctx, ann, inbox, entry("more@x.test", "l"), store.RightsAdd); !errors.Is(err, store.ErrBadACL) {
		t.Errorf("entry 201: %v", err)
	}
	for _, bad := range []string{"", "-", "--x", "a\nb", "\xff"} {
		if err := s.SetACL(ctx, ann, inbox, store.ACLEntry{ID: bad, Rights: l}, store.RightsAdd); !errors.Is(err, store.ErrBadACL) {
			t.Errorf("entry %q: %v", bad, err)
		}
	}
}

func TestRightsAsLetters(t *testing.T) {
	for in, want := range map[string]string{"": "", "lr": "lr", "rl": "lr", "adcpiwsrl": "lrswipcda", "kxte": "cd", "llll": "l"} {
		r, err := store.ParseRights(in)
		if err != nil || r.String() != want {
			t.Errorf("%q gives %q, %v; want %q", in, r, err, want)
		}
	}
	for _, bad := range []string{"z", "L", "l r", "é"} {
		if _, err := store.ParseRights(bad); err == nil {
			t.Errorf("%q passes for rights", bad)
		}
	}
}

// A child takes the ACL of the level above, and keeps it on its own.
func TestChildrenInheritTheACL(t *testing.T) {
	s, ann := open(t)
	bob := newAccount(t, s, "bob")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Create(ctx, ann, box(ann, "a"), store.CreateOptions{}))
	setACL(t, s, ann, box(ann, "a"), "bob@company.test lrc")
	must(s.Create(ctx, ann, box(ann, "a/b/c"), store.CreateOptions{}))
	setACL(t, s, ann, box(ann, "a"), "bob@company.test l")
	equal(t, "what bob sees", names(t, s, bob, ann.Account), "a a/b/ a/b/c")
	m, _, err := s.Mailbox(ctx, bob, box(ann, "a/b/c"))
	must(err)
	equal(t, "below", m.Rights.String(), "lrc")
	must(s.Create(ctx, bob, box(ann, "a/b/d"), store.CreateOptions{}))
	if err := s.Create(ctx, bob, box(ann, "a/x"), store.CreateOptions{}); !errors.Is(err, store.ErrNoRight) {
		t.Errorf("creating without the right: %v", err)
	}
	if err := s.Create(ctx, bob, box(ann, "top"), store.CreateOptions{}); !errors.Is(err, store.ErrNoMailbox) {
		t.Errorf("creating at the top of another's account: %v", err)
	}
}

// Flags are set as far as the rights reach.
func TestFlagsWithSomeRights(t *testing.T) {
	s, ann := open(t)
	bob := newAccount(t, s, "bob")
	inbox := box(ann, "INBOX")
	setACL(t, s, ann, inbox, "bob@company.test lrsi")
	all := store.FlagSet{System: seen | flagged | deleted, Keywords: []string{"k"}}
	appendTo(t, s, bob, inbox, mail("x"), all)
	v := openView(t, s, bob, inbox)
	equal(t, "appended", show(v), "1[S]")
	if _, _, err := v.SetFlags(ctx, span(1, 1), store.FlagsReplace, store.FlagSet{System: flagged}, 0); err != nil {
		t.Fatal(err)
	}
	equal(t, "replaced", show(v), "1")
	own := box(bob, "INBOX")
	appendTo(t, s, bob, own, mail("mine"), all)
	if _, err := openView(t, s, bob, own).Copy(ctx, span(1, 1), inbox); err != nil {
		t.Fatal(err)
	}
	refresh(t, v, false)
	equal(t, "copied", show(v), "1 2[S]")
	equal(t, "keywords", len(v.Keywords()), 0)
}
