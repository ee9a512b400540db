package main

import (
	"encoding/base64"
	"strings"
	"testing"
)

// TestRefusedSignInsCostTheSame counts the passwords that the server hashes for one
// refused sign-in, over each protocol and in each way that carries a password: it
// is one, whether there is such an account or not, and whatever is the matter with it.
func TestRefusedSignInsCostTheSame(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "security.cleartext_login = \"always\"\n")
	r := startServer(t, dir)
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "secret\n", "account", "add", "ann", "--password-stdin")
	mustRun(t, dir, "secret\n", "account", "add", "locked", "--password-stdin")
	mustRun(t, dir, "", "account", "set", "locked", "locked=yes")
	mustRun(t, dir, "", "account", "add", "open") // has no password
	names := []string{
		"ann", "locked", "open", "nobody", "nobody@elsewhere.test", "~ann#nobody",
	}
	plain := func(name string) string {
		return base64.StdEncoding.EncodeToString([]byte("\x00" + name + "\x00wrong"))
	}
	text := base64.StdEncoding.EncodeToString
	for _, way := range []struct {
		name, module, greeting string
		lines                  func(name string) []string
		refusal                string
	}{
		{"POP PASS", "POP", "+OK", func(name string) []string { return []string{"USER " + name, "PASS wrong"} }, "-ERR"},
		{"POP AUTH PLAIN", "POP", "+OK", func(name string) []string { return []string{"AUTH PLAIN " + plain(name)} }, "-ERR"},
		{"IMAP LOGIN", "IMAP", "* OK", func(name string) []string { return []string{`a LOGIN "` + name + `" wrong`} }, "a NO"},
		{"IMAP AUTHENTICATE PLAIN", "IMAP", "* OK", func(name string) []string { return []string{"a AUTHENTICATE PLAIN " + plain(name)} }, "a NO"},
		{"SMTP AUTH PLAIN", "submission", "220 ", func(name string) []string { return []string{"EHLO x.test", "AUTH PLAIN " + plain(name)} }, "535"},
		{"SMTP AUTH LOGIN", "submission", "220 ", func(name string) []string {
			return []string{"EHLO x.test", "AUTH LOGIN", text([]byte(name)), text([]byte("wrong"))}
		}, "535"},
	} {
		for _, name := range names {
			before := r.auth.Hashed()
			p := r.dial(way.module, way.greeting)
			var answer string
			for _, line := range way.lines(name) {
				p.say(line)
				for answer = p.line(); len(answer) > 3 && answer[3] == '-' && way.module == "submission"; {
					answer = p.line()
				}
			}
			p.Close()
			if n := r.auth.Hashed() - before; n != 1 || !strings.HasPrefix(answer, way.refusal) {
				t.Errorf("%s as %q: %d passwords hashed, want 1; answered %q", way.name, name, n, answer)
			}
		}
	}
}
