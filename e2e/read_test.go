package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// deliver puts letters with the subjects "letter 1" to "letter n" into an INBOX.
func (s *server) deliver(name string, n int) {
	s.t.Helper()
	var mbox strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&mbox, "From ann@company.test Mon Jan  5 10:00:%02d 2026\n%s\n", i, letter(address("ann"), address(name), fmt.Sprint("letter ", i)))
	}
	s.runWith(mbox.String(), "message", "import", address(name), "INBOX", "-")
}

// subjects lists the subjects of a mailbox in order.
func (s *server) subjects(name, mailbox string) []string {
	s.t.Helper()
	var list []string
	for line := range strings.Lines(s.run("message", "export", address(name), mailbox, "-")) {
		if subject, ok := strings.CutPrefix(line, "Subject: "); ok {
			list = append(list, strings.TrimSpace(subject))
		}
	}
	return list
}

func (s *server) wantSubjects(t *testing.T, name, mailbox string, want ...string) {
	t.Helper()
	if got := s.subjects(name, mailbox); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%s of %s holds %q, want %q", mailbox, name, got, want)
	}
}

func TestReadByPOP(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann", "curl", "fetchmail", "mpop", "poplib")
	t.Run("curl", func(t *testing.T) {
		s.deliver("curl", 2)
		user := address("curl") + ":" + password
		list := tool(t, "", "curl", "-sS", "--user", user, "pop3://"+s.pop+"/")
		if strings.Count(list, "\n") != 2 {
			t.Errorf("the list is %q", list)
		}
		first := tool(t, "", "curl", "-sSk", "--ssl-reqd", "--user", user, "pop3://"+s.pop+"/1")
		if want := strings.ReplaceAll(letter(address("ann"), address("curl"), "letter 1"), "\n", "\r\n"); first != want {
			t.Errorf("message 1 is %q, want %q", first, want)
		}
		tool(t, "", "curl", "-sSk", "--login-options", "AUTH=LOGIN", "--user", user, "pop3s://"+s.popTLS+"/2")
		tool(t, "", "curl", "-sS", "--user", user, "--request", "DELE 1", "--head", "pop3://"+s.pop+"/")
		s.wantSubjects(t, "curl", "INBOX", "letter 2")
	})
	t.Run("fetchmail", func(t *testing.T) {
		s.deliver("fetchmail", 3)
		dir := t.TempDir()
		mda := write(t, dir, "mda", "#!/bin/sh\ncat >>"+dir+"/got\n", 0o700)
		rc := func(server, user string) string {
			return write(t, dir, "rc", fmt.Sprintf("poll 127.0.0.1 protocol POP3 port %s %s user %q password %q %s mda %q\n",
				port(s.pop), server, address("fetchmail"), password, user, mda), 0o600)
		}
		own := []string{"--nodetach", "--nosyslog", "--pidfile", dir + "/pid", "--idfile", dir + "/ids", "-f"} // one at a time may have the user's
		tool(t, "", "fetchmail", append(own, rc("uidl", "sslproto '' keep"))...)
		s.wantSubjects(t, "fetchmail", "INBOX", "letter 1", "letter 2", "letter 3")
		tool(t, "", "fetchmail", append(own, rc("", "no sslcertck fetchall nokeep"))...) // STLS
		s.wantSubjects(t, "fetchmail", "INBOX")
		got, err := os.ReadFile(filepath.Join(dir, "got"))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(got), "\nSubject: letter "); n != 6 {
			t.Errorf("fetchmail handed over %d letters, want each of 3 twice", n)
		}
	})
	t.Run("mpop", func(t *testing.T) {
		s.deliver("mpop", 3)
		dir := t.TempDir()
		common := []string{"--host=127.0.0.1", "--port=" + port(s.pop), "--user=" + address("mpop"), "--passwordeval=echo '" + password + "'", "--auth=user", "--tls=off",
			"--delivery=mbox," + dir + "/mbox", "--uidls-file=" + dir + "/uidls"}
		tool(t, "", "mpop", append(common, "--keep=on")...)
		s.wantSubjects(t, "mpop", "INBOX", "letter 1", "letter 2", "letter 3")
		tool(t, "", "mpop", append(common, "--auth=scram-sha-256", "--keep=off")...)
		s.wantSubjects(t, "mpop", "INBOX")
		got, err := os.ReadFile(filepath.Join(dir, "mbox"))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(got), "\nSubject: letter "); n != 3 {
			t.Errorf("mpop fetched %d letters, want each once", n)
		}
	})
	t.Run("poplib", func(t *testing.T) {
		s.deliver("poplib", 3)
		tool(t, "", "python3", "-c", poplibScript, port(s.pop), port(s.popTLS), address("poplib"))
		s.wantSubjects(t, "poplib", "INBOX", "letter 1", "letter 3")
	})
}

const poplibScript = `
import poplib, ssl, sys
context = ssl._create_unverified_context()
plain, tls, user, password = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], "tulip fields"
c = poplib.POP3("127.0.0.1", plain)
capa = c.capa()
assert "UIDL" in capa and "TOP" in capa and "STLS" in capa, capa
c.stls(context)
assert "STLS" not in c.capa()
c.user(user); c.pass_(password)
count, size = c.stat()
assert count == 3, count
assert sum(int(l.split()[1]) for l in c.list()[1]) == size
uids = c.uidl()[1]
assert len(set(uids)) == 3
lines = c.top(2, 1)[1]
assert b"Subject: letter 2" in lines and lines[-1] == b"Dear reader,", lines
lines, octets = c.retr(2)[1:]
assert lines[-3:] == [b".", b"..", b"this is the text."], lines
assert octets == sum(len(l) + 2 for l in lines)
c.dele(1); c.rset(); c.dele(2)
assert c.stat()[0] == 2
c.quit()
c = poplib.POP3_SSL("127.0.0.1", tls, context=context)
c.user("INBOX#" + user.replace("@", "%")); c.pass_(password)
assert c.uidl()[1] == [b"1 " + uids[0].split()[1], b"2 " + uids[2].split()[1]]
c.quit()
c = poplib.POP3("127.0.0.1", plain)
c.user(user)
try:
    c.pass_("wrong")
    raise SystemExit("a wrong password was taken")
except poplib.error_proto as e:
    assert b"[AUTH]" in e.args[0], e
`
