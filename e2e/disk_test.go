package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFullDisk fills the disk under a running server. It refuses mail for the
// time being, goes on serving what it has, says so in its status, takes mail
// again when there is room, and has lost nothing. It needs a small file system
// of its own, which only root can mount.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := prepare(t, "security.client_addresses = []\nmailauth.check = false\n")
	data := filepath.Join(s.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=24M", "tmpfs", data).CombinedOutput(); err != nil {
		t.Skipf("no file system of our own: mount: %v %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "--lazy", data).Run() })
	s.start()
	t.Cleanup(s.stop)
	s.run("domain", "add", domain)
	s.runWith(password+"\n", "account", "add", address("ann"), "--password-stdin")

	var c *textConn
	connect := func() {
		c = dialText(t, s.smtp)
		c.want("220")
		c.send("EHLO client.test")
		c.until("250 ")
	}
	connect()
	big := strings.Repeat(strings.Repeat("x", 70)+"\r\n", 2500) // below the size that gets a file of its own
	deliver := func(text string) string {
		c.send("MAIL FROM:<sender@elsewhere.test>")
		if reply := c.line(); !strings.HasPrefix(reply, "250") {
			return reply
		}
		c.send("RCPT TO:<%s>", address("ann"))
		if reply := c.line(); !strings.HasPrefix(reply, "250") {
			c.send("RSET")
			c.want("250")
			return reply
		}
		c.send("DATA")
		c.want("354")
		c.send("Subject: filler\r\n\r\n%s.", text)
		return c.line()
	}
	taken, reply := 0, ""
	for ; taken < 1000; taken++ {
		if reply = deliver(big); !strings.HasPrefix(reply, "250") {
			break
		}
	}
	if !strings.HasPrefix(reply, "452") {
		t.Fatalf("after %d messages the server says %q, not 452", taken, reply)
	}
	if out := s.run("store", "status"); !strings.Contains(out, "no space") {
		t.Errorf("store status does not say that the disk is full:\n%s", out)
	}
	pop := signInPOP(t, s, address("ann"))
	pop.send("STAT")
	if got := pop.want("+OK"); !strings.HasPrefix(got, "+OK "+itoa(taken)+" ") {
		t.Errorf("%d messages were acknowledged, STAT says %q", taken, got)
	}
	pop.send("RETR 1")
	pop.want("+OK")
	pop.dotText()

	if out, err := exec.Command("mount", "-o", "remount,size=200M", data).CombinedOutput(); err != nil {
		t.Fatalf("remount: %v %s", err, out)
	}
	deadline := time.Now().Add(patience)
	for !strings.HasPrefix(deliver("there is room again\r\n"), "250") {
		if time.Now().After(deadline) {
			t.Fatal("the disk has room again, and the server takes no mail")
		}
		time.Sleep(100 * time.Millisecond) // for the server to try the disk again
		connect()                          // a session that errs too often is closed
	}
	pop.send("DELE 1")
	pop.want("+OK")
	pop.send("QUIT")
	pop.want("+OK")
}
