package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// TestIMAPClients tries mail programs and libraries as their users set them up,
// with quick resynchronisation and compression where they can.
func TestIMAPClients(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann", "neomutt", "alpine", "offline", "flow", "gopher")
	t.Run("neomutt", func(t *testing.T) { tryNeomutt(t, s) })
	t.Run("alpine", func(t *testing.T) { tryAlpine(t, s) })
	t.Run("offlineimap", func(t *testing.T) { tryOfflineIMAP(t, s) })
	t.Run("imapflow", func(t *testing.T) { tryIMAPFlow(t, s) })
	t.Run("imapclient", func(t *testing.T) { tryIMAPClient(t, s) })
}

// tryNeomutt copies, flags and deletes, then comes back to a mailbox that it has in
// its header cache, with QRESYNC.
func tryNeomutt(t *testing.T, s *server) {
	program(t, "neomutt")
	s.deliver("neomutt", 3)
	dir := t.TempDir()
	run := func(keys string) {
		t.Helper()
		rc := write(t, dir, "rc", fmt.Sprintf(`set imap_user="%s"
set imap_pass="%s"
set ssl_starttls=no
set ssl_force_tls=no
set sort=mailbox-order
set imap_poll_timeout=0
set connect_timeout=200
set imap_condstore=yes
set imap_qresync=yes
set header_cache="%s/cache"
set confirmappend=no
set confirmcreate=no
set delete=yes
set move=no
set mark_old=no
set sleep_time=0
set wait_key=no
set resolve=no
set folder="%s"
push "%s<quit>"
`, address("neomutt"), password, dir, dir, keys), 0o600)
		inTerminal(t, dir, "neomutt -n -F "+rc+" -f imap://127.0.0.1:"+port(s.imap)+"/INBOX").end()
	}
	run("<last-entry><copy-message>imap://127.0.0.1:" + port(s.imap) + "/kept<enter><flag-message><first-entry><delete-message><sync-mailbox>")
	s.wantSubjects(t, "neomutt", "INBOX", "letter 2", "letter 3")
	s.wantSubjects(t, "neomutt", "kept", "letter 3")
	s.deliver("neomutt", 1) // a second "letter 1"
	run("<last-entry><flag-message><first-entry><delete-message><sync-mailbox>")
	s.wantSubjects(t, "neomutt", "INBOX", "letter 3", "letter 1")
	if mbox := s.run("message", "export", address("neomutt"), "INBOX", "-"); strings.Count(mbox, "\nX-Status: F\n") != 2 {
		t.Errorf("want two messages flagged:\n%s", mbox)
	}
}

// tryAlpine reads, saves and expunges.
func tryAlpine(t *testing.T, s *server) {
	program(t, "alpine")
	s.deliver("alpine", 3)
	dir := t.TempDir()
	rc := write(t, dir, "rc", fmt.Sprintf(`personal-name=Alpine
inbox-path={127.0.0.1:%s/imap/notls/user=%s}INBOX
folder-collections=far {127.0.0.1:%s/imap/notls/user=%s}[]
feature-list=expunge-without-confirm-everywhere,quit-without-confirm,save-will-not-delete,disable-password-file-saving
last-version-used=9.99
tcp-open-timeout=200
tcp-read-warning-timeout=200
user-domain=company.test
`, port(s.imap), address("alpine"), port(s.imap), address("alpine")), 0o600)
	// The list of messages, save the first in Drafts, delete the second, expunge, quit.
	alpine := inTerminal(t, dir, "alpine -p "+rc+` -I 'i,"1",CR,s,"Drafts",CR,n,d,x,q'`)
	alpine.answer("PASSWORD", password+"\r")
	alpine.end()
	s.wantSubjects(t, "alpine", "Drafts", "letter 1")
	s.wantSubjects(t, "alpine", "INBOX", "letter 1", "letter 3")
}

// tryOfflineIMAP brings a mailbox here, and what was changed here there.
func tryOfflineIMAP(t *testing.T, s *server) {
	program(t, "offlineimap")
	s.deliver("offline", 3)
	dir := t.TempDir()
	rc := write(t, dir, "rc", fmt.Sprintf(`[general]
accounts = a
metadata = %s/meta
ui = basic
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = %s/mail
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = %s
remoteuser = %s
remotepass = %s
ssl = no
starttls = no
auth_mechanisms = PLAIN
`, dir, dir, port(s.imap), address("offline"), password), 0o600)
	sync := func() { t.Helper(); tool(t, "", "offlineimap", "-c", rc, "-o", "-u", "basic") }
	sync()
	local, err := filepath.Glob(filepath.Join(dir, "mail", "INBOX", "new", "*"))
	if err != nil || len(local) != 3 {
		t.Fatalf("offlineimap fetched %d messages (%v), want 3", len(local), err)
	}
	name, _, _ := strings.Cut(filepath.Base(local[0]), ":2,")
	if err := os.Rename(local[0], filepath.Join(dir, "mail", "INBOX", "cur", name+":2,FS")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(local[1]); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "mail", "INBOX", "cur"), "1.local:2,S", letter(address("offline"), address("ann"), "from here"), 0o600)
	sync()
	if got := s.subjects("offline", "INBOX"); len(got) != 3 || got[2] != "from here" {
		t.Errorf("INBOX holds %q, want two letters and the one written here", got)
	}
	mbox := s.run("message", "export", address("offline"), "INBOX", "-")
	if strings.Count(mbox, "\nStatus: RO\n") != 2 || strings.Count(mbox, "\nX-Status: F\n") != 1 {
		t.Errorf("want two messages seen and one flagged:\n%s", mbox)
	}
}

// tryIMAPFlow runs a script over imapflow, which npm fetches: compressed, and coming
// back with what it knew before.
func tryIMAPFlow(t *testing.T, s *server) {
	program(t, "node")
	dir := t.TempDir()
	fetchModule(t, dir, "imapflow", "1.0.188")
	s.deliver("flow", 4)
	file := write(t, dir, "try.js", flowScript, 0o600)
	tool(t, "", "node", file, port(s.imap), port(s.imapTLS), address("flow"), password)
	s.wantSubjects(t, "flow", "INBOX", "letter 1", "letter 3", "appended")
	s.wantSubjects(t, "flow", "work", "letter 4")
}

const flowScript = `
const assert = require("assert");
const { ImapFlow } = require("imapflow");
const [, , port, tlsPort, user, pass] = process.argv;
const open = async (port, secure) => {
  const c = new ImapFlow({ host: "127.0.0.1", port: Number(port), secure, auth: { user, pass },
    tls: { rejectUnauthorized: false }, logger: false, qresync: true,
    connectionTimeout: 200000, greetingTimeout: 200000 });
  await c.connect();
  for (const name of ["CONDSTORE", "QRESYNC"]) assert(c.capabilities.has(name), name);
  assert(c.enabled.has("QRESYNC"), "QRESYNC is not enabled");
  assert(c._deflate, "the connection is not compressed");
  return c;
};
const list = async (c, range, query, options) => {
  const got = [];
  for await (const m of c.fetch(range, query, options)) got.push(m);
  return got;
};
(async () => {
  const c = await open(port, false);
  let lock = await c.getMailboxLock("INBOX");
  assert.equal(c.mailbox.exists, 4);
  const known = { modseq: c.mailbox.highestModseq, validity: c.mailbox.uidValidity };
  const all = await list(c, "1:*", { uid: true, flags: true, envelope: true, bodyStructure: true, source: true, threadId: true });
  assert.deepEqual(all.map((m) => m.envelope.subject), ["letter 1", "letter 2", "letter 3", "letter 4"]);
  assert(all[0].source.toString().includes("Subject: letter 1\r\n"));
  assert.deepEqual(await c.search({ subject: "letter 3" }, { uid: true }), [3]);
  assert(await c.messageFlagsAdd("1", ["\\Seen", "project"]));
  assert(await c.messageDelete("2"));
  lock.release();
  await c.mailboxCreate("work");
  lock = await c.getMailboxLock("INBOX");
  const moved = await c.messageMove("3", "work");
  assert.equal(moved.uidMap.size, 1);
  const appended = await c.append("INBOX", "Subject: appended\r\n\r\nText\r\n", ["\\Flagged"]);
  assert(appended.uid);
  lock.release();
  const status = await c.status("INBOX", { messages: true, unseen: true, highestModseq: true });
  assert.equal(status.messages, 3);
  assert.equal(status.unseen, 2);
  const quota = await c.getQuota("INBOX");
  assert(quota, "no quota");
  await c.logout();

  const again = await open(tlsPort, true);
  lock = await again.getMailboxLock("INBOX");
  assert.equal(again.mailbox.uidValidity, known.validity);
  const changed = await list(again, "1:*", { uid: true, flags: true }, { uid: true, changedSince: known.modseq });
  assert.deepEqual(changed.map((m) => m.uid), [1, 5]);
  assert(changed[0].flags.has("project") && changed[1].flags.has("\\Flagged"));
  lock.release();
  await again.logout();
})().catch((err) => { console.error(err); process.exit(1); });
`

// tryIMAPClient uses go-imap's client.
func tryIMAPClient(t *testing.T, s *server) {
	s.deliver("gopher", 3)
	c, err := imapclient.DialInsecure(s.imap, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(c.Login(address("gopher"), password).Wait())
	selected, err := c.Select("INBOX", &imap.SelectOptions{CondStore: true}).Wait()
	check(err)
	if selected.NumMessages != 3 || selected.HighestModSeq == 0 {
		t.Errorf("selected %+v", selected)
	}
	all := imap.SeqSetNum(1, 2, 3)
	messages, err := c.Fetch(all, &imap.FetchOptions{
		UID: true, Flags: true, Envelope: true, RFC822Size: true, ModSeq: true, BodyStructure: &imap.FetchItemBodyStructure{Extended: true},
		BodySection:   []*imap.FetchItemBodySection{{Peek: true}},
		BinarySection: []*imap.FetchItemBinarySection{{Part: []int{1}, Peek: true}}, BinarySectionSize: []*imap.FetchItemBinarySectionSize{{Part: []int{1}}},
	}).Collect()
	check(err)
	if len(messages) != 3 || messages[1].Envelope.Subject != "letter 2" || len(messages[1].BinarySection) != 1 {
		t.Fatalf("fetched %+v", messages)
	}
	if m := messages[1]; int(m.RFC822Size) != len(m.BodySection[0].Bytes) || int(m.BinarySectionSize[0].Size) != len(m.BinarySection[0].Bytes) {
		t.Errorf("sizes %d and %d", m.RFC822Size, m.BinarySectionSize[0].Size)
	}
	check(c.SetACL("INBOX", imap.RightsIdentifier(address("ann")), imap.RightModificationReplace, imap.RightSet("lr")).Wait())
	acl, err := c.GetACL("INBOX").Wait()
	check(err)
	if got := acl.Rights[imap.RightsIdentifier(address("ann"))]; string(got) != "lr" {
		t.Errorf("ann has %q of %v", got, acl.Rights)
	}
	quotas, err := c.GetQuotaRoot("INBOX").Wait()
	check(err)
	if len(quotas) != 1 || quotas[0].Resources[imap.QuotaResourceType("MAILBOX")].Usage == 0 {
		t.Errorf("quota roots %+v", quotas)
	}
	comment := []byte("mine")
	check(c.SetMetadata("INBOX", map[string]*[]byte{"/private/comment": &comment}).Wait())
	metadata, err := c.GetMetadata("INBOX", []string{"/private/comment"}, nil).Wait()
	check(err)
	if got := metadata.Entries["/private/comment"]; got == nil || string(*got) != "mine" {
		t.Errorf("metadata %+v", metadata)
	}
	moved, err := c.Move(imap.SeqSetNum(2), "Drafts").Wait()
	check(err)
	if moved.UIDValidity == 0 {
		t.Errorf("moved %+v", moved)
	}
	check(c.Logout().Wait())
	s.wantSubjects(t, "gopher", "INBOX", "letter 1", "letter 3")
	s.wantSubjects(t, "gopher", "Drafts", "letter 2")
}
