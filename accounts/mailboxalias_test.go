package accounts

import (
	"strings"
	"testing"

	"tripost/store"
)

func TestMailboxAliases(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := openDirectory(t)
	must(t)(d.AddAccount(ctx, "ann", ""))
	must(t)(d.AddAccount(ctx, "boss", ""))
	must(t)(d.AddAccount(ctx, "kim@client1.test", ""))
	ann, err := d.Account(ctx, "ann")
	must(t)(nil, err)
	boss, err := d.Account(ctx, "boss")
	must(t)(nil, err)
	kim, err := d.Account(ctx, "kim@client1.test")
	must(t)(nil, err)
	for _, a := range []MailboxAlias{{"work", "~boss/lists"}, {"a/b", "~kim@client1.test/INBOX"}, {"Work", "~ann/x"}} {
		must(t)(nil, d.AddMailboxAlias(ctx, "ann", a))
	}
	for name, want := range map[string]store.MailboxRef{
		"work":     {Account: boss.ID, Name: "lists"},
		"work/go":  {Account: boss.ID, Name: "lists/go"},
		"a/b":      {Account: kim.ID, Name: "INBOX"},
		"a":        {Account: ann.ID, Name: "a"},
		"workshop": {Account: ann.ID, Name: "workshop"},
		"INBOX":    {Account: ann.ID, Name: "INBOX"},
		"":         {Account: ann.ID, Name: ""},
		"/":        {Account: ann.ID, Name: "/"},
	} {
		if got, err := d.Resolve(ctx, ann.Identity(), name); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", name, got, err, want)
		}
	}
	for alias, want := range map[MailboxAlias]error{
		{"work", "~boss/x"}: ErrExists, {"Drafts", "~boss/x"}: ErrExists, {"x", "~nobody/x"}: ErrNoMailbox,
		{"", "~boss/x"}: ErrBadName, {"~x", "~boss/x"}: ErrBadName, {"InBox", "~boss/x"}: ErrBadName, {"x/", "~boss/x"}: ErrBadName,
		{"x", "boss/x"}: ErrBadName, {"x", "~/x"}: ErrBadName, {"x", "~boss"}: ErrBadName, {"x", "~boss/"}: ErrBadName, {"x\n", "~boss/x"}: ErrBadName,
		{strings.Repeat("x", 256), "~boss/x"}: ErrBadName,
	} {
		wantError(t, d.AddMailboxAlias(ctx, "ann", alias), want)
	}
	must(t)(nil, d.RemoveMailboxAlias(ctx, "ann", "work"))
	wantError(t, d.RemoveMailboxAlias(ctx, "ann", "work"), ErrNoAlias)
	must(t)(nil, d.RemoveAccount(ctx, "boss"))
	if all, err := d.MailboxAliases(ctx, ann.ID); err != nil || len(all) != 2 || all[0].Name != "Work" {
		t.Errorf("%+v, %v", all, err)
	}
	must(t)(nil, d.RemoveAccount(ctx, "ann"))
	if all, err := d.MailboxAliases(ctx, ann.ID); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}
