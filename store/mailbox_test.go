package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/storetest"
)

// TestHierarchy does what each line says and compares the names.
// A name with '/' behind it is directory-only.
func TestHierarchy(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"a mailbox and its children", `
			create a        : INBOX a
			create a/b      : INBOX a a/b
			create a b      : INBOX a a/b a b
			delete a/b      : INBOX a a b`},
		{"missing levels are made", `
			create x/y/z    : INBOX x/ x/y/ x/y/z
			create x        : INBOX x x/y/ x/y/z
			delete x/y/z    : INBOX x x/y/
			delete x/y      : INBOX x`},
		{"a trailing slash makes a directory", `
			create ABC/     : INBOX ABC/
			create ABC/     ! mailbox already exists
			create ABC      : INBOX ABC
			create ABC      ! mailbox already exists
			create ABC/     ! mailbox already exists`},
		{"children outlive their parent", `
			create a        : INBOX a
			create a/b/c    : INBOX a a/b/ a/b/c
			delete a        : INBOX a/ a/b/ a/b/c
			delete a        ! the name has children
			delete a/b      ! the name has children
			delete a/b/c    : INBOX a/ a/b/
			delete a/b      : INBOX`},
		{"a directory made on purpose stays", `
			create a/       : INBOX a/
			create a/b      : INBOX a/ a/b
			delete a/b      : INBOX a/
			delete a        : INBOX`},
		{"a remainder that is created again stays", `
			create a/b      : INBOX a/ a/b
			create a        : INBOX a a/b
			delete a        : INBOX a/ a/b
			create a        : INBOX a a/b
			delete a/b      : INBOX a`},
		{"INBOX in any case", `
			create inbox    ! mailbox already exists
			create iNbOx/x  : INBOX INBOX/x
			delete Inbox    ! INBOX cannot be removed
			rename INBOX/x inbox/Y : INBOX INBOX/Y
			create Inboxes  : INBOX INBOX/Y Inboxes
			create x/inbox  : INBOX INBOX/Y Inboxes x/ x/inbox`},
		{"other names keep their case", `
			create Work     : INBOX Work
			create work     : INBOX Work work
			delete WORK     ! no such mailbox`},
		{"rename takes the children along", `
			create a/b/c    : INBOX a/ a/b/ a/b/c
			rename a x/y    : INBOX x/ x/y/ x/y/b/ x/y/b/c
			rename x/y/b z  : INBOX x/ x/y/ z/ z/c
			rename z z/c    ! not a valid mailbox name
			rename z z      ! mailbox already exists
			rename z x      ! mailbox already exists
			rename no y     ! no such mailbox
			rename x/y INBOX ! mailbox already exists`},
		{"rename within the parent, and similar names", `
			create a        : INBOX a
			create ab       : INBOX a ab
			create a/b      : INBOX a a/b ab
			rename a ac     : INBOX ab ac ac/b
			rename ac/b ac/c : INBOX ab ac ac/c`},
		{"rename out of a remainder", `
			create a        : INBOX a
			create a/b      : INBOX a a/b
			delete a        : INBOX a/ a/b
			rename a/b a/c  : INBOX a/ a/c
			rename a/c c    : INBOX c`},
		{"rename INBOX leaves its children and a new one", `
			create INBOX/x  : INBOX INBOX/x
			rename INBOX old/2025 : INBOX INBOX/x old/ old/2025
			rename INBOX INBOX/2026 : INBOX INBOX/2026 INBOX/x old/ old/2025`},
		{"bad names", `
			create a//b     ! not a valid mailbox name
			create /a       ! not a valid mailbox name
			create a//      ! not a valid mailbox name
			create ~bob/x   ! not a valid mailbox name
			delete a//b     ! no such mailbox`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, ann := open(t)
			for line := range strings.Lines(c.script) {
				if line = strings.TrimSpace(line); line != "" {
					hierarchyStep(t, s, ann, line)
				}
			}
		})
	}
}

func hierarchyStep(t *testing.T, s *store.Store, ann store.Identity, line string) {
	t.Helper()
	at := strings.IndexAny(line, ":!")
	verb, arg, _ := strings.Cut(strings.TrimSpace(line[:at]), " ")
	want := strings.TrimSpace(line[at+1:])
	var err error
	switch arg = strings.TrimSpace(arg); verb {
	case "create":
		err = s.Create(ctx, ann, box(ann, arg), store.CreateOptions{})
	case "delete":
		err = s.Delete(ctx, ann, box(ann, arg))
	case "rename":
		from, to, _ := strings.Cut(arg, " ")
		err = s.Rename(ctx, ann, box(ann, from), to)
	}
	if line[at] == '!' {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
		return
	}
	if err != nil {
		t.Errorf("%s: %v", line, err)
	}
	equal(t, line, names(t, s, ann, ann.Account), want)
}

func TestBadNames(t *testing.T) {
	s, ann := open(t)
	for what, name := range map[string]string{
		"empty":            "",
		"slash":            "/",
		"not UTF-8":        "a\xff",
		"control":          "a\x07",
		"newline":          "a\nb",
		"zero":             "a\x00b",
		"delete":           "a\x7f",
		"C1 control":       "a\u0085",
		"line separator":   "a\u2028",
		"another's":        "~bob",
		"empty level":      "a//b",
		"long level":       strings.Repeat("x", 256),
		"long name":        strings.Repeat("0123456789/", 94) + "x",
		"deep":             strings.Repeat("a/", 64) + "a",
		"long by the rune": strings.Repeat("é", 128),
	} {
		if err := s.Create(ctx, ann, box(ann, name), store.CreateOptions{}); !errors.Is(err, store.ErrBadName) {
			t.Errorf("%s: creating %.20q: %v", what, name, err)
		}
		if err := s.Rename(ctx, ann, box(ann, "INBOX"), name); !errors.Is(err, store.ErrBadName) {
			t.Errorf("%s: renaming to %.20q: %v", what, name, err)
		}
		if _, _, err := s.Mailbox(ctx, ann, box(ann, name)); !errors.Is(err, store.ErrNoMailbox) {
			t.Errorf("%s: looking up %.20q: %v", what, name, err)
		}
	}
	for _, name := range []string{"Ä", "日本語/メール", "a b", "a*%b", strings.Repeat("x", 255), "#x", "&", strings.Repeat("a/", 63) + "a"} {
		if err := s.Create(ctx, ann, box(ann, name), store.CreateOptions{}); err != nil {
			t.Errorf("creating %.20q: %v", name, err)
		}
	}
	if err := s.Create(ctx, ann, box(ann, "s"), store.CreateOptions{SpecialUse: "Sent"}); !errors.Is(err, store.ErrBadName) {
		t.Errorf("special use without a backslash: %v", err)
	}
}

func TestRenameKeepsUIDs(t *testing.T) {
	s, ann := open(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	inbox := box(ann, "INBOX")
	for range 3 {
		appendTo(t, s, ann, inbox, mail("x"), store.FlagSet{})
	}
	before, _, err := s.Mailbox(ctx, ann, inbox)
	must(err)
	v := openView(t, s, ann, inbox)
	must(s.Rename(ctx, ann, inbox, "old"))
	old, st, err := s.Mailbox(ctx, ann, box(ann, "old"))
	must(err)
	if old.ID != before.ID || old.UIDValidity != before.UIDValidity || st.Exists != 3 || st.UIDNext != 4 {
		t.Errorf("renamed INBOX: %+v %+v, was %+v", old, st, before)
	}
	now, st, err := s.Mailbox(ctx, ann, inbox)
	must(err)
	if now.ID == before.ID || now.UIDValidity <= before.UIDValidity || st.Exists != 0 || st.UIDNext != 1 {
		t.Errorf("new INBOX: %+v %+v", now, st)
	}
	must(s.Rename(ctx, ann, box(ann, "old"), "older/still"))
	if _, err := v.Expunge(ctx, uids(2), true); err != nil {
		t.Errorf("expunging in a renamed mailbox: %v", err)
	}
	equal(t, "the session's messages", func() string { refresh(t, v, false); return show(v) }(), "1 3")
	equal(t, "the session's name", v.Mailbox().Name, "older/still")
}

// A name that is made again, however quickly, must not look like the old one.
func TestUIDValidityIsNeverReused(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := storetest.Open(t, t.TempDir(), store.Options{Now: func() time.Time { return now }})
	ann := newAccount(t, s, "ann")
	ref := box(ann, "a")
	known := map[uint32]bool{}
	ids := map[store.MailboxID]bool{}
	for n := range 20 {
		if n == 10 {
			now = now.Add(-time.Hour) // a clock set back
		}
		if err := s.Create(ctx, ann, ref, store.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		m, st, err := s.Mailbox(ctx, ann, ref)
		if err != nil || m.UIDValidity == 0 || m.UIDValidity != st.UIDValidity {
			t.Fatal(m, st, err)
		}
		if known[m.UIDValidity] || ids[m.ID] {
			t.Errorf("mailbox %d with UIDVALIDITY %d was there before", m.ID, m.UIDValidity)
		}
		known[m.UIDValidity], ids[m.ID] = true, true
		if err := s.Delete(ctx, ann, ref); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMailboxLimit(t *testing.T) {
	s := storetest.Open(t, t.TempDir(), store.Options{MaxMailboxes: 4})
	ann := newAccount(t, s, "ann")
	create := func(name string) error { return s.Create(ctx, ann, box(ann, name), store.CreateOptions{}) }
	if err := errors.Join(create("a"), create("b")); err != nil {
		t.Fatal(err)
	}
	if err := create("c/d"); !errors.Is(err, store.ErrTooManyMailboxes) {
		t.Errorf("two more than one: %v", err)
	}
	equal(t, "names", names(t, s, ann, ann.Account), "INBOX a b")
	if err := create("c"); err != nil {
		t.Error(err)
	}
	if err := s.Rename(ctx, ann, box(ann, "INBOX"), "d"); !errors.Is(err, store.ErrTooManyMailboxes) {
		t.Errorf("renaming INBOX makes one more: %v", err)
	}
	if err := s.Rename(ctx, ann, box(ann, "a"), "e/f"); !errors.Is(err, store.ErrTooManyMailboxes) {
		t.Errorf("renaming to a new level makes one more: %v", err)
	}
	if err := s.Rename(ctx, ann, box(ann, "a"), "b/f"); err != nil {
		t.Errorf("renaming below another: %v", err)
	}
}

func TestSpecialUseAndChildren(t *testing.T) {
	s, ann := open(t)
	if err := s.Create(ctx, ann, box(ann, "Sent"), store.CreateOptions{SpecialUse: `\Sent`}); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(ctx, ann, box(ann, "INBOX/x"), store.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"Sent": `\Sent false`, "INBOX": " true", "INBOX/x": " false"} {
		m, _, err := s.Mailbox(ctx, ann, box(ann, name))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, name, fmt.Sprint(m.SpecialUse, " ", m.Children), want)
	}
	list, err := s.Mailboxes(ctx, ann, ann.Account)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(list, func(a, b store.Mailbox) int { return strings.Compare(a.Name, b.Name) }) ||
		!list[0].Children || list[1].Children {
		t.Errorf("%+v", list)
	}
}

// Children that somebody may not look up are no children to him.
func TestHiddenChildren(t *testing.T) {
	s, ann := open(t)
	bob := newAccount(t, s, "bob")
	for _, name := range []string{"a/b/c", "a/d"} {
		if err := s.Create(ctx, ann, box(ann, name), store.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	setACL(t, s, ann, box(ann, "a"), "anyone l")
	m, _, err := s.Mailbox(ctx, bob, box(ann, "a"))
	if err != nil || m.Children {
		t.Errorf("%+v, %v", m, err)
	}
	setACL(t, s, ann, box(ann, "a/d"), "anyone l")
	if m, _, err = s.Mailbox(ctx, bob, box(ann, "a")); err != nil || !m.Children {
		t.Errorf("%+v, %v", m, err)
	}
	equal(t, "names", names(t, s, bob, ann.Account), "a/ a/d")
	if _, st, err := s.Mailbox(ctx, bob, box(ann, "a/d")); err != nil || st.UIDNext != 0 {
		t.Errorf("state without the right to read: %+v, %v", st, err)
	}
}

func TestSubscriptions(t *testing.T) {
	s, ann := open(t)
	for _, name := range []string{"inbox", "b", "~bob/shared", "b", "gone/long ago"} {
		if err := s.Subscribe(ctx, ann.Account, name, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Subscribe(ctx, ann.Account, "b", false); err != nil {
		t.Fatal(err)
	}
	if err := s.Subscribe(ctx, ann.Account, "never", false); err != nil {
		t.Fatal(err)
	}
	list, err := s.Subscriptions(ctx, ann.Account)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "subscriptions", strings.Join(list, "|"), "INBOX|gone/long ago|~bob/shared")
	if err := s.Subscribe(ctx, 99, "x", true); !errors.Is(err, store.ErrNoAccount) {
		t.Errorf("subscribing for nobody: %v", err)
	}
	if err := s.Subscribe(ctx, ann.Account, strings.Repeat("x", 2000), true); !errors.Is(err, store.ErrBadName) {
		t.Errorf("a long name: %v", err)
	}
}

func TestNotSelectable(t *testing.T) {
	s, ann := open(t)
	dir := box(ann, "dir")
	if err := s.Create(ctx, ann, box(ann, "dir/"), store.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	appendTo(t, s, ann, box(ann, "INBOX"), mail("x"), store.FlagSet{})
	v := openView(t, s, ann, box(ann, "INBOX"))
	_, openErr := s.Open(ctx, ann, dir, true)
	_, appendErr := tryAppend(s, ann, dir, mail("x"), store.FlagSet{})
	_, copyErr := v.Copy(ctx, span(1, 1), dir)
	_, moveErr := v.Move(ctx, span(1, 1), dir)
	for what, err := range map[string]error{"open": openErr, "append": appendErr, "copy": copyErr, "move": moveErr} {
		if !errors.Is(err, store.ErrNotSelectable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if m, st, err := s.Mailbox(ctx, ann, dir); err != nil || m.Selectable || st.UIDNext != 0 {
		t.Errorf("%+v %+v %v", m, st, err)
	}
}
