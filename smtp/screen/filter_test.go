package screen

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-milter"
)

const letter = "From: joe@client.test\r\nSubject: hello\r\n folded\r\n\r\nfirst line\r\n"

func mail(text string) *Mail {
	return &Mail{
		ID: "1134", Remote: host, Name: "mx.client.test", Helo: "mx.client.test", From: "joe@client.test",
		Recipients: []string{"ann@example.test", "bob@example.test"}, Body: strings.NewReader(text), Size: int64(len(text)),
	}
}

// one asks the only filter that there is.
func one(t *testing.T, w *world, text string) *Advice {
	t.Helper()
	all := w.Filters(w.ctx, mail(text))
	if len(all) == 0 {
		return nil
	}
	return &all[0]
}

func TestRspamd(t *testing.T) {
	t.Parallel()
	answer := ""
	var mu sync.Mutex // guards what follows
	var asked http.Header
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		b, _ := io.ReadAll(r.Body)
		asked, body = r.Header.Clone(), r.Method+" "+r.URL.Path+" "+string(b)
		if answer == "" {
			rw.WriteHeader(http.StatusForbidden)
			return
		}
		io.WriteString(rw, answer)
	}))
	defer server.Close()
	w := newWorld(t, Options{Rspamd: Rspamd{URL: server.URL + "/", Password: "secret"}})
	say := func(text string) { mu.Lock(); answer = text; mu.Unlock() }

	say(`{"action": "add header", "score": 7.25, "required_score": 15, "symbols": {"A": {"score": 1}, "B": {"score": 6.25}, "C": {"score": -1}}, "more": [1]}`)
	a := one(t, w, letter)
	if a == nil || a.Refuse || !a.Junk || a.Name != "rspamd" || a.Detail != "add header, 7.25 of 15 B A" {
		t.Errorf("advice %+v", a)
	}
	mu.Lock()
	if body != "POST /checkv2 "+letter {
		t.Errorf("it was sent %q", body)
	}
	for name, want := range map[string]string{
		"Ip": "192.0.2.7", "Helo": "mx.client.test", "Hostname": "mx.client.test", "From": "joe@client.test",
		"Rcpt": "ann@example.test, bob@example.test", "Queue-Id": "1134", "Password": "secret",
	} {
		if got := strings.Join(asked[name], ", "); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	mu.Unlock()

	for _, c := range []struct {
		answer                  string
		refuse, temporary, junk bool
		reply                   string
	}{
		{`{"action": "no action", "score": -1, "required_score": 15}`, false, false, false, ""},
		{`{"action": "reject", "messages": {"smtp_message": "Not\r\nwanted"}}`, true, false, false, "Not??wanted"},
		{`{"action": "soft reject"}`, true, true, false, ""},
		{`{"action": "greylist"}`, true, true, false, ""},
		{`{"action": "rewrite subject"}`, false, false, true, ""},
	} {
		say(c.answer)
		a := one(t, w, letter)
		if a == nil || a.Refuse != c.refuse || a.Temporary != c.temporary || a.Junk != c.junk || a.Reply != c.reply {
			t.Errorf("%s: %+v", c.answer, a)
		}
	}
	for _, bad := range []string{"", "nonsense", `{"error": "no\u0000thing"}`, `{"score": ` + strings.Repeat(" ", maxRspamdAnswer) + `1}`} {
		say(bad)
		if a := one(t, w, letter); a != nil {
			t.Errorf("%.40q: %+v", bad, a)
		}
	}
}

// While a filter does not answer, mail is taken, or refused for now, as is
// configured.
func TestFilterDoesNotAnswer(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, must := range []bool{false, true} {
		for _, o := range []Options{
			{Rspamd: Rspamd{URL: "http://" + silent.Addr().String()}},
			{Milters: []Milter{{"tcp", silent.Addr().String()}}},
			{Milters: []Milter{{"unix", "/nowhere"}}},
		} {
			o.MustFilter, o.Time = must, 50*time.Millisecond
			a := one(t, newWorld(t, o), letter)
			switch {
			case !must && a != nil:
				t.Errorf("%+v: %+v", o, a)
			case must && (a == nil || !a.Refuse || !a.Temporary):
				t.Errorf("%+v: %+v", o, a)
			}
		}
	}
}

// testMilter notes what it is told, and does as the test says at the end.
type testMilter struct {
	milter.NoOpMilter
	mu   *sync.Mutex
	told *[]string
	rcpt milter.Response
	end  func(*milter.Modifier) milter.Response
}

func (m testMilter) note(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*m.told = append(*m.told, text)
}

func (m testMilter) Connect(name, family string, _ uint16, addr net.IP, _ *milter.Modifier) (milter.Response, error) {
	m.note("connect " + name + " " + family + " " + addr.String())
	return milter.RespContinue, nil
}

func (m testMilter) Helo(name string, _ *milter.Modifier) (milter.Response, error) {
	m.note("helo " + name)
	return milter.RespContinue, nil
}

func (m testMilter) MailFrom(from string, _ *milter.Modifier) (milter.Response, error) {
	m.note("mail " + from)
	return milter.RespContinue, nil
}

func (m testMilter) RcptTo(to string, _ *milter.Modifier) (milter.Response, error) {
	m.note("rcpt " + to)
	if m.rcpt != nil {
		return m.rcpt, nil
	}
	return milter.RespContinue, nil
}

func (m testMilter) Header(name, value string, _ *milter.Modifier) (milter.Response, error) {
	m.note("header " + name + ": " + value)
	return milter.RespContinue, nil
}

func (m testMilter) Headers(textproto.MIMEHeader, *milter.Modifier) (milter.Response, error) {
	m.note("end of header")
	return milter.RespContinue, nil
}

func (m testMilter) BodyChunk(b []byte, _ *milter.Modifier) (milter.Response, error) {
	if len(b) > 100 {
		b = b[:10]
	}
	m.note("body " + string(b))
	return milter.RespContinue, nil
}

func (m testMilter) Body(mod *milter.Modifier) (milter.Response, error) { return m.end(mod), nil }

// serveMilter starts a milter and returns where.
func serveMilter(t *testing.T, m testMilter) Milter {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &milter.Server{
		NewMilter: func() milter.Milter { return m },
		Actions:   milter.OptAddHeader | milter.OptQuarantine,
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; err != nil && !errors.Is(err, milter.ErrServerClosed) {
			t.Error(err)
		}
	})
	where, err := ParseMilter(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return where
}

func TestMilter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		rcpt milter.Response
		end  func(*milter.Modifier) milter.Response
		want Advice
	}{
		{"accepts", nil, func(*milter.Modifier) milter.Response { return milter.RespAccept }, Advice{Finding: Finding{Detail: "accepted"}}},
		{"refuses", nil, func(*milter.Modifier) milter.Response { return milter.RespReject }, Advice{Finding: Finding{Detail: "refused"}, Refuse: true}},
		{"refuses a recipient", milter.RespTempFail, nil, Advice{Finding: Finding{Detail: "put off"}, Refuse: true, Temporary: true}},
		{"says why", milter.NewResponseStr('y', "550 5.7.1 no, thank you"), nil, Advice{Finding: Finding{Detail: "refused"}, Refuse: true, Reply: "no, thank you"}},
		{"throws away", nil, func(*milter.Modifier) milter.Response { return milter.RespDiscard }, Advice{Finding: Finding{Detail: "discarded"}, Junk: true}},
		{"puts aside", nil, func(m *milter.Modifier) milter.Response {
			m.Quarantine("a virus")
			return milter.RespAccept
		}, Advice{Finding: Finding{Detail: "put aside: a virus"}, Junk: true}},
		{"adds fields", nil, func(m *milter.Modifier) milter.Response {
			m.AddHeader("X-Virus", "none\n\tat all")
			m.AddHeader("X-Evil\r\nY", "z")
			m.InsertHeader(0, "X-More", "a\r\nEvil: b\x01")
			return milter.RespAccept
		}, Advice{Finding: Finding{Detail: "accepted"}, Fields: []byte("X-Virus: none\r\n\tat all\r\nX-More: a\r\n\tEvil: b?\r\n")}},
	} {
		var mu sync.Mutex
		var told []string
		w := newWorld(t, Options{Milters: []Milter{serveMilter(t, testMilter{mu: &mu, told: &told, rcpt: c.rcpt, end: c.end})}})
		a := one(t, w, letter)
		if a == nil {
			t.Errorf("%s: no advice", c.name)
			continue
		}
		c.want.Name = "milter"
		if string(a.Fields) != string(c.want.Fields) || a.Finding != c.want.Finding || a.Refuse != c.want.Refuse ||
			a.Temporary != c.want.Temporary || a.Junk != c.want.Junk || a.Reply != c.want.Reply {
			t.Errorf("%s: %+v, want %+v", c.name, a, c.want)
		}
		mu.Lock()
		want := "connect mx.client.test tcp4 192.0.2.7|helo mx.client.test|mail joe@client.test|rcpt ann@example.test"
		if c.rcpt == nil {
			want += "|rcpt bob@example.test|header From: joe@client.test|header Subject: hello\n folded|end of header|body first line\r\n"
		}
		if got := strings.Join(told, "|"); got != want {
			t.Errorf("%s: it was told\n%q, want\n%q", c.name, got, want)
		}
		mu.Unlock()
	}
}

// A large message goes in chunks, and a host without an address has none.
func TestMilterGetsAll(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []string
	where := serveMilter(t, testMilter{mu: &mu, told: &told, end: func(*milter.Modifier) milter.Response { return milter.RespAccept }})
	m := mail("A: b\r\n\r\n" + strings.Repeat("0123456789\r\n", 20_000))
	m.Remote = netip.Addr{}
	a, err := where.ask(context.Background(), m)
	if err != nil || a.Refuse {
		t.Fatalf("%+v, %v", a, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(strings.Join(told, "|"), "body "); n != 4 {
		t.Errorf("it came in %d chunks", n)
	}
}

func TestParseMilter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Milter{
		"unix:/run/milter.sock": {"unix", "/run/milter.sock"},
		"127.0.0.1:8891":        {"tcp", "127.0.0.1:8891"},
		"inet:8891@localhost":   {"tcp", "localhost:8891"},
		"inet:localhost:8891":   {"tcp", "localhost:8891"},
	} {
		if got, err := ParseMilter(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "unix:", "localhost", "inet:8891", ":8891", "localhost:"} {
		if got, err := ParseMilter(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
