package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPOPFetchers tries programs that run from scripts: each fetches and keeps,
// fetches and deletes, looks at headers alone (TOP) and at unique-ids alone, in
// clear, by STLS and over TLS, as far as it can. What it cannot is in
// docs/using-pop.md. Python's poplib is in TestReadByPOP.
func TestPOPFetchers(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "curl", "mpop", "fetchmail")
	t.Run("curl", func(t *testing.T) { tryCurlPOP(t, s) })
	t.Run("mpop", func(t *testing.T) { tryMpop(t, s) })
	t.Run("fetchmail", func(t *testing.T) { tryFetchmail(t, s) })
}

// tryCurlPOP: curl does one command a run.
func tryCurlPOP(t *testing.T, s *server) {
	s.deliver("curl", 3)
	curl := func(url string, args ...string) string {
		t.Helper()
		return tool(t, "", "curl", append([]string{"-sS", "-k", "--max-time", "200", "-u", address("curl") + ":" + password, url}, args...)...)
	}
	clear, overTLS := "pop3://"+s.pop+"/", "pop3s://"+s.popTLS+"/"
	uids := curl(clear, "-X", "UIDL")
	if strings.Count(uids, "\n") != 3 || curl(clear, "-X", "UIDL", "--ssl-reqd") != uids || curl(overTLS, "-X", "UIDL") != uids {
		t.Errorf("UIDL: %q", uids)
	}
	for _, top := range []string{curl(clear, "-X", "TOP 2 0"), curl(clear, "-X", "TOP 2 0", "--ssl-reqd"), curl(overTLS, "-X", "TOP 2 0")} {
		if !strings.Contains(top, "Subject: letter 2\r\n") || strings.Contains(top, "Dear reader") {
			t.Errorf("TOP: %q", top)
		}
	}
	s.wantFlags(t, "curl", "1", "2", "3")
	for _, text := range []string{curl(clear + "2"), curl(clear+"2", "--ssl-reqd"), curl(overTLS + "2")} {
		if !strings.HasSuffix(text, "\r\nDear reader,\r\n.\r\n..\r\nthis is the text.\r\n") {
			t.Errorf("RETR: %q", text)
		}
	}
	s.wantFlags(t, "curl", "1", `2 \Seen`, "3")
	curl(clear, "-X", "DELE 1", "-I")
	curl(overTLS, "-X", "DELE 1", "-I")
	s.wantSubjects(t, "curl", "INBOX", "letter 3")
}

// tryMpop: a filter that refuses everything makes it ask for TOP alone.
func tryMpop(t *testing.T, s *server) {
	program(t, "mpop")
	s.deliver("mpop", 3)
	dir := t.TempDir()
	run := func(port, tls, starttls string, args ...string) string {
		rc := write(t, dir, "rc", "account default\nhost 127.0.0.1\nport "+port+"\nuser "+address("mpop")+"\npassword "+password+
			"\ntimeout 200\ntls "+tls+"\ntls_starttls "+starttls+"\ntls_certcheck off\nuidls_file "+dir+"/uidls\ndelivery mbox "+dir+"/mbox\n", 0o600)
		return tool(t, "", "mpop", append([]string{"-C", rc}, args...)...)
	}
	fetched := func() int {
		mbox, err := os.ReadFile(filepath.Join(dir, "mbox"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Count(string(mbox), "\nSubject: letter ")
	}
	const skip = "--filter=cat >/dev/null; exit 2" // its sign for: leave it on the server
	run(port(s.pop), "off", "off", "--auth-only")
	run(port(s.pop), "off", "off", "--keep=on", skip)
	s.wantFlags(t, "mpop", "1", "2", "3")
	if n := fetched(); n != 0 {
		t.Errorf("%d letters fetched by TOP", n)
	}
	run(port(s.pop), "on", "on", "--keep=on")
	run(port(s.popTLS), "on", "off", "--keep=on") // knows the unique-ids
	if n := fetched(); n != 3 {
		t.Errorf("%d letters fetched, want each of 3 once", n)
	}
	s.wantFlags(t, "mpop", `1 \Seen`, `2 \Seen`, `3 \Seen`)
	run(port(s.popTLS), "on", "off", "--keep=off")
	s.wantSubjects(t, "mpop", "INBOX")
}

// tryFetchmail: it fetches what it keeps by TOP with as many lines as there can
// be, so that the mail stays unseen, and by RETR what it deletes.
func tryFetchmail(t *testing.T, s *server) {
	program(t, "fetchmail")
	s.deliver("fetchmail", 3)
	dir := t.TempDir()
	run := func(port, ssl string, args ...string) (string, error) {
		rc := write(t, dir, "rc", "poll 127.0.0.1 protocol pop3 port "+port+" uidl timeout 200\n user \""+address("fetchmail")+"\" password \""+password+
			"\" "+ssl+" no rewrite no sslcertck mda \"cat >> "+dir+"/mbox\"\n", 0o600)
		return tryWith(t, "", "fetchmail", append([]string{"-f", rc, "--nodetach", "--nosyslog", "--pidfile", dir + "/pid", "--idfile", dir + "/ids"}, args...)...)
	}
	fetched := func() int {
		mbox, err := os.ReadFile(filepath.Join(dir, "mbox"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Count(string(mbox), "\nSubject: letter ")
	}
	const clear, starttls, overTLS = "sslproto ''", "sslproto 'tls1.2+'", "ssl"
	if out, err := run(port(s.pop), clear, "--check"); err != nil || !strings.Contains(out, "3 messages") {
		t.Errorf("check: %v: %s", err, out)
	}
	s.wantFlags(t, "fetchmail", "1", "2", "3")
	if out, err := run(port(s.pop), starttls, "--keep"); err != nil {
		t.Errorf("keep: %v: %s", err, out)
	}
	if out, err := run(port(s.pop), clear, "--keep"); exitCode(err) != 1 { // its sign for: nothing new
		t.Errorf("keep again: %v: %s", err, out)
	}
	if n := fetched(); n != 3 {
		t.Errorf("%d letters fetched, want each of 3 once", n)
	}
	if out, err := run(port(s.popTLS), overTLS, "--fetchall", "--nokeep"); err != nil {
		t.Errorf("delete: %v: %s", err, out)
	}
	s.wantSubjects(t, "fetchmail", "INBOX")
	if n := fetched(); n != 6 {
		t.Errorf("%d letters fetched, want each of 3 twice", n)
	}
}

// wantFlags waits until the INBOX of an account holds the messages with these
// UIDs and is \Seen or not: a session marks what it has sent when it is over.
func (s *server) wantFlags(t *testing.T, account string, want ...string) {
	t.Helper()
	c := signInIMAP(t, s, account)
	c.send("b SELECT INBOX")
	c.until("b OK")
	form := regexp.MustCompile(`UID (\d+)`)
	var got []string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		c.send("c UID FETCH 1:* FLAGS")
		got = nil
		for _, line := range c.until("c OK") {
			if uid := form.FindStringSubmatch(line); uid != nil && strings.Contains(line, `\Seen`) {
				got = append(got, uid[1]+` \Seen`)
			} else if uid != nil {
				got = append(got, uid[1])
			}
		}
		if slices.Equal(got, want) {
			return
		}
	}
	t.Errorf("INBOX of %s holds %q, want %q", account, got, want)
}
