package mailauth

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tripost/message"
)

var (
	good = netip.MustParseAddr("192.0.2.7")
	bad  = netip.MustParseAddr("203.0.113.7")
)

const letter = "From: Joe <joe@client.test>\r\nSubject: hello\r\n\r\nfirst line\r\n"

func check(t *testing.T, z zone, c Client, msg string) *Report {
	t.Helper()
	checker := &Checker{DNS: z, Percent: func() int { return 50 }}
	return checker.Check(context.Background(), c, Name{}, strings.NewReader(msg), int64(len(msg)))
}

func TestSPF(t *testing.T) {
	t.Parallel()
	z := world(t)
	for _, c := range []struct {
		client Client
		want   Result
	}{
		{Client{good, "mx.client.test", "joe@client.test"}, Pass},
		{Client{netip.MustParseAddr("::ffff:192.0.2.7"), "x", "joe@CLIENT.test"}, Pass},
		{Client{netip.MustParseAddr("198.51.100.7"), "x", "joe@client.test"}, Pass},
		{Client{bad, "x", "joe@client.test"}, Fail},
		{Client{good, "client.test", ""}, Pass},
		{Client{bad, "client.test", ""}, Fail},
		{Client{good, "[192.0.2.7]", ""}, None},
		{Client{good, "pc7", ""}, None},
		{Client{bad, "x", "joe@soft.test"}, SoftFail},
		{Client{bad, "x", "joe@neutral.test"}, Neutral},
		{Client{bad, "x", "joe@nothing.test"}, None},
		{Client{bad, "x", "joe@twice.test"}, PermError},
		{Client{bad, "x", "joe@endless.test"}, PermError},
		{Client{bad, "x", "joe@down.test"}, TempError},
		{Client{bad, "x", "joe@b(a)d.test"}, None},
		{Client{netip.Addr{}, "x", "joe@client.test"}, None},
	} {
		if got := check(t, z, c.client, letter).SPF; got.Result != c.want {
			t.Errorf("%v: %+v, want %s", c.client, got, c.want)
		}
	}
}

func TestDKIM(t *testing.T) {
	t.Parallel()
	z := world(t)
	signed := sign(t, letter, "client.test", "r")
	for _, c := range []struct {
		name, msg string
		want      []Result
	}{
		{"none", letter, nil},
		{"rsa", signed, []Result{Pass}},
		{"ed25519", sign(t, letter, "client.test", "e"), []Result{Pass}},
		{"both", sign(t, signed, "client.test", "e"), []Result{Pass, Pass}},
		{"header only", sign(t, "From: joe@client.test\r\n\r\n", "client.test", "r"), []Result{Pass}},
		{"changed body", strings.Replace(signed, "first", "other", 1), []Result{Fail}},
		{"changed header", strings.Replace(signed, "hello", "hullo", 1), []Result{Fail}},
		{"changed what is not signed", "To: ann@example.test\r\n" + signed, []Result{Pass}},
		{"no key", sign(t, letter, "nothing.test", "r"), []Result{PermError}},
		{"no key now", sign(t, letter, "down.test", "r"), []Result{TempError}},
		{"revoked key", sign(t, letter, "gone.test", "r"), []Result{PermError}},
		{"huge key", sign(t, letter, "huge.test", "r"), []Result{PermError}},
		{"wrong key", strings.Replace(signed, "s=r", "s=e", 1), []Result{PermError}},
		{"with a length", strings.Replace(signed, " h=From", " l=5; h=From", 1), []Result{Policy}},
		{"nonsense", "DKIM-Signature: nonsense\r\n" + letter, []Result{PermError}},
		{"nonsense and a good one", "DKIM-Signature: v=1; d=(; b\r\n" + signed, []Result{PermError, Pass}},
	} {
		got := check(t, z, Client{good, "x", ""}, c.msg).DKIM
		same := len(got) == len(c.want)
		for i := 0; same && i < len(got); i++ {
			same = got[i].Result == c.want[i]
		}
		if !same {
			t.Errorf("%s: %+v, want %v\n%s", c.name, got, c.want, c.msg)
		}
	}
}

// What would cost too much is not verified, and is not valid.
func TestDKIMBounds(t *testing.T) {
	t.Parallel()
	z := world(t)
	signed := sign(t, letter, "client.test", "r")
	many := signed
	for i := range 8 {
		many = fmt.Sprintf("DKIM-Signature: v=%d\r\n", i) + many
	}
	for _, c := range []struct {
		name, msg string
		count     int
		want      Result // of the last
	}{
		{"many signatures", many, 5, PermError},
		{"a long header", "X: " + strings.Repeat("y", maxHeader) + "\r\n" + signed, 0, None},
		{"a long header behind", signed[:strings.Index(signed, "From:")] + "X: " + strings.Repeat("y", maxHeader) + "\r\n" + letter, 1, Policy},
		{"many fields", strings.Repeat("X: y\r\n", maxFields) + signed, 1, Policy},
		{"a long signature", "DKIM-Signature: x=" + strings.Repeat("y", maxSignature) + "\r\n" + letter, 1, Policy},
		{"many names", "DKIM-Signature: h=" + strings.Repeat("y:", maxSigned+1) + "\r\n" + letter, 1, Policy},
		{"many empty lines", sign(t, letter+strings.Repeat("\r\n", maxEmpty/2)+".\r\n", "client.test", "r"), 1, Policy},
		{"fewer of them", sign(t, letter+strings.Repeat("\r\n", maxEmpty/2-10)+".\r\n", "client.test", "r"), 1, Pass},
	} {
		got := check(t, z, Client{good, "x", ""}, c.msg).DKIM
		if len(got) != c.count || c.count > 0 && got[c.count-1].Result != c.want {
			t.Errorf("%s: %+v, want %d and %s", c.name, got, c.count, c.want)
		}
	}
}

func TestDMARC(t *testing.T) {
	t.Parallel()
	z := world(t)
	from := func(f string) string { return "From: " + f + "\r\n\r\nx\r\n" }
	for _, c := range []struct {
		name   string
		client Client
		msg    string
		want   Result
		wanted Disposition
		domain string
	}{
		{"by SPF", Client{good, "x", "joe@client.test"}, letter, Pass, Nothing, "client.test"},
		{"by SPF of a subdomain's parent", Client{good, "x", "joe@client.test"}, from("a@news.client.test"), Pass, Nothing, "news.client.test"},
		{"by DKIM", Client{bad, "x", "joe@nothing.test"}, sign(t, letter, "client.test", "r"), Pass, Nothing, "client.test"},
		{"fails", Client{bad, "x", "joe@client.test"}, letter, Fail, Reject, "client.test"},
		{"a subdomain fails", Client{bad, "x", ""}, from("a@news.client.test"), Fail, Quarantine, "news.client.test"},
		{"passes for somebody else", Client{good, "x", "joe@client.test"}, from("a@strict.test"), Fail, Reject, "strict.test"},
		{"strict", Client{bad, "x", ""}, sign(t, from("a@strict.test"), "strict.test", "r"), Pass, Nothing, "strict.test"},
		{"strict and below", Client{bad, "x", ""}, sign(t, from("a@below.strict.test"), "strict.test", "r"), Fail, Reject, "below.strict.test"},
		{"a share", Client{bad, "x", ""}, from("a@mild.test"), Fail, Nothing, "mild.test"},
		{"no record", Client{bad, "x", ""}, from("a@nothing.test"), None, Nothing, "nothing.test"},
		{"two records", Client{bad, "x", ""}, from("a@twice.test"), None, Nothing, "twice.test"},
		{"bad record", Client{bad, "x", ""}, from("a@bad.test"), PermError, Nothing, "bad.test"},
		{"not now", Client{bad, "x", ""}, from("a@down.test"), TempError, Nothing, "down.test"},
		{"SPF not now", Client{bad, "x", "a@down.test"}, from("a@client.test"), Fail, Reject, "client.test"},
		{"no From", Client{good, "x", "joe@client.test"}, "Subject: x\r\n\r\n", PermError, Nothing, ""},
		{"empty From", Client{good, "x", "joe@client.test"}, from(""), PermError, Nothing, ""},
		{"broken From", Client{good, "x", "joe@client.test"}, from("<joe@client.test"), PermError, Nothing, ""},
		{"two of a domain", Client{good, "x", "joe@client.test"}, from("a@client.test, b@client.test"), Pass, Nothing, "client.test"},
		{"a stranger among them", Client{good, "x", "joe@client.test"}, from("a@client.test, b@strict.test"), Fail, Reject, "strict.test"},
		{"in a second field", Client{good, "x", "joe@client.test"}, "From: a@client.test\r\n" + from("b@strict.test"), Fail, Reject, "strict.test"},
		{"too many", Client{good, "x", "joe@client.test"}, from("a@a.test, a@b.test, a@c.test, a@d.test, a@e.test, a@strict.test"), PermError, Nothing, "a.test"},
	} {
		got := check(t, z, c.client, c.msg).DMARC
		if got.Result != c.want || got.Wanted != c.wanted || got.Domain != c.domain {
			t.Errorf("%s: %+v, want %s, %s of %q", c.name, got, c.want, c.wanted, c.domain)
		}
	}
}

func TestReverse(t *testing.T) {
	t.Parallel()
	c := &Checker{DNS: world(t)}
	for addr, want := range map[string]string{
		"198.51.100.7":        "pass mx.client.test",
		"::ffff:198.51.100.7": "pass mx.client.test",
		"198.51.100.8":        "fail ",
		"198.51.100.9":        "temperror ",
		"203.0.113.5":         "temperror ",
		"203.0.113.6":         "permerror ",
		"203.0.113.9":         "permerror ",
	} {
		n := c.Reverse(context.Background(), netip.MustParseAddr(addr))
		if got := string(n.Result) + " " + n.Host; got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

// A DNS that does not answer costs the time that is set, and no more.
func TestChecksEnd(t *testing.T) {
	t.Parallel()
	z := world(t)
	z.txt["r._domainkey.slow.test"] = []string{"SLEEP"}
	msg := sign(t, "From: a@slow.test\r\n\r\nx\r\n", "slow.test", "r")
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		c := &Checker{DNS: z, Time: 3 * time.Second}
		r := c.Check(context.Background(), Client{bad, "x", "a@slow.test"}, Name{}, strings.NewReader(msg), int64(len(msg)))
		if r.SPF.Result != TempError || r.DKIM[0].Result != TempError || r.DMARC.Result != TempError {
			t.Errorf("got %s", r)
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestResultsField(t *testing.T) {
	t.Parallel()
	z := world(t)
	msg := sign(t, letter, "client.test", "e")
	c := &Checker{DNS: z}
	from := netip.MustParseAddr("198.51.100.7")
	name := c.Reverse(context.Background(), from)
	r := c.Check(context.Background(), Client{from, "x", "joe@client.test"}, name, strings.NewReader(msg), int64(len(msg)))
	got := string(r.Results("mail.example.test"))
	begin := got[strings.Index(got, "header.b=")+9:]
	begin, _, _ = strings.Cut(begin, ";")
	want := "Authentication-Results: mail.example.test;\r\n" +
		"\tiprev=pass (mx.client.test) policy.iprev=198.51.100.7;\r\n" +
		"\tspf=pass (matched a) smtp.mailfrom=client.test;\r\n" +
		"\tdkim=pass header.d=client.test header.s=e header.a=ed25519-sha256 header.b=" + begin + ";\r\n" +
		"\tdmarc=pass (p=reject) header.from=client.test\r\n"
	if got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

// Nothing that others chose breaks out of the field.
func TestResultsAreSafe(t *testing.T) {
	t.Parallel()
	z := world(t)
	for _, hostile := range []string{
		"DKIM-Signature: v=1; d=a\"b\\c;s=x)(;a=;b=\x01\x02;",
		"DKIM-Signature: v=1; d=x.test; s=" + strings.Repeat("s", 4000) + "; b=é\r\n;",
		"From: \"a;dkim=pass\"@b;dmarc=pass.test",
		"From: <x@(\r\nX-Evil: y\r\n)>",
	} {
		msg := hostile + "\r\nFrom: joe@client.test\r\n\r\n"
		field := check(t, z, Client{bad, "a;spf=pass", "x@b;spf=pass.test"}, msg).Results("mail.example.test")
		fields := message.Fields(append(field, "End: x\r\n"...))
		if len(fields) != 2 || !fields[0].Is("Authentication-Results") {
			t.Errorf("%q became %d fields:\n%s", hostile, len(fields), field)
		}
		for _, c := range field {
			if c >= 0x7f || c < ' ' && c != '\r' && c != '\n' && c != '\t' {
				t.Errorf("%q: octet %q in %s", hostile, c, field)
			}
		}
		if strings.Contains(string(field), ";dkim=pass") || strings.Contains(string(field), ";spf=pass") {
			t.Errorf("%q: %s", hostile, field)
		}
	}
}

// brokenZone is a DNS client that panics.
type brokenZone struct{ zone }

func (brokenZone) LookupTXT(context.Context, string) ([]string, error) { panic("a broken answer") }

// A panic in one of the checks reaches who has asked for them, and does not end the
// process.
func TestCheckPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if p, _ := recover().(string); !strings.HasPrefix(p, "a broken answer\n") {
			t.Errorf("got %.100q", p)
		}
	}()
	c := &Checker{DNS: brokenZone{}}
	c.Check(t.Context(), Client{bad, "mx.client.test", "joe@client.test"}, Name{}, strings.NewReader(letter), int64(len(letter)))
	t.Error("nothing happened")
}

func FuzzCheck(f *testing.F) {
	f.Add("joe@client.test", "mx.client.test", letter)
	f.Add("", "", "DKIM-Signature: v=1; a=rsa-sha256; d=client.test; s=r; h=from; bh=; b=\r\nFrom: a@b.test\r\n\r\n")
	f.Add("@", "[", "From:\r\n\r\n")
	z := zone{txt: map[string][]string{"client.test": {"v=spf1 exists:%{l}.%{i}.client.test ptr -all"}}}
	f.Fuzz(func(t *testing.T, from, helo, msg string) {
		c := &Checker{DNS: z}
		r := c.Check(context.Background(), Client{bad, helo, from}, Name{}, strings.NewReader(msg), int64(len(msg)))
		field := r.Results("mail.example.test")
		if n := len(message.Fields(field)); n != 1 {
			t.Errorf("%d fields:\n%s", n, field)
		}
		if r.DMARC.Result == Pass {
			t.Errorf("nobody answers for it, and it passes:\n%s", field)
		}
	})
}
