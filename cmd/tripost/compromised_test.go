package main

import (
	"encoding/base64"
	"strings"
	"testing"

	"tripost/admin"
)

// Sessions of a compromised account end in all protocols, those of others go on,
// and nobody signs in to it until it is given back.
func TestCompromisedEndsSessions(t *testing.T) {
	t.Parallel()
	r := startServer(t, newSite(t, ""))
	_, err := r.directory.AddDomain(t.Context(), "company.test")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ann", "bob"} {
		if _, err := r.directory.AddAccount(t.Context(), name+"@company.test", "tulip fields"); err != nil {
			t.Fatal(err)
		}
	}
	sessions := func(name string) map[string]*peer {
		pop := r.dial("POP", "+OK")
		pop.say("USER " + name + "@company.test")
		pop.expect("+OK")
		pop.say("PASS tulip fields")
		pop.expect("+OK")
		imap := r.dial("IMAP", "* OK")
		imap.say("a LOGIN " + name + "@company.test \"tulip fields\"")
		upTo(imap, "a OK")
		smtp := r.dial("submission", "220")
		smtp.say("EHLO pc")
		upTo(smtp, "250 ")
		smtp.say("AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+name+"@company.test\x00tulip fields")))
		smtp.expect("235")
		return map[string]*peer{"POP": pop, "IMAP": imap, "submission": smtp}
	}
	ann, bob := sessions("ann"), sessions("bob")
	info, err := r.api.Compromised(t.Context(), admin.NameRequest{Name: "ann@company.test"})
	if err != nil || info.Sessions < 2 || info.Sessions > 3 { // IMAP may have noticed by itself
		t.Fatalf("%+v (%v), want 3 sessions ended", info, err)
	}
	for name, p := range ann {
		if name == "IMAP" { // which may still say why
			for line := p.line(); line != ""; line = p.line() {
				if !strings.HasPrefix(line, "* BYE ") {
					t.Errorf("IMAP says %q", line)
				}
			}
			continue
		}
		p.expectEnd()
	}
	bob["POP"].say("NOOP")
	bob["POP"].expect("+OK")
	bob["IMAP"].say("b NOOP")
	upTo(bob["IMAP"], "b OK")
	bob["submission"].say("NOOP")
	bob["submission"].expect("250")

	again := r.dial("POP", "+OK")
	again.say("USER ann@company.test")
	again.expect("+OK")
	again.say("PASS tulip fields")
	again.expect("-ERR")
	if _, err := r.api.Release(t.Context(), admin.NameRequest{Name: "ann@company.test"}); err != nil {
		t.Fatal(err)
	}
	signIn := func() {
		imap := r.dial("IMAP", "* OK")
		imap.say("a LOGIN ann@company.test \"tulip fields\"")
		upTo(imap, "a OK")
	}
	signIn()

	// Who takes the lock away by hand gives the account back too.
	if _, err := r.api.Compromised(t.Context(), admin.NameRequest{Name: "ann@company.test"}); err != nil {
		t.Fatal(err)
	}
	unlock := admin.SettingsRequest{Name: "ann@company.test", Settings: map[string]string{"locked": "off"}}
	if _, err := r.api.SetAccount(t.Context(), unlock); err != nil {
		t.Fatal(err)
	}
	signIn()
}

// upTo reads lines up to one with a beginning.
func upTo(p *peer, want string) {
	p.t.Helper()
	for line := p.line(); !strings.HasPrefix(line, want); line = p.line() {
		if line == "" {
			p.t.Fatalf("the connection ended before %q", want)
		}
	}
}
