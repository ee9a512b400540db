package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadAndChangeByIMAP(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "ann", "curl", "mbsync", "mutt", "imaplib")
	t.Run("curl", func(t *testing.T) {
		s.deliver("curl", 2)
		user := address("curl") + ":" + password
		got := tool(t, "", "curl", "-sSk", "--ssl-reqd", "--user", user, "imap://"+s.imap+"/INBOX;UID=2")
		if want := strings.ReplaceAll(letter(address("ann"), address("curl"), "letter 2"), "\n", "\r\n"); got != want {
			t.Errorf("message 2 is %q, want %q", got, want)
		}
		got = tool(t, "", "curl", "-sSk", "--user", user, "imaps://"+s.imapTLS+"/INBOX?SUBJECT%20%22letter%201%22")
		if strings.TrimSpace(got) != "* SEARCH 1" {
			t.Errorf("the search answered %q", got)
		}
		file := write(t, t.TempDir(), "draft", strings.ReplaceAll(letter(address("curl"), address("ann"), "by upload"), "\n", "\r\n"), 0o600)
		tool(t, "", "curl", "-sSk", "--user", user, "--upload-file", file, "imaps://"+s.imapTLS+"/Drafts")
		s.wantSubjects(t, "curl", "Drafts", "by upload")
	})
	t.Run("mbsync", func(t *testing.T) {
		s.deliver("mbsync", 3)
		dir := t.TempDir()
		rc := write(t, dir, "rc", fmt.Sprintf(`IMAPAccount tripost
Host 127.0.0.1
Port %s
User %s
Pass "%s"
SSLType None
AuthMechs LOGIN
Timeout 200

IMAPStore far
Account tripost

MaildirStore near
Path %s/mail/
Inbox %s/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
`, port(s.imap), address("mbsync"), password, dir, dir), 0o600)
		if err := os.MkdirAll(filepath.Join(dir, "mail"), 0o700); err != nil {
			t.Fatal(err)
		}
		sync := func() { t.Helper(); tool(t, "", "mbsync", "-c", rc, "all") }
		sync()
		local, err := filepath.Glob(filepath.Join(dir, "mail", "INBOX", "new", "*"))
		if err != nil || len(local) != 3 {
			t.Fatalf("mbsync fetched %d messages (%v), want 3", len(local), err)
		}
		for _, box := range []string{"Sent", "Drafts", "Trash"} {
			if _, err := os.Stat(filepath.Join(dir, "mail", box)); err != nil {
				t.Error(err)
			}
		}
		// One message read, one removed and one written on this side.
		seen := filepath.Join(dir, "mail", "INBOX", "cur", filepath.Base(local[0])+"S")
		if !strings.Contains(local[0], ":2,") {
			seen = filepath.Join(dir, "mail", "INBOX", "cur", filepath.Base(local[0])+":2,S")
		}
		if err := os.Rename(local[0], seen); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(local[1]); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "mail", "INBOX", "cur"), "1.local:2,F", letter(address("mbsync"), address("ann"), "from here"), 0o600)
		sync()
		got := s.subjects("mbsync", "INBOX")
		if len(got) != 3 || got[2] != "from here" {
			t.Errorf("INBOX holds %q, want two letters and the one written here", got)
		}
		mbox := s.run("message", "export", address("mbsync"), "INBOX", "-")
		if strings.Count(mbox, "\nStatus: RO\n") != 1 || strings.Count(mbox, "\nX-Status: F\n") != 1 {
			t.Errorf("want one message seen and one flagged:\n%s", mbox)
		}
	})
	t.Run("mutt", func(t *testing.T) {
		program(t, "mutt")
		s.deliver("mutt", 3)
		dir := t.TempDir()
		rc := write(t, dir, "rc", fmt.Sprintf(`set imap_user="%s"
set imap_pass="%s"
set ssl_starttls=no
set ssl_force_tls=no
set imap_keepalive=60
set imap_poll_timeout=0
set connect_timeout=200
set confirmappend=no
set confirmcreate=no
set delete=yes
set move=no
set mark_old=no
set sleep_time=0
set wait_key=no
set resolve=no
set folder="%s"
push "<last-entry><copy-message>imap://127.0.0.1:%s/kept<enter><flag-message><first-entry><delete-message><sync-mailbox><quit>"
`, address("mutt"), password, dir, port(s.imap)), 0o600)
		inTerminal(t, dir, "mutt -n -F "+rc+" -f imap://127.0.0.1:"+port(s.imap)+"/INBOX").end()
		s.wantSubjects(t, "mutt", "INBOX", "letter 2", "letter 3")
		s.wantSubjects(t, "mutt", "kept", "letter 3")
		if mbox := s.run("message", "export", address("mutt"), "INBOX", "-"); strings.Count(mbox, "\nX-Status: F\n") != 1 {
			t.Errorf("want one message flagged:\n%s", mbox)
		}
	})
	t.Run("imaplib", func(t *testing.T) {
		s.deliver("imaplib", 3)
		tool(t, "", "python3", "-c", imaplibScript, port(s.imap), port(s.imapTLS), address("imaplib"))
		s.wantSubjects(t, "imaplib", "INBOX", "letter 2", "letter 3")
		s.wantSubjects(t, "imaplib", "work/2026", "letter 2", "appended")
	})
}

const imaplibScript = `
import imaplib, ssl, sys, time
plain, tls, user, password = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], "tulip fields"
context = ssl._create_unverified_context()
def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]
c = imaplib.IMAP4("127.0.0.1", plain)
ok(c.starttls(context))
ok(c.login(user, password))
assert ok(c.select("INBOX")) == [b"3"]
assert ok(c.search(None, "UNSEEN")) == [b"1 2 3"]
assert ok(c.search(None, "SUBJECT", '"letter 2"')) == [b"2"]
assert ok(c.search(None, "BODY", '"this is the text"')) == [b"1 2 3"]
data = ok(c.fetch("1", "(FLAGS UID RFC822.SIZE BODY.PEEK[])"))
body = data[0][1]
assert b"RFC822.SIZE %d" % len(body) in data[0][0], data
assert b"Subject: letter 1\r\n" in body
assert ok(c.search(None, "SEEN")) == [b""]
ok(c.fetch("1", "(BODY[TEXT])"))
assert ok(c.search(None, "SEEN")) == [b"1"]
ok(c.store("2", "+FLAGS", r"(\Flagged project)"))
assert ok(c.search(None, "FLAGGED", "KEYWORD", "project")) == [b"2"]
ok(c.create("work/2026"))
names = ok(c.list())
assert any(n.endswith(b'"/" work') or n.endswith(b'"/" "work"') for n in names), names
ok(c.copy("2", "work/2026"))
ok(c.append("work/2026", r"(\Seen)", imaplib.Time2Internaldate(time.time()), b"Subject: appended\r\n\r\ntext\r\n"))
ok(c.status("work/2026", "(MESSAGES UNSEEN UIDNEXT)"))
ok(c.store("1", "+FLAGS", r"(\Deleted)"))
assert ok(c.expunge()) == [b"1"]
ok(c.subscribe("work/2026"))
assert any(b"work/2026" in n for n in ok(c.lsub()))
assert ok(c.namespace())
ok(c.close())
c.logout()
c = imaplib.IMAP4_SSL("127.0.0.1", tls, ssl_context=context)
ok(c.authenticate("PLAIN", lambda _: b"\0" + user.encode() + b"\0" + password.encode()))
assert ok(c.select("work/2026", readonly=True)) == [b"2"]
flags = ok(c.fetch("1:2", "(FLAGS)"))
assert b"project" in flags[0] and rb"\Flagged" in flags[0] and rb"\Seen" in flags[1], flags
c.logout()
c = imaplib.IMAP4("127.0.0.1", plain)
try:
    c.login(user, "wrong")
    raise SystemExit("a wrong password was taken")
except imaplib.IMAP4.error as e:
    assert "AUTHENTICATIONFAILED" in str(e), e
`
