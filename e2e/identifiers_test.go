package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestIdentifiers grants rights to each kind of identifier of an access control
// list, and has everybody try the mailbox over POP and over IMAP.
func TestIdentifiers(t *testing.T) {
	t.Parallel()
	s := newServer(t, "log.level = 2\nsecurity.per_address = 0\nsecurity.cleartext_login = \"always\"\n", "boss", "ann", "bob")
	s.run("domain", "add", "club.test")
	s.runWith(password+"\n", "account", "add", "dora@club.test", "--password-stdin")
	s.run("group", "add", "crew", "bob", "dora@club.test")
	s.run("group", "add", "all-crews@club.test", "crew@"+domain)
	s.deliver("boss", 1)
	people := map[string]*sortConn{}
	for _, name := range []string{"boss", "ann", "bob", "dora@club.test"} {
		people[name] = signInLines(t, s, name)
	}
	owner := people["boss"]
	for _, id := range []string{"owner", "-owner"} { // who always has all rights
		if _, err := owner.do("SETACL INBOX " + id + " lr"); err == nil || errors.Is(err, errKilled) {
			t.Errorf("SETACL for %s: %v", id, err)
		}
	}
	for _, c := range []struct {
		grants string // identifiers that get lr, one after the other
		opens  string // who opens the mailbox beside its owner
	}{
		{"", ""},
		{"ann", "ann"},
		{"ANN", "ann"},
		{"ann@" + domain, "ann"},
		{"dora@club.test", "dora"},
		{"#crew", "bob dora"},
		{"#crew@" + domain, "bob dora"},
		{"#all-crews@club.test", "bob dora"},
		{"anyone@", "ann bob"},
		{"anyone@" + domain, "ann bob"},
		{"anyone@club.test", "dora"},
		{"anyone", "ann bob dora"},
		{"anyone -bob", "ann dora"},
		{"anyone -#crew", "ann"},
		{"anyone -anyone@club.test", "ann bob"},
		{"ann #crew -dora@club.test", "ann bob"},
		{"ann -anyone", ""},
	} {
		ids := strings.Fields(c.grants)
		for _, id := range ids {
			mustDo(t, owner, "SETACL INBOX %q lr", id)
		}
		for name, conn := range people {
			short, _, _ := strings.Cut(name, "@")
			want := name == "boss" || strings.Contains(c.opens, short)
			if got := selects(t, conn, "~boss@"+domain+"/INBOX"); got != want {
				t.Errorf("with %q %s opens it by IMAP: %v", c.grants, name, got)
			}
			if got := opensByPOP(t, s, name); got != want {
				t.Errorf("with %q %s opens it by POP: %v", c.grants, name, got)
			}
		}
		for _, id := range ids {
			mustDo(t, owner, "DELETEACL INBOX %q", id)
		}
	}
}

// TestForeignSubscriptions subscribes to mailboxes of others, under their names
// and where they cannot be seen.
func TestForeignSubscriptions(t *testing.T) {
	t.Parallel()
	s := newServer(t, "security.cleartext_login = \"always\"\n", "boss", "ann")
	boss, ann := signInLines(t, s, "boss"), signInLines(t, s, "ann")
	mustDo(t, boss, "CREATE lists")
	mustDo(t, boss, "SETACL lists ann lr")
	mustDo(t, ann, "SUBSCRIBE ~boss/lists")
	for command, want := range map[string]bool{
		`LSUB "" "*"`:              true,
		`LSUB "" "~boss/*"`:        true,
		`LIST (SUBSCRIBED) "" "*"`: true,
		`LIST "" "*"`:              false, // others' mailboxes are listed where they are asked for
	} {
		lines := mustDo(t, ann, "%s", command)
		if got := strings.Contains(strings.Join(lines, "\n"), "~boss/lists"); got != want {
			t.Errorf("%s answers %q", command, lines)
		}
	}
	mustDo(t, boss, "DELETEACL lists ann")
	if selects(t, ann, "~boss/lists") {
		t.Error("a subscription opens a mailbox without rights")
	}
	if lines := mustDo(t, ann, `LSUB "" "*"`); !strings.Contains(strings.Join(lines, "\n"), "~boss/lists") {
		t.Errorf("the subscription went with the rights: %q", lines)
	}
	mustDo(t, ann, "UNSUBSCRIBE ~boss/lists")
	if lines := mustDo(t, ann, `LSUB "" "*"`); strings.Contains(strings.Join(lines, "\n"), "boss") {
		t.Errorf("still subscribed: %q", lines)
	}
}

// signInLines opens an IMAP session; a name without a domain is one of the Main
// Domain.
func signInLines(t *testing.T, s *server, name string) *sortConn {
	t.Helper()
	l, err := dialLines(s.imap)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if _, err := l.line(); err != nil {
		t.Fatal(err)
	}
	c := &sortConn{lineConn: l}
	mustDo(t, c, "LOGIN %s %q", name, password)
	return c
}

// mustDo does an IMAP command that has to succeed.
func mustDo(t *testing.T, c *sortConn, format string, args ...any) []string {
	t.Helper()
	lines, err := c.do(fmt.Sprintf(format, args...))
	if err != nil {
		t.Fatalf(format+": %v", append(args, err)...)
	}
	return lines
}

// selects tells whether a session can open a mailbox.
func selects(t *testing.T, c *sortConn, mailbox string) bool {
	t.Helper()
	_, err := c.do("SELECT " + mailbox)
	if errors.Is(err, errKilled) {
		t.Fatal("the connection ended")
	}
	if err == nil {
		mustDo(t, c, "UNSELECT")
	}
	return err == nil
}

// opensByPOP tells whether somebody can sign in to the boss's INBOX by POP.
func opensByPOP(t *testing.T, s *server, name string) bool {
	t.Helper()
	c := dialText(t, s.pop)
	c.want("+OK")
	c.send("USER ~boss@%s/INBOX#%s", domain, name)
	c.want("+OK")
	c.send("PASS %s", password)
	ok := strings.HasPrefix(c.line(), "+OK")
	c.send("QUIT")
	c.want("+OK")
	return ok
}
