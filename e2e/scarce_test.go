package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tripost/smtp/dnstest"
)

// limit sets a limit of the running server: of its file descriptors, or of its
// address space.
func (s *server) limit(t *testing.T, what string, value int64) {
	t.Helper()
	tool(t, "", "prlimit", "--pid", strconv.Itoa(s.cmd.Process.Pid), fmt.Sprintf("--%s=%d:", what, value))
}

// descriptors returns how many file descriptors the server has open.
func (s *server) descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		t.Skipf("the system does not tell: %v", err)
	}
	return len(open)
}

// exchanger is a session with the mail exchanger that hands in mail for ann.
type exchanger struct {
	*textConn
	sent int
	told map[string]bool // subjects: acknowledged or refused
}

func newExchanger(t *testing.T, s *server) *exchanger {
	t.Helper()
	x := &exchanger{textConn: dialText(t, s.smtp), told: map[string]bool{}}
	x.greet()
	return x
}

// again goes on in another session, after this one.
func (x *exchanger) again(s *server) {
	x.t.Helper()
	x.send("QUIT")
	x.want("221")
	x.textConn = dialText(x.t, s.smtp)
	x.greet()
}

func (x *exchanger) greet() {
	x.t.Helper()
	x.want("220")
	x.send("EHLO client.test")
	x.until("250 ")
}

// deliver hands in a message and tells whether it was taken; if not, the reply
// must be a temporary one.
func (x *exchanger) deliver(size int) bool {
	x.t.Helper()
	x.sent++
	subject := fmt.Sprint("scarce-", x.sent, ".")
	for _, command := range []string{"MAIL FROM:<sender@elsewhere.test>", "RCPT TO:<" + address("ann") + ">", "DATA"} {
		x.send("%s", command)
		if reply := x.line(); reply[0] == '4' {
			x.told[subject] = false
			x.send("RSET")
			x.want("250")
			return false
		} else if reply[0] == '5' {
			x.t.Fatalf("%s: %s", command, reply)
		}
	}
	x.send("Subject: %s\r\n\r\n%s.", subject, strings.Repeat("the text\r\n", size/10))
	reply := x.line()
	if reply[0] != '2' && reply[0] != '4' {
		x.t.Errorf("a message of %d octets: %s", size, reply)
	}
	x.told[subject] = reply[0] == '2'
	return x.told[subject]
}

// judge looks for what was acknowledged.
func (x *exchanger) judge(s *server) {
	x.t.Helper()
	mbox := s.run("message", "export", address("ann"), "INBOX", "-")
	for subject, taken := range x.told {
		if n := strings.Count(mbox, "\nSubject: "+subject+"\n"); taken && n != 1 {
			x.t.Errorf("%s was acknowledged and is there %d times", subject, n)
		}
	}
}

// TestFewFileDescriptors lets a flood of connections take all file descriptors of
// the server. Sessions that were there go on, and the server takes connections
// and mail again when there are descriptors again.
func TestFewFileDescriptors(t *testing.T) {
	t.Parallel()
	program(t, "prlimit")
	s := newServer(t, "log.level = 3\nsecurity.per_address = 0\nmailauth.check = false\n", "ann")
	x := newExchanger(t, s)
	if !x.deliver(300) || !x.deliver(400_000) {
		t.Fatal("no mail is taken")
	}
	user := (&hostile{T: t, server: s}).signedIn("ann")
	if _, err := user.do("SELECT INBOX"); err != nil {
		t.Fatal(err)
	}
	s.limit(t, "nofile", int64(s.descriptors(t)+3))
	var flood []net.Conn
	for range 40 {
		c, err := net.Dial("tcp", s.imap)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		flood = append(flood, c)
	}
	logs := filepath.Join(s.dir, "data", "SystemLogs", "*.log")
	until(t, "the server says that it has too few descriptors", func() bool {
		files, err := filepath.Glob(logs)
		if err != nil || len(files) == 0 {
			return false
		}
		text, err := os.ReadFile(files[len(files)-1])
		return err == nil && strings.Contains(string(text), "too many open files")
	})
	for _, command := range []string{"NOOP", "FETCH 1:* (FLAGS ENVELOPE)"} {
		if _, err := user.do(command); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
	for _, size := range []int{300, 400_000, 300} { // the second needs a file of its own
		x.deliver(size)
	}
	if lines, err := user.do("FETCH 1 BODY.PEEK[]"); err == errKilled {
		t.Fatalf("reading ended the session: %q", lines)
	}

	for _, c := range flood {
		c.Close()
	}
	s.limit(t, "nofile", 1024) // the few that this gives back may be wanted for other things
	until(t, "mail is taken again", func() bool {
		if x.deliver(400_000) {
			return true
		}
		x.again(s) // a session that errs too often is closed
		return false
	})
	(&hostile{T: t, server: s}).signedIn("ann")
	x.judge(s)
}

// TestLittleMemory takes memory away from the server while it works, until the
// system gives it none. Whether it bears that or ends, nothing that was
// acknowledged is lost, and the next start is clean.
func TestLittleMemory(t *testing.T) {
	t.Parallel()
	program(t, "prlimit")
	s := newServer(t, "log.level = 3\nsecurity.per_address = 0\nmailauth.check = false\n", "user0", "user1")
	sent := &sentMail{acknowledged: map[string]bool{}, progress: new(progress)}
	var senders sync.WaitGroup
	for n := range 4 {
		senders.Go(func() { deliverUntilKilled(s.smtp, fmt.Sprint("m", n), 2, sent.add) })
	}
	sent.progress.await(t, 20)
	s.limit(t, "as", s.addressSpace(t)+(40<<20))
	part := "EHLO x.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<" + address("user0") + ">\r\nDATA\r\n" +
		strings.Repeat(strings.Repeat("x", 70)+"\r\n", 3400) // stays in memory, being short of its own file
	for range 300 {
		c, err := net.Dial("tcp", s.smtp)
		if err != nil {
			break // it has ended
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(time.Second)) // one that does not read any more is as good as gone
		c.Write([]byte(part))                      // who is refused has no use for it
	}
	s.kill()
	senders.Wait()
	t.Logf("the server ended with: %.100s", s.output)
	s.start()
	if lost, there := sent.judge(t, s, 2); lost > 0 {
		t.Errorf("%d of %d are lost", lost, there)
	}
}

// addressSpace returns the octets of the server's address space.
func (s *server) addressSpace(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		t.Skipf("the system does not tell: %v", err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// TestNoDNS lets DNS fall silent, and then say that it cannot find out. Mail of
// strangers is taken, users sign in, and what is for other hosts waits until
// there is DNS again.
func TestNoDNS(t *testing.T) {
	t.Parallel()
	dns := dnstest.New(t, "far0.test. MX 10 mx.far0.test.\nmx.far0.test. A 127.0.0.9\nfar1.test. MX 10 mx.far1.test.\nmx.far1.test. A 127.0.0.9\n")
	taken, sink := newSink(t, "127.0.0.9:0")
	s := prepare(t, fmt.Sprintf("queue.smtp_port = %s\nqueue.retry = [\"1s\"]\nsecurity.client_addresses = []\n", port(sink)))
	s.configure(map[string]string{`queue.resolver = "127.0.0.1:1"`: fmt.Sprintf("queue.resolver = %q", dns.Addr)}, "")
	s.start()
	t.Cleanup(s.stop)
	s.run("domain", "add", domain)
	s.runWith(password+"\n", "account", "add", address("ann"), "--password-stdin")
	for n, how := range []dnstest.Failure{dnstest.ServFail, dnstest.Silent} {
		far := fmt.Sprintf("far%d.test", n) // what was known of the other is remembered
		all := func(how dnstest.Failure) {
			for _, name := range []string{far + ".", "mx." + far + ".", "elsewhere.test.", "_dmarc.elsewhere.test.", "1.0.0.127.in-addr.arpa.", "client.test."} {
				dns.Fail(name, how)
			}
		}
		all(how)
		x := newExchanger(t, s)
		if !x.deliver(300) {
			t.Errorf("failure %d: mail of a stranger is not taken", how)
		}
		x.send("QUIT")
		subject := fmt.Sprint("waits ", n)
		tool(t, letter(address("ann"), "bob@"+far, subject), "curl", "-sSk", "--crlf", "--ssl-reqd", "--url", "smtp://"+s.submission,
			"--user", address("ann")+":"+password, "--mail-from", address("ann"), "--mail-rcpt", "bob@"+far, "--upload-file", "-")
		until(t, "the message waits", func() bool {
			return attempted.MatchString(s.run("queue", "list", "--json"))
		})
		signInPOP(t, s, address("ann"))
		if got := s.run("message", "export", address("ann"), "INBOX", "-"); strings.Contains(got, "Undeliver") {
			t.Errorf("failure %d: mail was returned:\n%s", how, got)
		}
		all(dnstest.None)
		select {
		case text := <-taken:
			if !strings.Contains(text, "Subject: "+subject+"\r\n") {
				t.Errorf("what came is %q", text)
			}
		case <-time.After(patience):
			t.Fatal("there is DNS again, and the message waits on")
		}
	}
}

// attempted is in the list of a queue whose message was tried.
var attempted = regexp.MustCompile(`"attempts": *[1-9]`)

// newSink takes mail by SMTP, and hands each message on.
func newSink(t *testing.T, addr string) (taken <-chan string, at string) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("no address of another host: %v", err)
	}
	messages := make(chan string, 100)
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { serveSink(c, messages) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		sessions.Wait()
	})
	return messages, ln.Addr().String()
}

func serveSink(c net.Conn, messages chan<- string) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	fmt.Fprint(c, "220 sink.test\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " "); verb {
		case "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		case "DATA":
			fmt.Fprint(c, "354 go on\r\n")
			var text strings.Builder
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
				text.WriteString(line)
			}
			messages <- text.String()
			fallthrough
		default:
			fmt.Fprint(c, "250 ok\r\n")
		}
	}
}
