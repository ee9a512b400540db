package oauth

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestIntrospection(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	told := goodClaims().with("active", true).with("iss", nil)
	o := Options{
		Introspection: i.server.URL + "/introspect", ClientID: "mail server", ClientSecret: "a+b", Audience: "mail",
		Issuer: "https://issuer.test", Timeout: 30 * time.Second, Now: noon,
	}
	c := mustNew(t, o)
	i.says(func(w http.ResponseWriter, r *http.Request) {
		name, secret, _ := r.BasicAuth()
		if r.Method != "POST" || r.URL.Path != "/introspect" || r.FormValue("token") != "tok/en+1" || name != "mail+server" || secret != "a%2Bb" {
			t.Errorf("%s %s: %s:%s", r.Method, r.URL, name, secret)
		}
		sendJSON(w, told.json(t))
	})
	if got := check(c, "tok/en+1"); got != "jsmith@company.test" {
		t.Error(got)
	}
	for _, r := range []struct {
		told members
		want string
	}{
		{told.with("iss", "https://issuer.test"), "jsmith@company.test"},
		{told.with("aud", "mail"), "jsmith@company.test"},
		{members{"active": false}, "the issuer says that it is not active"},
		{members{}, "the issuer says that it is not active"},
		{told.with("active", "true"), "unavailable: "},
		{told.with("iss", "https://elsewhere.test"), "it is from another issuer"},
		{told.with("aud", nil), "it is for another audience"},
		{told.with("exp", noon().Add(-time.Hour).Unix()), "it expired at"},
		{told.with("email", ""), `its "email" is not an address`},
	} {
		told = r.told
		if got := check(c, "tok/en+1"); !strings.HasPrefix(got, r.want) {
			t.Errorf("%v: %q, want %q", r.told, got, r.want)
		}
	}
}

// Whatever is wrong with the issuer's server is no fault of the client, and no
// error tells the token or the secret.
func TestIntrospectionFails(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	c := mustNew(t, Options{
		Introspection: i.server.URL, ClientID: "mail", ClientSecret: "geheim", Timeout: 30 * time.Second, Now: noon,
	})
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"refuses us":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"another form": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"no JSON":      func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, []byte("{")) },
		"null":         func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, []byte("null")) },
		"too long": func(w http.ResponseWriter, _ *http.Request) {
			sendJSON(w, []byte(`{"active":true,"email":"a@b.test","x":"`+strings.Repeat("x", maxAnswer)+`"}`))
		},
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"hangs up": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
		},
	} {
		i.says(answer)
		got := check(c, "t0ken")
		if !strings.HasPrefix(got, "unavailable: ") || strings.Contains(got, "t0ken") || strings.Contains(got, "geheim") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A server that does not answer is not waited for.
func TestIntrospectionTimesOut(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	c := mustNew(t, Options{Introspection: i.server.URL, Timeout: 50 * time.Millisecond, Now: noon})
	gone := make(chan struct{})
	defer close(gone)
	i.says(func(http.ResponseWriter, *http.Request) { <-gone })
	if got := check(c, "t0ken"); !strings.HasPrefix(got, "unavailable: ") {
		t.Error(got)
	}
}

func TestIntrospectionIsRemembered(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	now := noon()
	c := mustNew(t, Options{
		Introspection: i.server.URL, Timeout: 30 * time.Second, Remember: time.Minute,
		Now: func() time.Time { return now },
	})
	told := members{"active": true, "email": "jsmith@company.test", "exp": noon().Add(90 * time.Second).Unix()}
	i.says(func(w http.ResponseWriter, r *http.Request) {
		sendJSON(w, told.with("active", r.FormValue("token") == "good").json(t))
	})
	expect := func(what, token string, good bool, asked int64) {
		t.Helper()
		if got := check(c, token); (got == "jsmith@company.test") != good {
			t.Errorf("%s: %s", what, got)
		}
		if n := i.answers.Load(); n != asked {
			t.Errorf("%s: asked %d times, want %d", what, n, asked)
		}
	}
	expect("first", "good", true, 1)
	expect("again", "good", true, 1)
	expect("another", "bad", false, 2)
	expect("that again", "bad", false, 3)
	now = now.Add(time.Minute)
	expect("a minute later", "good", true, 4)
	now = now.Add(30 * time.Second)
	expect("expired meanwhile", "good", true, 5) // within the leeway, but asked again
}

func TestRememberedIsBounded(t *testing.T) {
	t.Parallel()
	r := newRemembered(noon)
	for n := range maxRemembered + 10 {
		r.put(fmt.Sprint(n), "jsmith@company.test", noon().Add(time.Minute))
	}
	if n := len(r.by); n > maxRemembered {
		t.Errorf("%d are remembered", n)
	}
	if _, ok := r.get(fmt.Sprint(maxRemembered + 9)); !ok {
		t.Error("the last one is forgotten")
	}
}
