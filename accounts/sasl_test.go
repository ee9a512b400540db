package accounts

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// conversing replays the exchanges of one file. See testdata/plain.txt.
type conversing struct {
	t         *testing.T
	auth      *Authenticator
	at        Attempt
	line      int
	server    sasl.Server
	challenge []byte
	in        *SignedIn
	done      bool
	err       error
}

func TestSASLDialogues(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := conversing{t: t, auth: openWithAll(t), at: fromLoopback()}
			for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
				c.line++
				if line := lines.Text(); line != "" && line[0] != '#' {
					c.play(line)
				}
			}
		})
	}
}

func (c *conversing) play(line string) {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "CERTIFICATE":
		c.at.TLSState = nil
		if rest != "none" {
			c.at.TLSState = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{madeFor(rest)}}
		}
	case "OFFERS":
		if got := strings.Join(c.auth.Mechanisms(c.at), " "); got != rest {
			c.t.Errorf("line %d: offered is %s", c.line, got)
		}
	case "CRAM:":
		name, password, _ := strings.Cut(rest, " ")
		c.play(fmt.Sprintf("C: %s %x", name, digestCRAM(string(c.challenge), password)))
	case "AUTH":
		c.challenge, c.in, c.done = nil, nil, false
		c.server, c.err = c.auth.SASL(c.t.Context(), c.at, rest, func(in *SignedIn) { c.in = in })
	case "C:":
		if c.server == nil {
			c.t.Fatalf("line %d: the exchange did not start: %v", c.line, c.err)
		}
		c.in = nil
		c.challenge, c.done, c.err = c.server.Next(c.response(rest))
	case "S:":
		want, open := strings.CutSuffix(rest, "...")
		got := string(c.challenge)
		if c.err != nil || c.done || c.challenge == nil || got != want && !(open && strings.HasPrefix(got, want)) {
			c.t.Errorf("line %d: challenge is %q (done: %v), %v", c.line, got, c.done, c.err)
		}
	case "OK":
		if c.err != nil || !c.done || c.in == nil {
			c.t.Errorf("line %d: it does not end well: done %v, %+v, %v", c.line, c.done, c.in, c.err)
		} else if got := c.describe(c.in); got != rest {
			c.t.Errorf("line %d: signed in as %q", c.line, got)
		}
	case "NO":
		if want := c.namedError(rest); !errors.Is(c.err, want) || c.done || c.in != nil {
			c.t.Errorf("line %d: error is %v (done: %v), want %v", c.line, c.err, c.done, want)
		}
	default:
		c.t.Fatalf("line %d: %q", c.line, line)
	}
}

func (c *conversing) response(text string) []byte {
	if text == "nothing" {
		return nil
	}
	s, err := strconv.Unquote(`"` + text + `"`)
	if err != nil {
		c.t.Fatalf("line %d: %v", c.line, err)
	}
	return []byte(s)
}

func (c *conversing) describe(in *SignedIn) string {
	mailbox := in.Mailbox.Name
	if in.Mailbox.Account != in.Account.ID {
		owner, err := c.auth.directory.AccountByID(c.t.Context(), in.Mailbox.Account)
		if err != nil {
			c.t.Fatal(err)
		}
		mailbox = owner.Address() + ":" + mailbox
	}
	return in.Identity.Name + " " + mailbox
}

func (c *conversing) namedError(name string) error {
	err, ok := map[string]error{"credentials": ErrCredentials, "malformed": ErrMalformed, "mechanism": ErrMechanism, "unavailable": ErrUnavailable, "locked": ErrLocked}[name]
	if !ok {
		c.t.Fatalf("line %d: no error is called %q", c.line, name)
	}
	return err
}

// scramAs runs a whole exchange with an independent client.
func scramAs(t *testing.T, a *Authenticator, at Attempt, name, password, authzid string) (*SignedIn, error) {
	t.Helper()
	client, err := scram.SHA256.NewClient(name, password, authzid)
	if err != nil {
		t.Fatal(err)
	}
	var in *SignedIn
	server, err := a.SASL(t.Context(), at, "SCRAM-SHA-256", func(got *SignedIn) { in = got })
	if err != nil {
		return nil, err
	}
	conv := client.NewConversation()
	challenge := ""
	for range 5 {
		response, err := conv.Step(challenge)
		if err != nil {
			t.Fatal(err)
		}
		next, done, err := server.Next([]byte(response))
		if err != nil || done {
			if done && !conv.Valid() {
				t.Error("the server has not proved that it knows the password")
			}
			return in, err
		}
		challenge = string(next)
	}
	t.Fatal("the exchange does not end")
	return nil, nil
}

func TestScram(t *testing.T) {
	t.Parallel()
	a := openAuthenticator(t)
	must(t)(a.directory.AddAccount(t.Context(), "muller", "pässword\u00a0\u2168"))
	far := Attempt{Service: POP, Remote: owner}

	in, err := scramAs(t, a, far, "private#JSmith@company.test", "tulip", "")
	if err != nil || in.Identity.Name != "jsmith@company.test" || in.Mailbox.Name != "private" || in.Mechanism != "SCRAM-SHA-256" || in.Login != "private#JSmith@company.test" {
		t.Errorf("%+v, %v", in, err)
	}
	if in, err = scramAs(t, a, far, "muller", "pa\u0308ssword IX", ""); err != nil || in == nil {
		t.Errorf("prepared password: %+v, %v", in, err)
	}
	if in, err = scramAs(t, a, far, "jsmith", "tulip", "info"); err != nil || in == nil {
		t.Errorf("own alias as authorization identity: %+v, %v", in, err)
	}
	for _, tt := range []struct {
		name, password, authzid string
		want                    error
	}{
		{"jsmith", "Tulip", "", ErrCredentials},
		{"jsmith", "tulip", "boss", ErrCredentials},
		{"nobody", "tulip", "", ErrCredentials},
		{"empty", "tulip", "", ErrCredentials},
		{"#", "tulip", "", ErrCredentials},
		{"locked", "tulip", "", ErrLocked},
		{"nopop", "tulip", "", ErrService},
		{"~nobody/x#jsmith", "tulip", "", ErrNoMailbox},
	} {
		in, err := scramAs(t, a, Attempt{Service: POP, Remote: owner, TLS: true}, tt.name, tt.password, tt.authzid)
		if !errors.Is(err, tt.want) || in != nil {
			t.Errorf("%+v: %+v, %v", tt, in, err)
		}
		a.throttle.succeeded(owner, "") // the next one is another story
		a.throttle.addresses, a.throttle.accounts = newCulprits(), newCulprits()
	}
}

// A name that does not exist has a salt of its own, in every spelling and ever
// again the same, as one that exists has.
func TestScramHidesWhoExists(t *testing.T) {
	t.Parallel()
	a := openAuthenticator(t)
	salt := func(name string) string {
		server, err := a.SASL(t.Context(), fromLoopback(), "SCRAM-SHA-256", nil)
		if err != nil {
			t.Fatal(err)
		}
		challenge, _, err := server.Next([]byte("n,,n=" + name + ",r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		part := strings.Split(string(challenge), ",")
		if len(part) != 3 {
			t.Fatalf("challenge %q", challenge)
		}
		return part[1] + part[2]
	}
	for _, name := range []string{"jsmith", "nobody", "empty"} {
		first := salt(name)
		if len(first) != len(salt("jsmith")) {
			t.Errorf("the salt of %q is %s", name, first)
		}
		a = NewAuthenticator(a.directory, a.router, AuthOptions{}) // as after a restart
		if salt(name) != first {
			t.Errorf("the salt of %q changes", name)
		}
	}
	if salt("nobody") == salt("somebody") {
		t.Error("unknown names share a salt")
	}
}

func TestResponsesAreBounded(t *testing.T) {
	t.Parallel()
	a := openWithAll(t)
	at := fromLoopback()
	at.TLSState = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{madeFor("jsmith")}}
	for _, mechanism := range a.Mechanisms(at) {
		server, err := a.SASL(t.Context(), at, mechanism, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = server.Next(make([]byte, maxToken+1))
		wantError(t, err, ErrMalformed)
		_, _, err = server.Next([]byte("jsmith"))
		wantError(t, err, ErrMalformed)
	}
}

func FuzzSASL(f *testing.F) {
	f.Add("PLAIN", []byte("\x00jsmith\x00tulip"), []byte(""), []byte(""))
	f.Add("LOGIN", []byte("jsmith"), []byte("tulip"), []byte("x"))
	f.Add("SCRAM-SHA-256", []byte("n,,n=jsmith,r=abc"), []byte("c=biws,r=abc,p=AA=="), []byte(""))
	f.Add("SCRAM-SHA-256", []byte("y,a=jsmith,n=nobody,r="), []byte("c=,r=,p="), []byte("x"))
	f.Add("OAUTHBEARER", []byte("n,a=jsmith,\x01auth=Bearer of-jsmith\x01\x01"), []byte("\x01"), []byte(""))
	f.Add("OAUTHBEARER", []byte("n,,\x01auth=Bearer stale\x01\x01"), []byte(""), []byte("\x01"))
	f.Add("XOAUTH2", []byte("user=jsmith\x01auth=Bearer stale\x01\x01"), []byte(""), []byte(""))
	f.Add("EXTERNAL", []byte("jsmith"), []byte(""), []byte(""))
	f.Add("CRAM-MD5", []byte("old b913a602c7eda7a495b4e6e7334d3890"), []byte("old b913a602c7eda7a495b4e6e7334d3890"), []byte(""))
	a := openWithAll(f)
	at := fromLoopback()
	at.TLSState = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{madeFor("jsmith")}}
	f.Fuzz(func(t *testing.T, mechanism string, one, two, three []byte) {
		server, err := a.SASL(t.Context(), at, mechanism, func(*SignedIn) {})
		if err != nil {
			return
		}
		if mechanism == mechCRAM { // it begins without a response
			if _, _, err := server.Next(nil); err != nil {
				t.Fatal(err)
			}
		}
		over := false
		for _, response := range [][]byte{one, two, three, nil} {
			challenge, done, err := server.Next(response)
			if over && !errors.Is(err, ErrMalformed) {
				t.Fatalf("after its end the exchange goes on: %q, %v, %v", challenge, done, err)
			}
			over = over || done || err != nil
		}
	})
}
