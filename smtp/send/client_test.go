package send

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"tripost/smtp/sinktest"
	"tripost/wire/wiretest"
)

// certificate is a self-signed one for "mx.test", with its pool.
var certificate = sync.OnceValues(func() (*tls.Config, *x509.CertPool) {
	return wiretest.TLS("mx.test", false)
})

func client() *Client {
	return &Client{Hostname: "mail.example.test", Timeouts: Timeouts{Command: time.Minute, Handshake: time.Minute}}
}

func open(t *testing.T, cl *Client, s *sinktest.Sink, login *Login) (*Conn, error) {
	t.Helper()
	c, err := cl.Connect(context.Background(), Target{Name: "mx.test", Addr: s.Addr}, Demand{}, login)
	if err == nil {
		t.Cleanup(c.Close)
	}
	return c, err
}

const text = "Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n"

func message(to ...string) Message {
	return Message{From: "ann@example.test", Recipients: to, Size: int64(len(text)), Body: strings.NewReader(text)}
}

func TestSend(t *testing.T) {
	t.Parallel()
	for name, extensions := range map[string][]string{
		"pipelining": nil,
		"stepwise":   {"SIZE"},
		"helo":       {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sinktest.New(t, sinktest.Options{Extensions: extensions, Reply: func(command, arg string) string {
				if command == "RCPT" && strings.Contains(arg, "gone") {
					return "550-5.1.1 no\r\n550 5.1.1 such user"
				}
				return ""
			}})
			c, err := open(t, client(), s, nil)
			if err != nil {
				t.Fatal(err)
			}
			for round := range 2 {
				m := message("joe@x.test", "gone@x.test", "jim@x.test")
				m.Body8Bit = true
				results := c.Send(m)
				var got []string
				for _, r := range results {
					got = append(got, r.Reply.String())
				}
				if want := []string{"250 2.0.0 taken", "550 5.1.1 no such user", "250 2.0.0 taken"}; !slices.Equal(got, want) {
					t.Errorf("results %q, want %q", got, want)
				}
				taken := s.Wait(round + 1)[round]
				if taken.Data != text || !slices.Equal(taken.To, []string{"<joe@x.test>", "<jim@x.test>"}) || taken.Helo != "mail.example.test" {
					t.Errorf("taken %+v", taken)
				}
				want := map[string]string{"pipelining": "<ann@example.test> SIZE=29 BODY=8BITMIME", "stepwise": "<ann@example.test> SIZE=29", "helo": "<ann@example.test>"}[name]
				if taken.From != want {
					t.Errorf("MAIL was %q, want %q", taken.From, want)
				}
			}
			if s.Connections() != 1 {
				t.Errorf("%d connections", s.Connections())
			}
		})
	}
}

// More recipients than fit into one group.
func TestSendManyRecipients(t *testing.T) {
	t.Parallel()
	s := sinktest.New(t, sinktest.Options{})
	c, err := open(t, client(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	to := make([]string, 2*maxGroup+5)
	for i := range to {
		to[i] = strings.Repeat("x", i%50+1) + "@x.test"
	}
	for i, r := range c.Send(message(to...)) {
		if r.Err != nil || !r.Reply.OK() {
			t.Errorf("recipient %d: %+v", i, r)
		}
	}
	if got := s.Wait(1)[0]; len(got.To) != len(to) {
		t.Errorf("%d recipients came", len(got.To))
	}
}

// Whatever the peer does, and at whatever point, each recipient gets the result
// that it must.
func TestSendFailures(t *testing.T) {
	t.Parallel()
	type outcome string
	const (
		lost    outcome = "lost"
		refused outcome = "refused"
	)
	for _, c := range []struct {
		name, command, reply string
		want                 outcome
		broken               bool
	}{
		{"hang up at MAIL", "MAIL", sinktest.Hangup, lost, true},
		{"hang up at RCPT", "RCPT", sinktest.Hangup, lost, true},
		{"hang up at DATA", "DATA", sinktest.Hangup, lost, true},
		{"hang up in the message", "DATA", sinktest.MidData, lost, true},
		{"hang up after the message", "data", sinktest.Hangup, lost, true},
		{"silent at MAIL", "MAIL", sinktest.Silence, lost, true},
		{"silent at RCPT", "RCPT", sinktest.Silence, lost, true},
		{"silent at DATA", "DATA", sinktest.Silence, lost, true},
		{"silent after the message", "data", sinktest.Silence, lost, true},
		{"MAIL refused", "MAIL", "550 5.7.1 not you", refused, false},
		{"MAIL deferred", "MAIL", "451 4.7.1 later", refused, false},
		{"RCPT refused", "RCPT", "550 5.1.1 no", refused, false},
		{"DATA refused", "DATA", "554 5.5.1 no", refused, false},
		{"message refused", "data", "554 5.6.0 no", refused, false},
		{"shutting down at MAIL", "MAIL", "421 4.3.2 bye", refused, true},
		{"shutting down after the message", "data", "421 4.3.2 bye", refused, true},
		{"250 to DATA", "DATA", "250 ok", lost, true},
		{"no reply", "MAIL", "hello", lost, true},
		{"code out of range", "MAIL", "999 ok", lost, true},
		{"two codes", "MAIL", "250-ok\r\n550 no", lost, true},
		{"endless reply", "MAIL", strings.Repeat("250-x\r\n", maxReplyLines+1) + "250 x", lost, true},
		{"long line", "MAIL", "250 " + strings.Repeat("x", 2*maxReplyLine), lost, true},
	} {
		for _, extensions := range [][]string{nil, {"8BITMIME"}} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				s := sinktest.New(t, sinktest.Options{Extensions: extensions, Reply: func(command, _ string) string {
					if command == c.command {
						return c.reply
					}
					return ""
				}})
				conn, err := open(t, client(), s, nil)
				if err != nil {
					t.Fatal(err)
				}
				if c.reply == sinktest.Silence { // and soon it is waited for in vain
					const short = 300 * time.Millisecond
					conn.timeouts.Command, conn.timeouts.DataStart, conn.timeouts.DataEnd = short, short, short
				}
				for _, r := range conn.Send(message("joe@x.test", "jim@x.test")) {
					got := refused
					if r.Err != nil {
						got = lost
					} else if r.Reply.OK() {
						got = "taken"
					}
					if got != c.want {
						t.Errorf("%s, want %s: %+v", got, c.want, r)
					}
				}
				if conn.Broken() != c.broken {
					t.Errorf("broken is %v", conn.Broken())
				}
				if n := len(s.Messages()); n > 0 && c.command != "data" {
					t.Errorf("%d messages taken", n)
				}
			})
		}
	}
}

// A peer that refuses one message takes the next over the same connection.
func TestSendAfterRefusal(t *testing.T) {
	t.Parallel()
	s := sinktest.New(t, sinktest.Options{Reply: func(command, arg string) string {
		if command == "RCPT" && strings.Contains(arg, "gone") {
			return "550 5.1.1 no"
		}
		return ""
	}})
	c, err := open(t, client(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Send(message("gone@x.test"))[0]; r.Reply.Code != 550 {
		t.Errorf("%+v", r)
	}
	if r := c.Send(message("joe@x.test"))[0]; !r.Reply.OK() {
		t.Errorf("%+v", r)
	}
	if got := s.Wait(1); len(got[0].To) != 1 {
		t.Errorf("taken %+v", got)
	}
}

func TestSendWithoutAsking(t *testing.T) {
	t.Parallel()
	s := sinktest.New(t, sinktest.Options{Extensions: []string{"SIZE 10"}})
	c, err := open(t, client(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Send(message("joe@x.test"))[0]; !errors.Is(r.Err, ErrTooLong) {
		t.Errorf("too long: %+v", r)
	}
	m := message("jürgen@x.test")
	m.Size = 5
	if r := c.Send(m)[0]; !errors.Is(r.Err, ErrNonASCII) {
		t.Errorf("not ASCII: %+v", r)
	}
	if slices.ContainsFunc(s.Commands(), func(line string) bool { return strings.HasPrefix(line, "MAIL") }) {
		t.Error("the peer was asked")
	}
}

// Options go to a peer that knows them, in the form that it takes.
func TestSendOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		extensions []string
		from, to   string
	}{
		{[]string{"PIPELINING"}, "<ann@example.test>", "<joe@x.test>"},
		{[]string{"DSN"}, "<ann@example.test> RET=HDRS ENVID=a+20b+2B1", `<joe@x.test> NOTIFY=SUCCESS,DELAY ORCPT=utf-8;j\x{FC}rgen@x.test`},
		{[]string{"DSN", "SMTPUTF8"}, "<ann@example.test> SMTPUTF8 RET=HDRS ENVID=a+20b+2B1", "<joe@x.test> NOTIFY=SUCCESS,DELAY ORCPT=utf-8;jürgen@x.test"},
	} {
		s := sinktest.New(t, sinktest.Options{Extensions: c.extensions})
		conn, err := open(t, client(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := message("joe@x.test")
		m.From, m.Return, m.EnvelopeID = "ann@example.test", "HDRS", "a b+1"
		m.UTF8 = len(c.extensions) == 2
		m.Options = []RecipientOptions{{Notify: "SUCCESS,DELAY", Original: "utf-8;jürgen@x.test"}}
		if r := conn.Send(m)[0]; r.Err != nil || !r.Reply.OK() {
			t.Fatalf("%+v", r)
		}
		got := s.Messages()[0]
		if got.From != c.from || got.To[0] != c.to {
			t.Errorf("%q: MAIL FROM:%s, RCPT TO:%s", c.extensions, got.From, got.To[0])
		}
	}
}

// A message with header fields in UTF-8 goes only to a peer that takes them.
func TestSendUTF8(t *testing.T) {
	t.Parallel()
	s := sinktest.New(t, sinktest.Options{})
	c, err := open(t, client(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := message("joe@x.test")
	m.UTF8 = true
	if r := c.Send(m)[0]; !errors.Is(r.Err, ErrUTF8) {
		t.Errorf("%+v", r)
	}
}

// A refused MAIL decides for all recipients, even if the peer then closes the
// connection over the commands that were sent along with it.
func TestSendMailRefused(t *testing.T) {
	t.Parallel()
	for _, then := range []string{"421 4.7.0 too many errors", sinktest.Hangup, "503 5.5.1 MAIL first"} {
		s := sinktest.New(t, sinktest.Options{Reply: func(command, _ string) string {
			switch command {
			case "MAIL":
				return "552 5.3.4 too long"
			case "RCPT":
				return then
			}
			return ""
		}})
		c, err := open(t, client(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.Send(message("joe@x.test", "jim@x.test")) {
			if r.Err != nil || r.Reply.Code != 552 {
				t.Errorf("then %q: %+v", then, r)
			}
		}
	}
}

// failing is a body that cannot be read to its end.
type failing struct{ sent bool }

func (f *failing) Read(p []byte) (int, error) {
	if f.sent {
		return 0, errors.New("the disk is broken")
	}
	f.sent = true
	return copy(p, "Subject: half\r\n"), nil
}

// A message that cannot be read to its end is never taken for whole.
func TestSendBrokenBody(t *testing.T) {
	t.Parallel()
	s := sinktest.New(t, sinktest.Options{})
	c, err := open(t, client(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := message("joe@x.test")
	m.Body = new(failing)
	if r := c.Send(m)[0]; r.Err == nil {
		t.Errorf("%+v", r)
	}
	c.Close()
	if n := len(s.Messages()); n != 0 {
		t.Errorf("%d messages taken", n)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	config, pool := certificate()
	once := func(command, reply string) func(string, string) string {
		return func(c, _ string) string {
			if c == command {
				return reply
			}
			return ""
		}
	}
	login := &Login{"ann", "secret"}
	for _, c := range []struct {
		name   string
		o      sinktest.Options
		login  *Login
		pool   *x509.CertPool
		secure bool
		fails  bool
	}{
		{name: "opportunistic", o: sinktest.Options{TLS: config}, secure: true},
		{name: "not offered", o: sinktest.Options{}},
		{name: "refused", o: sinktest.Options{TLS: config, Reply: once("STARTTLS", "454 4.7.0 no")}},
		{name: "handshake fails", o: sinktest.Options{TLS: config, Reply: once("handshake", sinktest.Hangup)}},
		{name: "octets after the reply", o: sinktest.Options{TLS: config, Reply: once("STARTTLS", "220 go\r\n250 injected")}, fails: true},
		{name: "login", o: sinktest.Options{TLS: config, Login: "ann secret"}, login: login, pool: pool, secure: true},
		{name: "wrong password", o: sinktest.Options{TLS: config, Login: "ann other"}, login: login, pool: pool, fails: true},
		{name: "login without TLS", o: sinktest.Options{Login: "ann secret"}, login: login, pool: pool, fails: true},
		{name: "login, TLS refused", o: sinktest.Options{TLS: config, Login: "ann secret", Reply: once("STARTTLS", "454 no")}, login: login, pool: pool, fails: true},
		{name: "login, unknown certificate", o: sinktest.Options{TLS: config, Login: "ann secret"}, login: login, pool: x509.NewCertPool(), fails: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := sinktest.New(t, c.o)
			cl := client()
			cl.RootCAs = c.pool
			conn, err := open(t, cl, s, c.login)
			if c.fails {
				if err == nil {
					t.Error("connected")
				}
				for _, line := range s.Commands() {
					if strings.HasPrefix(line, "AUTH") && c.name != "wrong password" {
						t.Error("credentials went out")
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r := conn.Send(message("joe@x.test"))[0]; !r.Reply.OK() {
				t.Errorf("%+v", r)
			}
			got := s.Wait(1)[0]
			if got.TLS != c.secure || got.Helo != "mail.example.test" || c.login != nil && got.User != "ann" {
				t.Errorf("taken %+v", got)
			}
		})
	}
}

func TestGreetingRefused(t *testing.T) {
	t.Parallel()
	for _, greeting := range []string{"554 5.3.2 go away", "421 4.3.2 busy", sinktest.Hangup, "HTTP/1.1 400 Bad Request"} {
		s := sinktest.New(t, sinktest.Options{Reply: func(command, _ string) string {
			if command == "greeting" {
				return greeting
			}
			return ""
		}})
		if _, err := open(t, client(), s, nil); err == nil {
			t.Errorf("%q: connected", greeting)
		}
	}
}

// A peer that cannot be used is told goodbye, unless it is gone (RFC 5321 section
// 4.1.1.10); and HELO is not for one that has no time now.
func TestGoodbye(t *testing.T) {
	t.Parallel()
	const hello = "EHLO mail.example.test"
	for _, c := range []struct {
		name, command, reply string
		demand               Level
		err                  string
		want                 []string
	}{
		{"greeting refuses", "greeting", "554 5.3.2 go away", Opportunistic, "554 5.3.2 go away", []string{"QUIT"}},
		{"no time now", "EHLO", "451 4.3.2 later", Opportunistic, "EHLO: 451 4.3.2 later", []string{hello, "QUIT"}},
		{"closing", "EHLO", "421 4.3.2 bye", Opportunistic, "EHLO: 421 4.3.2 bye", []string{hello}},
		{"unknown", "EHLO", "502 5.5.1 what?", Opportunistic, "", []string{hello, "HELO mail.example.test", "QUIT"}},
		{"no TLS", "", "", Encrypted, ErrNoTLS.Error(), []string{hello, "QUIT"}},
	} {
		s := sinktest.New(t, sinktest.Options{Reply: func(command, _ string) string {
			if command == c.command {
				return c.reply
			}
			return ""
		}})
		conn, err := client().Connect(t.Context(), Target{Name: "mx.test", Addr: s.Addr}, Demand{Level: c.demand}, nil)
		switch {
		case err == nil:
			conn.Close()
			if c.err != "" {
				t.Errorf("%s: connected", c.name)
			}
		case c.err == "" || !strings.Contains(err.Error(), c.err):
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
		if got := s.Commands(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// The end of the context ends the connection.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	s := sinktest.New(t, sinktest.Options{Reply: func(command, _ string) string {
		if command == "DATA" {
			close(asked)
			return sinktest.Silence
		}
		return ""
	}})
	ctx, cancel := context.WithCancel(context.Background())
	c, err := client().Connect(ctx, Target{Name: "mx.test", Addr: s.Addr}, Demand{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		<-asked
		cancel()
	}()
	if r := c.Send(message("joe@x.test"))[0]; r.Err == nil {
		t.Errorf("%+v", r)
	}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code           int
		text           string
		enhanced, rest string
	}{
		{250, "2.1.0 ok", "2.1.0", "ok"},
		{250, "2.1.0", "2.1.0", ""},
		{550, "2.1.0 ok", "", "2.1.0 ok"},
		{250, "2.1 ok", "", "2.1 ok"},
		{250, "2.1.0.3 ok", "", "2.1.0.3 ok"},
		{250, "2.x.0 ok", "", "2.x.0 ok"},
		{250, "2.1.1000 ok", "", "2.1.1000 ok"},
		{250, "", "", ""},
	} {
		enhanced, rest := cutEnhanced(c.code, c.text)
		if enhanced != c.enhanced || rest != c.rest {
			t.Errorf("%d %q: %q and %q, want %q and %q", c.code, c.text, enhanced, rest, c.enhanced, c.rest)
		}
	}
	if got := printable("a\x00b\r\n\xff" + strings.Repeat("x", 1000)); len(got) > maxReplyText || strings.ContainsAny(got, "\x00\r\n") || !utf8.ValidString(got) {
		t.Errorf("printable gave %q", got)
	}
}
