package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestPOPClients tries programs that fetch by POP as their users set them up:
// keeping and deleting on the server, looking at headers or unique-ids alone,
// over STLS and TLS as far as each can.
func TestPOPClients(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann", "getmail", "mutt", "node")
	t.Run("getmail", func(t *testing.T) { tryGetmail(t, s) })
	t.Run("mutt", func(t *testing.T) { tryMuttPOP(t, s) })
	t.Run("node-pop3", func(t *testing.T) { tryNodePOP3(t, s) })
}

// tryGetmail: keep, then nothing new by unique-ids, then delete, over TLS. It
// knows neither STLS nor TOP.
func tryGetmail(t *testing.T, s *server) {
	program(t, "getmail")
	s.deliver("getmail", 3)
	dir := t.TempDir()
	mda := write(t, dir, "mda", "#!/bin/sh\ncat >>"+dir+"/got\n", 0o700)
	config := func(name, retriever, port, more string) string {
		return write(t, dir, name, fmt.Sprintf(`[retriever]
type = %s
server = 127.0.0.1
port = %s
username = %s
password = %s
timeout = 200
[destination]
type = MDA_external
path = %s
allow_root_commands = true
[options]
%s`, retriever, port, address("getmail"), password, mda, more), 0o600)
	}
	fetched := func() int {
		got, err := os.ReadFile(filepath.Join(dir, "got"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(got), "\nSubject: letter ")
	}
	run := func(rc string) { tool(t, "", "getmail", "--getmaildir="+dir, "--rcfile="+rc) }
	keep := config("keep", "SimplePOP3Retriever", port(s.pop), "read_all = false\ndelete = false\n")
	run(keep)
	run(keep)
	if n := fetched(); n != 3 {
		t.Errorf("getmail fetched %d letters, want each of 3 once", n)
	}
	s.wantSubjects(t, "getmail", "INBOX", "letter 1", "letter 2", "letter 3")
	run(config("delete", "SimplePOP3SSLRetriever", port(s.popTLS), "read_all = true\ndelete = true\n"))
	s.wantSubjects(t, "getmail", "INBOX")
	if n := fetched(); n != 6 {
		t.Errorf("getmail fetched %d letters, want each of 3 twice", n)
	}
}

// tryMuttPOP opens the maildrop as a mailbox: it lists by TOP and UIDL, reads
// one, deletes one. In clear, by STLS and over TLS.
func tryMuttPOP(t *testing.T, s *server) {
	program(t, "mutt")
	certificates := filepath.Join(s.dir, "data", "self-signed.pem")
	if _, err := os.Stat(certificates); err != nil {
		t.Fatal(err)
	}
	s.deliver("mutt", 4)
	run := func(scheme, address, starttls, keys string) {
		dir := t.TempDir()
		rc := write(t, dir, "rc", fmt.Sprintf(`set pop_user="%s"
set pop_pass="%s"
set ssl_starttls=%s
set ssl_force_tls=no
set ssl_verify_host=no
set ssl_ca_certificates_file="%s"
set pop_delete=yes
set connect_timeout=200
set pop_authenticators="user"
set delete=yes
set move=no
set sleep_time=0
set wait_key=no
set resolve=no
set confirmappend=no
set pipe_decode=no
set folder="%s"
push "%s"
`, "mutt@"+domain, password, starttls, certificates, dir, keys), 0o600)
		inTerminal(t, dir, "mutt -n -F "+rc+" -f "+scheme+"://"+address+"/").end()
	}
	run("pop", s.pop, "no", "<exit>") // headers by TOP, nothing changes
	s.wantSubjects(t, "mutt", "INBOX", "letter 1", "letter 2", "letter 3", "letter 4")
	run("pop", s.pop, "no", "<first-entry><delete-message><sync-mailbox><quit>")
	s.wantSubjects(t, "mutt", "INBOX", "letter 2", "letter 3", "letter 4")
	run("pop", s.pop, "yes", "<last-entry><delete-message><quit>")
	s.wantSubjects(t, "mutt", "INBOX", "letter 2", "letter 3")
	run("pops", s.popTLS, "no", "<first-entry><display-message><exit><delete-message><quit>")
	s.wantSubjects(t, "mutt", "INBOX", "letter 3")
}

// fetchModule lets npm fetch a module into a directory. Where the registry cannot
// be reached, or is slow, the test is skipped.
func fetchModule(t *testing.T, dir, name, version string) {
	t.Helper()
	cmd := exec.Command(program(t, "npm"), "install", "--prefix", dir, "--cache", filepath.Join(dir, "cache"), "--no-audit", "--no-fund", "--no-update-notifier",
		"--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=30000", name+"@"+version)
	cmd.Dir = dir
	out, err := finishWithin(90*time.Second, cmd)
	if err == nil {
		check := exec.Command(program(t, "node"), "-e", "require("+strconv.Quote(name)+")")
		check.Dir = dir
		out, err = finish(check)
	}
	if err != nil {
		t.Skipf("%s cannot be fetched: %v: %s", name, err, out)
	}
}

// tryNodePOP3 runs a script over node-pop3, which npm fetches.
func tryNodePOP3(t *testing.T, s *server) {
	program(t, "node")
	dir := t.TempDir()
	fetchModule(t, dir, "node-pop3", "0.11.0")
	s.deliver("node", 4)
	file := write(t, dir, "try.js", nodeScript, 0o600)
	tool(t, "", "node", file, port(s.pop), port(s.popTLS), address("node"), password)
	s.wantSubjects(t, "node", "INBOX", "letter 1", "letter 3", "letter 4")
}

const nodeScript = `
const assert = require("assert");
const Pop3Command = require("node-pop3");
const tls = require("tls");
const [, , port, tlsPort, user, password] = process.argv;
const open = (port, secure) => new Pop3Command({
  user, password, host: "127.0.0.1", port: Number(port), tls: secure, timeout: 200000,
  tlsOptions: { rejectUnauthorized: false }, servername: "mail.company.test",
});
(async () => {
  let pop = open(port, false);
  const uids = await pop.UIDL();
  assert.strictEqual(uids.length, 4);
  assert.strictEqual(new Set(uids.map((l) => l[1])).size, 4);
  assert.match(await pop.TOP(2, 1), /Subject: letter 2\r\n[^]*\r\n\r\nDear reader,/);
  await pop.QUIT();

  pop = open(tlsPort, true);
  assert.deepStrictEqual(await pop.UIDL(), uids);
  const text = await pop.RETR(2);
  assert.match(text, /\r\n\.+\r\n\.+\r\nthis is the text\./); // it leaves stuffed dots in
  await pop.command("DELE", 1);
  await pop.command("RSET");
  await pop.command("DELE", 2);
  assert.match((await pop.command("STAT"))[0], /^3 /);
  await pop.QUIT();

  pop = open(port, false);
  await assert.rejects(async () => { pop._PASSInfo = ""; await pop.connect(); await pop.command("USER", user); await pop.command("PASS", "wrong"); }, /\[AUTH\]/);
  pop._socket.destroy();
})().catch((e) => { console.error(e); process.exit(1); });
`
