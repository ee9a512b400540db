package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestTokens signs in to each protocol with bearer tokens that an issuer's
// server knows, and with one that it does not.
func TestTokens(t *testing.T) {
	t.Parallel()
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, secret, _ := r.BasicAuth()
		if name != "mail" || secret != "geheim" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"active":%t,"username":"ann@company.test"}`, r.FormValue("token") == "anns-token")
	}))
	t.Cleanup(issuer.Close)
	s := prepare(t, fmt.Sprintf(`security.oauth.introspection = %q
security.oauth.client_id = "mail"
security.oauth.client_secret_file = "secret"
security.oauth.claim = "username"
security.oauth.time = "2m"
`, issuer.URL))
	write(t, s.dir, "secret", "geheim\n", 0o600)
	s.start()
	t.Cleanup(s.stop)
	s.run("domain", "add", domain)
	for _, name := range []string{"ann", "bob"} {
		s.runWith(password+"\n", "account", "add", address(name), "--password-stdin")
	}

	encode := base64.StdEncoding.EncodeToString
	bearer := func(login, token string) string {
		return encode([]byte("n,a=" + login + ",\x01host=mail.company.test\x01auth=Bearer " + token + "\x01\x01"))
	}
	xoauth2 := func(login, token string) string {
		return encode([]byte("user=" + login + "\x01auth=Bearer " + token + "\x01\x01"))
	}
	protocols := []struct {
		name, addr, greeting  string
		hello                 []string // before: command, last line of the answer
		command               string
		challenge, good, bad  string
		offer, bearer, xoauth string // to ask what is offered, and how each is
	}{
		{"POP", s.pop, "+OK", nil, "AUTH %s %s", "+ ", "+OK", "-ERR [AUTH]", "CAPA", "OAUTHBEARER", "XOAUTH2"},
		{"IMAP", s.imap, "* OK", nil, "a AUTHENTICATE %s %s", "+ ", "a OK", "a NO [AUTHENTICATIONFAILED]", "a CAPABILITY", "AUTH=OAUTHBEARER", "AUTH=XOAUTH2"},
		{"submission", s.submission, "220", []string{"EHLO client.test", "250 "}, "AUTH %s %s", "334 ", "235", "535", "EHLO client.test", "OAUTHBEARER", "XOAUTH2"},
	}
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			begin := func() *textConn {
				c := dialText(t, p.addr)
				c.want(p.greeting)
				if p.hello != nil {
					c.send("%s", p.hello[0])
					c.until(p.hello[1])
				}
				return c
			}
			c := begin()
			c.send("%s", p.offer)
			ends := map[string]string{"POP": ".", "IMAP": "a OK", "submission": "250 "}
			offer := strings.Join(c.until(ends[p.name]), " ")
			for _, mechanism := range []string{p.bearer, p.xoauth} {
				if !strings.Contains(offer, " "+mechanism) {
					t.Errorf("%s is not offered: %s", mechanism, offer)
				}
			}
			c.send(p.command, "XOAUTH2", xoauth2(address("ann"), "anns-token"))
			c.until(p.good)
			c = begin()
			c.send(p.command, "OAUTHBEARER", bearer(address("ann"), "anns-token"))
			c.until(p.good)
			for _, wrong := range []string{bearer(address("ann"), "stolen"), bearer(address("bob"), "anns-token")} {
				c = begin()
				c.send(p.command, "OAUTHBEARER", wrong)
				c.want(p.challenge + encode([]byte(`{"status":"invalid_token"}`)))
				c.send("AQ==")
				c.want(p.bad)
			}
		})
	}
	if log := s.run("log"); strings.Contains(log, "anns-token") || strings.Contains(log, "geheim") {
		t.Error("the System Log tells a secret")
	}
}
