package accounts

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tripost/store"
)

func TestForwarders(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	must(t)(d.AddAccount(ctx, "ann", ""))
	for _, f := range [][3]string{
		{"Sales", "Ann", "sales@company.test to Ann@company.test"},
		{"press@client1.example.", "x", ""},
		{"press@client1.test", "desk", "press@client1.test to desk@client1.test"},
		{"out@company.example", "J.Smith@Elsewhere.test", "out@company.test to J.Smith@Elsewhere.test"},
		{"nested", "x%y.test", "nested@company.test to x%y.test"},
	} {
		got, err := d.SetForwarder(ctx, f[0], f[1], true)
		if shown := got.Address() + " to " + got.Target; err == nil && shown != f[2] || (err == nil) != (f[2] != "") {
			t.Errorf("%s: %s, %v", f[0], shown, err)
		}
	}
	for target, want := range map[string]error{
		"": ErrBadValue, "a b": ErrBadValue, "a\nb": ErrBadValue, "a\xffb": ErrBadValue, "*@x.test": ErrBadValue,
		strings.Repeat("x", 1025): ErrBadValue, "new": ErrBadValue, "NEW@company.test": ErrBadValue,
	} {
		_, err := d.SetForwarder(ctx, "new", target, true)
		wantError(t, err, want)
	}
	_, err := d.SetForwarder(ctx, "ann", "x@y.test", true)
	wantError(t, err, ErrExists)
	_, err = d.SetForwarder(ctx, "ann", "x@y.test", false)
	wantError(t, err, ErrNoForwarder)
	_, err = d.SetForwarder(ctx, "nobody", "x@y.test", false)
	wantError(t, err, ErrNoForwarder)
	must(t)(d.SetForwarder(ctx, "sales", "bob@y.test", false))
	_, err = d.AddAccount(ctx, "sales", "")
	wantError(t, err, ErrExists)
	_, err = d.Lookup(ctx, "sales", "")
	wantError(t, err, ErrNoAccount)
	wantError(t, d.AddAlias(ctx, "other", "sales"), ErrNoAccount)
	wantError(t, d.RemoveAlias(ctx, "sales"), ErrNoAlias)

	all, err := d.Forwarders(ctx, "company.example")
	if err != nil || fmt.Sprint(all) != "[{nested company.test x%y.test} {out company.test J.Smith@Elsewhere.test} {sales company.test bob@y.test}]" {
		t.Errorf("%v, %v", all, err)
	}
	wantError(t, d.RemoveDomain(ctx, "client1.test"), ErrNotEmpty)
	must(t)(nil, d.RemoveForwarder(ctx, "press@client1.test"))
	wantError(t, d.RemoveForwarder(ctx, "press@client1.test"), ErrNoForwarder)
	must(t)(nil, d.RemoveDomain(ctx, "client1.test"))
}

func TestGroups(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	for _, name := range []string{"ann", "bob", "kim@client1.test"} {
		must(t)(d.AddAccount(ctx, name, ""))
	}
	must(t)(nil, d.AddAlias(ctx, "info", "ann"))
	g, err := d.AddGroup(ctx, "Team", []string{"info", "BOB@company.example", "ann", "out@Elsewhere.test", "bob+x"})
	want := "ann@company.test bob+x@company.test bob@company.test out@elsewhere.test"
	if got := strings.Join(g.Members, " "); err != nil || got != want {
		t.Errorf("members %s, %v; want %s", got, err, want)
	}
	for members, want := range map[string]error{
		"nobody": ErrNoAccount, "team": nil, "team@company.test": ErrBadValue, "a b": ErrBadValue, "x@a_b": ErrBadName,
	} {
		_, err := d.SetGroup(ctx, "team", func(g *Group) error { g.Members = []string{members}; return nil })
		if want == nil {
			want = ErrBadValue // a group is not its own member
		}
		wantError(t, err, want)
	}
	_, err = d.SetGroup(ctx, "team", func(g *Group) error { g.Members = slices.Repeat([]string{"ann"}, 2001); return nil })
	wantError(t, err, ErrBadValue)
	_, err = d.SetGroup(ctx, "team", func(g *Group) error { g.Name = "a\nb"; return nil })
	wantError(t, err, ErrBadValue)
	_, err = d.SetGroup(ctx, "team", func(g *Group) error { g.Local = "other"; return nil })
	wantError(t, err, ErrBadValue)
	_, err = d.SetGroup(ctx, "ann", func(*Group) error { return nil })
	wantError(t, err, ErrNoGroup)
	_, err = d.AddGroup(ctx, "ann", nil)
	wantError(t, err, ErrExists)

	// Groups in groups, in a circle too, and in another domain.
	must(t)(d.AddGroup(ctx, "all-of-us@client1.test", []string{"team@company.test", "kim"}))
	must(t)(d.SetGroup(ctx, "team", func(g *Group) error { g.Members = append(g.Members, "all-of-us@client1.test"); return nil }))
	for name, want := range map[string]string{
		"ann":              "#all-of-us@client1.test #team@company.test",
		"kim@client1.test": "#all-of-us@client1.test #team@company.test",
	} {
		acct, err := d.Account(ctx, name)
		must(t)(nil, err)
		id, err := d.Identity(ctx, acct)
		if got := strings.Join(id.Groups, " "); err != nil || got != want {
			t.Errorf("%s is in %s, %v; want %s", name, got, err, want)
		}
	}
	ann, _ := d.Account(ctx, "ann")
	kim, _ := d.Account(ctx, "kim@client1.test")
	team, err := d.Group(ctx, "team")
	must(t)(nil, err)
	for _, c := range []struct {
		acct    *Account
		senders Senders
		want    bool
	}{
		{nil, SendersDefault, true}, {nil, SendersAnyone, true}, {nil, SendersUsers, false}, {nil, SendersMembers, false},
		{&ann, SendersNobody, false}, {&ann, SendersMembers, true}, {&kim, SendersMembers, true},
		{&ann, SendersDomain, true}, {&kim, SendersDomain, false}, {&kim, SendersUsers, true},
		{&Account{ID: 99}, SendersUsers, false},
	} {
		if may, err := d.MaySend(ctx, c.acct, team, c.senders); err != nil || may != c.want {
			t.Errorf("%v as one of %v: %t, %v", c.acct, c.senders, may, err)
		}
	}

	// Who goes leaves.
	must(t)(nil, d.RemoveAccount(ctx, "bob"))
	must(t)(nil, d.RemoveGroup(ctx, "all-of-us@client1.test"))
	team, err = d.Group(ctx, "team")
	want = "ann@company.test bob+x@company.test out@elsewhere.test"
	if got := strings.Join(team.Members, " "); err != nil || got != want {
		t.Errorf("members %s, %v; want %s", got, err, want)
	}
	all, err := d.Groups(ctx, "")
	if err != nil || len(all) != 1 || all[0].Identifier() != "#team@company.test" {
		t.Errorf("%+v, %v", all, err)
	}
	wantError(t, d.RemoveGroup(ctx, "all-of-us@client1.test"), ErrNoGroup)
}

func TestDomainPolicies(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	for value, ok := range map[string]bool{
		"": true, "discard": true, "ann": true, "*%company.test@old.test._via": true, "a*b*": false, "a b": false, "\x00": false,
	} {
		_, err := d.SetDomain(ctx, "company.test", func(d *Domain) error { d.Unknown = value; return nil })
		if (err == nil) != ok {
			t.Errorf("unknown=%q: %v", value, err)
		}
	}
	for s := SendersDefault; s <= lastSenders; s++ {
		if got, err := ParseSenders(" " + strings.ToUpper(s.String())); err != nil || got != s {
			t.Errorf("%v: %v, %v", s, got, err)
		}
	}
	_, err := ParseSenders("all")
	wantError(t, err, ErrBadValue)

	for _, name := range []string{"ann", "bob", "cat", "dan"} {
		must(t)(d.AddAccount(ctx, name, ""))
	}
	must(t)(d.SetAccount(ctx, "bob", func(a *Account) error { a.MailToAll = Set(false); return nil }))
	must(t)(d.SetAccount(ctx, "cat", func(a *Account) error { a.Services = Set(POP); return nil }))
	dom, err := d.Domain(ctx, "")
	must(t)(nil, err)
	must(t)(nil, d.View(ctx, func(n *Names) error {
		list, err := n.Everybody(dom)
		if fmt.Sprint(list) != "[ann@company.test dan@company.test]" {
			t.Errorf("all: %v", list)
		}
		return err
	}))
}

// A quota of the domain is that of its accounts that have none of their own.
func TestQuotaCascade(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	limits := func(name string) string {
		acct, err := d.Account(ctx, name)
		must(t)(nil, err)
		u, err := d.Store().Usage(ctx, acct.ID)
		must(t)(nil, err)
		return fmt.Sprint(u.OctetLimit, u.MessageLimit)
	}
	expect := func(ann, bob, kim string) {
		t.Helper()
		if got, want := []string{limits("ann"), limits("bob"), limits("kim@client1.test")}, []string{ann, bob, kim}; !slices.Equal(got, want) {
			t.Errorf("limits %q, want %q", got, want)
		}
	}
	must(t)(d.AddAccount(ctx, "ann", ""))
	must(t)(d.AddAccount(ctx, "kim@client1.test", ""))
	must(t)(d.SetDomain(ctx, "company.test", func(d *Domain) error { d.MaxOctets, d.MaxMessages = Set[int64](1000), Set[int64](5); return nil }))
	must(t)(d.AddAccount(ctx, "bob", ""))
	expect("1000 5", "1000 5", "0 0")
	must(t)(d.SetAccount(ctx, "bob", func(a *Account) error { a.MaxOctets = Set[int64](0); return nil }))
	expect("1000 5", "0 5", "0 0")
	d.server.MaxMessages = Set[int64](7) // another configuration
	must(t)(nil, d.ApplyQuotas(ctx))
	expect("1000 5", "0 5", "0 7")
	must(t)(d.SetDomain(ctx, "company.test", func(d *Domain) error { d.Policy = Policy{}; return nil }))
	expect("0 7", "0 7", "0 7")
}

func TestRestoreAccount(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openAuthenticator(t).directory
	before, err := d.SetAccount(ctx, "jsmith", func(a *Account) error {
		a.RealName, a.Certificate, a.POPExpire = "J. Smith", strings.Repeat("0f", 32), Set(9)
		return nil
	})
	must(t)(nil, err)
	must(t)(nil, d.AddAlias(ctx, "first", "jsmith"))
	must(t)(nil, d.AddAlias(ctx, "second", "jsmith"))
	must(t)(d.AddGroup(ctx, "team", []string{"jsmith"}))
	must(t)(d.AddGroup(ctx, "gone", []string{"jsmith"}))
	box := store.MailboxRef{Account: before.ID, Name: "lists/info"}
	must(t)(nil, d.Store().Create(ctx, before.Identity(), box, store.CreateOptions{}))
	must(t)(nil, d.Store().SetACL(ctx, before.Identity(), box, store.ACLEntry{ID: "anyone", Rights: store.RightLookup}, store.RightsReplace))
	annotations := []store.MetadataEntry{{Name: "/private/comment", Value: []byte("mine")}, {Name: "/shared/comment", Value: []byte("all's")}}
	must(t)(nil, d.Store().SetMetadata(ctx, before.Identity(), box, annotations))
	before, err = d.SetAccount(ctx, "jsmith", func(a *Account) error { a.MaxOctets = Set[int64](1 << 20); return nil })
	must(t)(nil, err)
	keep(t, d, box, "one")
	keep(t, d, box, "two")
	own := MailboxAlias{Name: "work", Target: "~boss/lists"}
	must(t)(nil, d.AddMailboxAlias(ctx, "jsmith", own))

	must(t)(nil, d.RemoveAccount(ctx, "jsmith"))
	if all, err := d.RemovedAccounts(ctx); err != nil || len(all) != 1 || all[0].Account.Address() != "jsmith@company.test" {
		t.Errorf("%+v, %v", all, err)
	}
	must(t)(d.AddAccount(ctx, "second", ""))
	must(t)(nil, d.RemoveGroup(ctx, "gone"))
	must(t)(d.SetDomain(ctx, "company.test", func(d *Domain) error { d.MaxMessages = Set[int64](5); return nil }))
	_, _, err = d.RestoreAccount(ctx, "second")
	wantError(t, err, ErrExists)
	_, _, err = d.RestoreAccount(ctx, "never")
	wantError(t, err, ErrNoAccount)

	acct, n, err := d.RestoreAccount(ctx, "JSmith@company.example")
	if err != nil || n != 2 || acct != before {
		t.Errorf("%+v, %d messages, %v; was %+v", acct, n, err, before)
	}
	_, st, err := d.Store().Mailbox(ctx, acct.Identity(), box)
	if err != nil || st.Exists != 2 {
		t.Errorf("%+v, %v", st, err)
	}
	acl, err := d.Store().ACL(ctx, acct.Identity(), box)
	if err != nil || len(acl) != 1 || acl[0].ID != "anyone" {
		t.Errorf("%+v, %v", acl, err)
	}
	if back, err := d.Store().Metadata(ctx, acct.Identity(), box); err != nil || !reflect.DeepEqual(back, annotations) {
		t.Errorf("%+v, %v", back, err)
	}
	if u, err := d.Store().Usage(ctx, acct.ID); err != nil || u.OctetLimit != 1<<20 || u.MessageLimit != 5 || u.Messages != 2 {
		t.Errorf("%+v, %v", u, err)
	}
	aliases, err := d.Aliases(ctx, "company.test")
	if err != nil || !slices.ContainsFunc(aliases, func(a Alias) bool { return a.Local == "first" }) {
		t.Errorf("%+v, %v", aliases, err)
	}
	if back, err := d.MailboxAliases(ctx, acct.ID); err != nil || !slices.Equal(back, []MailboxAlias{own}) {
		t.Errorf("%+v, %v", back, err)
	}
	if g, err := d.Group(ctx, "team"); err != nil || !slices.Equal(g.Members, []string{"jsmith@company.test"}) {
		t.Errorf("%+v, %v", g, err)
	}
	pop := fromLoopback()
	pop.Service = POP
	_, err = NewAuthenticator(d, direct{d}, AuthOptions{}).Password(ctx, pop, "PASS", "jsmith", "tulip")
	must(t)(nil, err)
	_, _, err = d.RestoreAccount(ctx, "jsmith")
	wantError(t, err, ErrExists)
}

// keep appends a message.
func keep(t *testing.T, d *Directory, box store.MailboxRef, text string) {
	t.Helper()
	draft, err := d.Store().Draft(t.Context(), 0)
	must(t)(nil, err)
	defer draft.Close()
	fmt.Fprintf(draft, "Subject: %s\r\n\r\n", text)
	must(t)(d.Store().Append(t.Context(), store.System(), box, draft, store.FlagSet{}, d.now()))
}
