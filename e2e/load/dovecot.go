package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errNoDovecot: there is none to measure.
var errNoDovecot = errors.New("no Dovecot that could be started here")

// dovecot is a Dovecot in a scratch directory, on a loopback port, with its mail
// in two formats.
type dovecot struct {
	protocol          string // pop3 or imap
	boxes             []popBox
	dir, config, addr string
	cmd               *exec.Cmd
	output            bytes.Buffer
}

// dovecotFormats are the formats that it keeps mail in. The users of one are
// called by its name and the number of their mailbox.
func dovecotFormats() []string { return []string{"maildir", "sdbox"} }

const nobody = 65534

// startDovecot starts one for a protocol, with some mailboxes. errNoDovecot: it is
// not installed, or this is not root, which it needs.
func startDovecot(ctx context.Context, protocol string, boxes []popBox) (*dovecot, error) {
	if _, err := exec.LookPath("dovecot"); err != nil || os.Getuid() != 0 {
		return nil, errNoDovecot
	}
	if _, err := os.Stat("/usr/lib/dovecot/" + protocol); err != nil {
		return nil, errNoDovecot
	}
	dir, err := os.MkdirTemp("", "dovecot-load-")
	if err != nil {
		return nil, err
	}
	d := &dovecot{protocol: protocol, boxes: boxes, dir: dir, config: filepath.Join(dir, "dovecot.conf")}
	if protocol == "lmtp" {
		err = d.prepareLMTP()
	} else {
		err = d.prepare()
	}
	if err == nil {
		err = d.launch(ctx)
	}
	if err == nil {
		err = d.fill(ctx)
	}
	if err != nil {
		d.stop()
		return nil, fmt.Errorf("dovecot: %w: %s", err, d.output.String())
	}
	return d, nil
}

// prepare writes its configuration: as it is shipped, with processes that wait for
// clients, and no encryption, as for the other server.
func (d *dovecot) prepare() error {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	d.addr = "127.0.0.1:" + strconv.Itoa(ports[0])
	var users strings.Builder
	for _, format := range dovecotFormats() {
		for i := range d.boxes {
			fmt.Fprintf(&users, "%s%d:{PLAIN}%s:%d:%d::%s/mail/%s%d::userdb_mail=%s:~/box\n",
				format, i, password, nobody, nobody, d.dir, format, i, format)
		}
	}
	config := fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
protocols = %[3]s
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_cache_size = 1M
mail_max_userip_connections = 1000
first_valid_uid = 1
service %[3]s-login {
  service_count = 0
  process_min_avail = 2
  inet_listener %[3]s {
    port = %[2]d
  }
  inet_listener %[3]ss {
    port = 0
  }
}
service %[3]s {
  process_min_avail = 4
}
passdb {
  driver = passwd-file
  args = %[1]s/users
}
userdb {
  driver = passwd-file
  args = %[1]s/users
}
`, d.dir, ports[0], d.protocol)
	return d.write(config, users.String())
}

// write writes the configuration and the users, and makes the directories that
// must be there.
func (d *dovecot) write(config, users string) error {
	return errors.Join(
		os.Chmod(d.dir, 0o755),
		os.MkdirAll(filepath.Join(d.dir, "run"), 0o755),
		os.MkdirAll(filepath.Join(d.dir, "state"), 0o755),
		os.WriteFile(d.config, []byte(config), 0o644),
		os.WriteFile(filepath.Join(d.dir, "users"), []byte(users), 0o644),
	)
}

func (d *dovecot) launch(ctx context.Context) error {
	d.cmd = exec.Command("dovecot", "-F", "-c", d.config)
	d.cmd.Stdout, d.cmd.Stderr = &d.output, &d.output
	if err := d.cmd.Start(); err != nil {
		return err
	}
	return answers(ctx, d.addr)
}

// fill writes the mailboxes as maildirs, and has Dovecot import the others from
// them.
func (d *dovecot) fill(ctx context.Context) error {
	for i, b := range d.boxes {
		home := filepath.Join(d.dir, "mail", "maildir"+strconv.Itoa(i))
		for _, sub := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(home, "box", sub), 0o755); err != nil {
				return err
			}
		}
		for n := range b.messages {
			name := fmt.Sprintf("%d.M%dP1.load:2,S", 1767606000+n, n)
			text := bytes.ReplaceAll(mail(n, b.size), []byte("\r\n"), []byte("\n"))
			if err := os.WriteFile(filepath.Join(home, "box", "cur", name), text, 0o644); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(filepath.Join(d.dir, "mail", "sdbox"+strconv.Itoa(i)), 0o755); err != nil {
			return err
		}
	}
	err := filepath.WalkDir(filepath.Join(d.dir, "mail"), func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, nobody, nobody))
	})
	for i := range d.boxes {
		if err != nil {
			return err
		}
		source := "maildir:" + filepath.Join(d.dir, "mail", "maildir"+strconv.Itoa(i), "box")
		cmd := exec.CommandContext(ctx, "doveadm", "-c", d.config, "import", "-u", "sdbox"+strconv.Itoa(i), source, "", "ALL")
		cmd.Stdout, cmd.Stderr = &d.output, &d.output
		err = cmd.Run()
	}
	return err
}

// servers returns the Dovecot once for each format.
func (d *dovecot) servers() []*popServer {
	var list []*popServer
	for _, format := range dovecotFormats() {
		list = append(list, &popServer{
			name: "dovecot, " + format, addr: d.addr, cpu: d.cpu,
			user: func(box int) string { return format + strconv.Itoa(box) },
		})
	}
	return list
}

// stop ends the processes that it started and removes the directory.
func (d *dovecot) stop() {
	if d.cmd != nil && d.cmd.Process != nil {
		d.cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(20*time.Second, func() { d.cmd.Process.Kill() })
		d.cmd.Wait()
		timer.Stop()
	}
	os.RemoveAll(d.dir)
}

// cpu returns the CPU time of all its processes, those that have ended included.
func (d *dovecot) cpu() (time.Duration, error) { return familyCPU(d.cmd.Process.Pid) }
