package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPostfix exchanges mail with Postfix, over TLS both ways: what its
// smtp-source gives it comes to us, and what our users send comes to a mailbox
// there, octet for octet.
func TestPostfix(t *testing.T) {
	t.Parallel()
	program(t, "postfix")
	program(t, "smtp-source")
	if os.Getuid() != 0 {
		t.Skip("Postfix is started by root alone")
	}
	const messages = 50
	there := freeAddresses(t, 1)[0]
	s := prepare(t, "queue.smarthost = \""+there+"\"\n")
	p := startPostfix(t, there, s.smtp)
	s.start()
	t.Cleanup(s.stop)
	s.run("domain", "add", domain)
	for _, name := range []string{"ann", "bob"} {
		s.runWith(password+"\n", "account", "add", address(name), "--password-stdin")
	}

	tool(t, "", "smtp-source", "-s", "5", "-m", strconv.Itoa(messages), "-l", "3000", "-f", "user@far.test", "-t", address("bob"), there)
	until(t, "all messages from Postfix are there", func() bool {
		return strings.Count(s.run("message", "export", address("bob"), "INBOX", "-"), "\nReturn-Path: <user@far.test>\n") == messages
	})
	got := s.run("message", "export", address("bob"), "INBOX", "-")
	if n := strings.Count(got, "with ESMTPS id"); n < messages {
		t.Errorf("%d of %d messages came over TLS", n, messages)
	}

	ann := &site{server: s, user: address("ann"), other: &site{user: "user@far.test"}}
	for i := range messages {
		if err := submit(ann, fmt.Sprintf("ours-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	box := filepath.Join(p.dir, "mail", "user", "new")
	until(t, "all messages to Postfix are there", func() bool {
		files, err := os.ReadDir(box)
		return err == nil && len(files) == messages
	})
	files, err := filepath.Glob(filepath.Join(box, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		header, body, _ := strings.Cut(string(text), "\n\n")
		m := exported{header: strings.ReplaceAll(header, "\n\t", " ")}
		id := m.field("X-Exchange")
		if want := strings.ReplaceAll(exchangeText(id), "\r\n", "\n"); body != want {
			t.Errorf("%s arrived at Postfix as\n%q\nwant\n%q", id, body, want)
		}
		if !strings.Contains(header, "using TLSv1.3") {
			t.Errorf("%s did not come over TLS:\n%s", id, header)
		}
	}
}

// postfix is a Postfix in a scratch directory, on a loopback port. It keeps what
// is for far.test and sends everything else to one host.
type postfix struct {
	t   *testing.T
	dir string
}

func startPostfix(t *testing.T, addr, relay string) *postfix {
	t.Helper()
	dir, err := os.MkdirTemp("", "postfix-e2e-") // its users must be able to enter it
	if err != nil {
		t.Fatal(err)
	}
	p := &postfix{t: t, dir: dir}
	t.Cleanup(func() {
		_, _ = exec.Command("postfix", "-c", dir, "abort").CombinedOutput() // it may not have come up
		until(t, "Postfix is gone", func() bool { return os.RemoveAll(dir) == nil && !answers(addr) })
	})
	owner, err := osuser.Lookup("postfix")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	for _, sub := range []string{"queue", "data", "mail"} {
		path := filepath.Join(dir, sub)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if sub != "queue" {
			if err := os.Chown(path, uid, gid); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	newCertifier(t).files(dir, "mail.far.test")
	p.configure(addr, relay, uid, gid)
	tool(t, "", "postfix", "-c", dir, "start")
	until(t, "Postfix answers", func() bool {
		return answers(addr)
	})
	return p
}

func (p *postfix) configure(addr, relay string, uid, gid int) {
	p.t.Helper()
	host, port, _ := net.SplitHostPort(relay)
	write(p.t, p.dir, "main.cf", fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.far.test
mydestination =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
relayhost = [%[2]s]:%[3]s
virtual_mailbox_domains = far.test
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = inline:{ user@far.test=user/ }
virtual_uid_maps = static:%[4]d
virtual_gid_maps = static:%[5]d
virtual_minimum_uid = 1
alias_maps =
alias_database =
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtp_tls_security_level = encrypt
smtpd_tls_security_level = may
smtpd_tls_cert_file = %[1]s/cert.pem
smtpd_tls_key_file = %[1]s/key.pem
smtpd_tls_received_header = yes
`, p.dir, host, port, uid, gid), 0o644)
	master, err := os.ReadFile("/usr/share/postfix/master.cf.dist")
	if err != nil {
		p.t.Skip("Postfix has no master.cf to start from")
	}
	_, listen, _ := net.SplitHostPort(addr)
	var services strings.Builder
	for line := range strings.Lines(string(master)) {
		fields := strings.Fields(line)
		if len(fields) > 7 && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, " ") {
			if fields[0] == "smtp" && fields[1] == "inet" {
				fields[0] = listen
			}
			fields[4] = "n" // no chroot
			line = strings.Join(fields, " ") + "\n"
		}
		services.WriteString(line)
	}
	write(p.t, p.dir, "master.cf", services.String(), 0o644)
}
