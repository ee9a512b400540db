package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSMTPSink sends to Postfix's sink, one for each domain, which knows less than
// others, refuses, or hangs up: what it can take it gets in a form that it knows,
// what it refuses for now waits until another one takes it, and what it refuses for
// good comes back.
func TestSMTPSink(t *testing.T) {
	t.Parallel()
	path := "/usr/sbin/smtp-sink"
	if _, err := os.Stat(path); err != nil {
		t.Skip("smtp-sink (of Postfix) is not installed")
	}
	const (
		takes = iota
		waits
		refuses
	)
	cases := []struct {
		domain string
		args   []string
		does   int
		eight  bool // takes octets above 127
	}{
		{"no-8bitmime.test", []string{"-8"}, takes, false},
		{"no-esmtp.test", []string{"-e"}, takes, false},
		{"no-pipelining.test", []string{"-p"}, takes, true},
		{"later-mail.test", []string{"-r", "mail"}, waits, true},
		{"later-rcpt.test", []string{"-r", "rcpt"}, waits, true},
		{"later-data.test", []string{"-r", "data"}, waits, true},
		{"later-message.test", []string{"-r", "."}, waits, true},
		{"hangs-up-mail.test", []string{"-q", "mail"}, waits, true},
		{"hangs-up-data.test", []string{"-q", "data"}, waits, true},
		{"never-rcpt.test", []string{"-f", "rcpt"}, refuses, true},
	}
	addrs := freeAddresses(t, len(cases))
	routes := "log.level = 4\nqueue.retry = [\"1s\"]\n"
	for i, c := range cases {
		routes += "[[queue.route]]\ndomain = \"" + c.domain + "\"\nhost = \"" + addrs[i] + "\"\n"
	}
	s := newServer(t, routes, "ann")
	for i, c := range cases {
		t.Run(c.domain, func(t *testing.T) {
			subject := "for " + c.domain
			dir, stop := startSink(t, path, addrs[i], c.args...)
			mail := strings.Replace(letter(address("ann"), "bob@"+c.domain, subject), "this is the text", "gr\u00fc\u00dfe", 1)
			tool(t, mail, "curl", "-sSk", "--crlf", "--ssl-reqd", "--url", "smtp://"+s.submission,
				"--user", address("ann")+":"+password, "--mail-from", address("ann"), "--mail-rcpt", "bob@"+c.domain, "--upload-file", "-")
			switch c.does {
			case waits:
				until(t, "it was tried", func() bool { return attempted.MatchString(s.run("queue", "list", "--domain", c.domain, "--json")) })
				stop()
				dir, _ = startSink(t, path, addrs[i])
			case refuses:
				until(t, "it has come back", func() bool {
					return strings.Contains(s.run("message", "export", address("ann"), "INBOX", "-"), "\nFinal-Recipient: rfc822; bob@"+c.domain)
				})
				return
			}
			var taken string
			until(t, "it is taken", func() bool {
				taken = dumped(t, dir)
				return strings.Contains(taken, "\nSubject: "+subject+"\n") && !strings.Contains(s.run("queue", "list", "--domain", c.domain), "<bob@")
			})
			if got := strings.Contains(taken, "\ngr\u00fc\u00dfe.\n"); got != c.eight {
				t.Errorf("octets above 127 came: %v; the sink has\n%s", got, taken)
			}
		})
	}
}

// startSink starts a sink that keeps messages in a directory, and waits until it
// takes connections.
func startSink(t *testing.T, path, addr string, args ...string) (dir string, stop func()) {
	t.Helper()
	dir = t.TempDir()
	if os.Getuid() == 0 {
		args = append(args, "-u", "root")
	}
	cmd := exec.Command(path, append(args, "-D", filepath.Join(dir, "mail."), addr, "10")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(ended)
	}()
	stop = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	t.Cleanup(stop)
	until(t, "the sink is there", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return dir, stop
}

// dumped returns what a sink has written.
func dumped(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "mail.*"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
