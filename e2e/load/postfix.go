package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const postfixQueued = 10_000

// besidePostfix has Postfix send to a sink what it holds, where it is installed
// and this is root, which it needs. It returns how fast it took and sent them, nil
// where there is none.
func besidePostfix(ctx context.Context) ([]value, error) {
	if _, err := exec.LookPath("postfix"); err != nil || os.Getuid() != 0 {
		return nil, nil
	}
	s, err := newSink()
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.unlock()
	p, err := startPostfix(sendsTo(s.addr))
	if err != nil {
		fmt.Printf("send: Postfix cannot be started here: %v\n", err)
		return nil, nil
	}
	defer p.stop()
	rate, err := fillQueue(ctx, p.addr, postfixQueued)
	if err != nil {
		return nil, fmt.Errorf("postfix: %w", err)
	}
	fmt.Printf("send: Postfix: %d messages taken at %.0f a second\n", postfixQueued, rate)
	begin := time.Now()
	if err := p.release(); err != nil {
		return nil, err
	}
	for s.taken.Load() < postfixQueued && ctx.Err() == nil {
		if time.Since(begin) > 3*time.Minute {
			return nil, fmt.Errorf("postfix: after %v the sink has %d messages", time.Since(begin), s.taken.Load())
		}
		time.Sleep(20 * time.Millisecond) // a sample
	}
	sent := postfixQueued / time.Since(begin).Seconds()
	fmt.Printf("send: %6.0f messages/s to a sink by Postfix\n", sent)
	return []value{{Server: "Postfix", Amount: rate}, {Server: "Postfix", Amount: sent}}, nil
}

// sendsTo are the settings of a Postfix that has everything to send to one host,
// and waits with it.
func sendsTo(relay string) string {
	host, port, _ := net.SplitHostPort(relay)
	return fmt.Sprintf(`mydestination =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
relayhost = [%s]:%s
defer_transports = smtp
`, host, port)
}

// postfix is a Postfix in a scratch directory, on a loopback port.
type postfix struct{ dir, addr string }

// startPostfix starts one with what its settings say about where mail goes.
func startPostfix(settings string) (*postfix, error) {
	dir, err := os.MkdirTemp("", "postfix-load-")
	if err != nil {
		return nil, err
	}
	p := &postfix{dir: dir}
	if err = p.prepare(settings); err == nil {
		err = p.run("postfix", "-c", p.dir, "start")
	}
	for i := 0; err == nil && i < 200; i++ {
		conn, derr := net.Dial("tcp", p.addr)
		if derr == nil {
			return p, conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.stop()
	return nil, errors.Join(err, errors.New("it does not answer"))
}

// prepare writes its configuration: that of Debian's package, with its own
// directories, and the same limit of connections as the other server's default.
func (p *postfix) prepare(settings string) error {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	p.addr = "127.0.0.1:" + strconv.Itoa(ports[0])
	owner, err := osuser.Lookup("postfix")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	for _, sub := range []string{"queue", "data"} {
		if err := os.Mkdir(filepath.Join(p.dir, sub), 0o755); err != nil {
			return err
		}
	}
	if err := errors.Join(os.Chmod(p.dir, 0o755), os.Chown(filepath.Join(p.dir, "data"), uid, gid)); err != nil {
		return err
	}
	main := fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.load.test
default_process_limit = 100
alias_maps =
alias_database =
smtp_dns_support_level = disabled
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
%[2]s`, p.dir, settings)
	master, err := os.ReadFile("/usr/share/postfix/master.cf.dist")
	if err != nil {
		return err
	}
	var services strings.Builder
	for line := range strings.Lines(string(master)) {
		fields := strings.Fields(line)
		if len(fields) > 7 && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, " ") {
			if fields[0] == "smtp" && fields[1] == "inet" {
				fields[0] = strconv.Itoa(ports[0])
			}
			fields[4] = "n" // no chroot
			line = strings.Join(fields, " ") + "\n"
		}
		services.WriteString(line)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(p.dir, "main.cf"), []byte(main), 0o644),
		os.WriteFile(filepath.Join(p.dir, "master.cf"), []byte(services.String()), 0o644))
}

// release lets it send what waits.
func (p *postfix) release() error {
	return errors.Join(p.run("postconf", "-c", p.dir, "-e", "defer_transports="),
		p.run("postfix", "-c", p.dir, "reload"), p.run("postqueue", "-c", p.dir, "-f"))
}

func (p *postfix) run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// cpu returns the CPU time of all its processes.
func (p *postfix) cpu() (time.Duration, error) {
	pid, err := p.master()
	if err != nil {
		return 0, err
	}
	return familyCPU(pid)
}

// master returns the process that started all others.
func (p *postfix) master() (int, error) {
	text, err := os.ReadFile(filepath.Join(p.dir, "queue", "pid", "master.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

func (p *postfix) stop() {
	_ = p.run("postfix", "-c", p.dir, "abort") // it may not have come up
	_ = os.RemoveAll(p.dir)
}
