package main

import (
	"slices"
	"strings"
	"testing"
)

// TestPOPPolicy has CAPA tell of the strictest policy before sign-in and of the
// account's own after it, and a change count for the next session.
func TestPOPPolicy(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "log.level = 1\npop.expire_days = 90\n")
	mustRun(t, dir, "", "domain", "add", "company.test")
	for _, name := range []string{"ann", "bob"} {
		mustRun(t, dir, "tulip\n", "account", "add", name, "--password-stdin")
	}
	r := startServer(t, dir)
	mustRun(t, dir, "", "domain", "set", "company.test", "pop_expire=30")
	mustRun(t, dir, "", "account", "set", "bob", "pop_expire=never", "pop_login_delay=10m")
	mustRun(t, dir, "", "account", "set", "ann", "pop_expire=45")

	want := func(c *peer, lines ...string) {
		t.Helper()
		c.say("CAPA")
		c.expect("+OK")
		var got []string
		for line := c.line(); line != "" && line != ".\r\n"; line = c.line() {
			got = append(got, strings.TrimSpace(line))
		}
		for _, line := range lines {
			if !slices.Contains(got, line) {
				t.Errorf("CAPA is %q, want %q", got, line)
			}
		}
	}
	signIn := func(name, answer string) *peer {
		t.Helper()
		c := r.dial("POP", "+OK")
		c.say("USER " + name)
		c.say("PASS tulip")
		c.expect("+OK")
		c.expect(answer)
		return c
	}
	want(r.dial("POP", "+OK"), "EXPIRE 30 USER", "LOGIN-DELAY 600 USER")
	want(signIn("ann", "+OK"), "EXPIRE 45")
	want(signIn("bob", "+OK"), "EXPIRE NEVER", "LOGIN-DELAY 600")
	signIn("bob", "-ERR [LOGIN-DELAY]")
	r.logged("login('bob') refused: LOGIN-DELAY")

	mustRun(t, dir, "", "account", "set", "bob", "pop_login_delay=default", "pop_expire=default")
	want(signIn("bob", "+OK"), "EXPIRE 30")
	mustRun(t, dir, "", "domain", "set", "company.test", "pop_expire=default")
	want(signIn("bob", "+OK"), "EXPIRE 90")
	want(r.dial("POP", "+OK"), "EXPIRE 45 USER")
	mustRun(t, dir, "", "account", "remove", "ann")
	want(r.dial("POP", "+OK"), "EXPIRE 90 USER")
}
