package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errNoCyrus: there is none to measure.
var errNoCyrus = errors.New("no Cyrus that could be started here")

// cyrusRoots are the directories under which the files of its packages may be:
// the system's own, and one to unpack them in, since they cannot be installed
// beside Dovecot's.
func cyrusRoots() []string { return []string{"/", "/opt/cyrus"} }

// cyrusAdmin makes the mailboxes.
const cyrusAdmin = "cyrus"

// cyrus is a Cyrus IMAP server in a scratch directory, on loopback ports.
type cyrus struct {
	protocol  string // imap, pop3 or lmtp
	root, dir string
	addr      string // of the protocol
	admin     string // of IMAP
	passwords net.Listener
	cmd       *exec.Cmd
	output    bytes.Buffer
	spools    []string // the directory of each user's messages
}

// startCyrus starts one for a protocol, with a user for each of some mailboxes.
// errNoCyrus: it is not there, or this is not root, which it needs.
func startCyrus(ctx context.Context, protocol string, boxes []popBox) (*cyrus, error) {
	i := slices.IndexFunc(cyrusRoots(), func(root string) bool {
		_, err := os.Stat(filepath.Join(root, cyrusPrograms, protocol+"d"))
		return err == nil
	})
	if i < 0 || os.Getuid() != 0 {
		return nil, errNoCyrus
	}
	dir, err := os.MkdirTemp("", "cyrus-load-")
	if err != nil {
		return nil, err
	}
	c := &cyrus{protocol: protocol, root: cyrusRoots()[i], dir: dir}
	for _, step := range []func(context.Context, []popBox) error{c.prepare, c.launch, c.addUsers, c.fill} {
		if err = step(ctx, boxes); err != nil {
			c.stop()
			return nil, fmt.Errorf("cyrus: %w: %s", err, c.output.String())
		}
	}
	return c, nil
}

// cyrusPrograms is where Debian's packages have its programs.
const cyrusPrograms = "usr/lib/cyrus/bin"

func (c *cyrus) program(name string) string { return filepath.Join(c.root, cyrusPrograms, name) }

// command runs one of its programs on the scratch directory.
func (c *cyrus) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(c.program(name), append([]string{"-C", c.file("imapd.conf")}, args...)...)
	libraries := []string{filepath.Join(c.root, "usr/lib/x86_64-linux-gnu"), filepath.Join(c.root, "lib/x86_64-linux-gnu")}
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libraries, ":"))
	return cmd
}

func (c *cyrus) file(name string) string { return filepath.Join(c.dir, name) }

// prepare writes its configuration: that of Debian's package, with its own
// directories and as many processes as there are clients.
func (c *cyrus) prepare(context.Context, []popBox) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	at := func(i int) string { return "127.0.0.1:" + strconv.Itoa(ports[i]) }
	c.admin, c.addr = at(0), at(1)
	service := func(protocol, addr, options string) string {
		return fmt.Sprintf("  %s cmd=\"%s -C %s %s\" listen=\"%s\" prefork=4 maxchild=200\n",
			protocol, c.program(protocol+"d"), c.file("imapd.conf"), options, addr)
	}
	services := service("imap", c.admin, "-U 30")
	switch c.protocol {
	case "imap":
		c.addr = c.admin
	case "pop3":
		services += service("pop3", c.addr, "-U 30")
	case "lmtp":
		services += service("lmtp", c.addr, "-a") // its clients do not sign in
	}
	services = fmt.Sprintf("START {\n  recover cmd=\"%s -C %s -r\"\n}\nSERVICES {\n%s}\n",
		c.program("ctl_cyrusdb"), c.file("imapd.conf"), services)
	shipped, err := os.ReadFile(filepath.Join(c.root, "etc/imapd.conf"))
	if err != nil {
		return err
	}
	for _, sub := range []string{"conf", "proc", "lock", "mail", "sieve", "socket"} {
		if err := errors.Join(os.Mkdir(c.file(sub), 0o755), os.Chown(c.file(sub), nobody, nobody)); err != nil {
			return err
		}
	}
	err = errors.Join(os.Chmod(c.dir, 0o755),
		os.WriteFile(c.file("imapd.conf"), []byte(c.settings(string(shipped))), 0o644),
		os.WriteFile(c.file("cyrus.conf"), []byte(services), 0o644))
	if err == nil {
		c.passwords, err = acceptPasswords(c.file("socket/mux"))
	}
	return err
}

// settings returns what the package ships with the lines replaced that name
// places on the machine, users, and how often a client may poll.
func (c *cyrus) settings(shipped string) string {
	own := [][2]string{
		{"configdirectory", c.file("conf")}, {"proc_path", c.file("proc")}, {"mboxname_lockpath", c.file("lock")},
		{"partition-default", c.file("mail")}, {"sievedir", c.file("sieve")},
		{"lmtpsocket", c.file("socket/lmtp")}, {"idlesocket", c.file("socket/idle")}, {"notifysocket", c.file("socket/notify")},
		{"cyrus_user", "nobody"}, {"cyrus_group", "nogroup"}, {"admins", cyrusAdmin},
		{"sasl_pwcheck_method", "saslauthd"}, {"sasl_saslauthd_path", c.file("socket/mux")}, {"sasl_mech_list", "PLAIN"},
		{"popminpoll", "0"},
		{"altnamespace", "yes"}, // mailboxes beside INBOX, as in the other servers
	}
	var b strings.Builder
	for line := range strings.Lines(shipped) {
		name, _, _ := strings.Cut(line, ":")
		if !slices.ContainsFunc(own, func(o [2]string) bool { return o[0] == name }) {
			b.WriteString(line)
		}
	}
	for _, o := range own {
		fmt.Fprintf(&b, "%s: %s\n", o[0], o[1])
	}
	return b.String()
}

func (c *cyrus) launch(ctx context.Context, _ []popBox) error {
	// The package's listen queue of 32 is for clients that do not all come at once.
	c.cmd = c.command("master", "-M", c.file("cyrus.conf"), "-p", c.file("pid"), "-l", "1000", "-D")
	c.cmd.Stdout, c.cmd.Stderr = &c.output, &c.output
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that stop finds its processes
	if err := c.cmd.Start(); err != nil {
		return err
	}
	return errors.Join(answers(ctx, c.admin), answers(ctx, c.addr))
}

// answers waits until somebody listens.
func answers(ctx context.Context, addr string) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return errors.New("it does not answer")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// addUsers makes the users' mailboxes, and asks where their messages are.
func (c *cyrus) addUsers(_ context.Context, boxes []popBox) error {
	n := len(boxes)
	if c.protocol == "lmtp" {
		n = receivers
	}
	admin, err := dialIMAP(c.admin, false)
	if err != nil {
		return err
	}
	defer admin.conn.Close()
	if _, _, err := admin.do(fmt.Sprintf("LOGIN %s %q", cyrusAdmin, password)); err != nil {
		return err
	}
	var names []string
	for i := range n {
		names = append(names, "user."+cyrusUser(i))
		if _, _, err := admin.do("CREATE " + names[i]); err != nil {
			return err
		}
	}
	out, err := c.command("mbpath", names...).Output()
	if err != nil {
		return fmt.Errorf("mbpath: %w", err)
	}
	if c.spools = strings.Fields(string(out)); len(c.spools) != n {
		return fmt.Errorf("mbpath names %d directories of %d mailboxes", len(c.spools), n)
	}
	return nil
}

func cyrusUser(i int) string { return "user" + strconv.Itoa(i) }

// fill writes the messages as its files, and has it make the index anew.
func (c *cyrus) fill(ctx context.Context, boxes []popBox) error {
	for i, b := range boxes {
		for n := range b.messages {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			name := filepath.Join(c.spools[i], strconv.Itoa(n+1)+".")
			if err := errors.Join(os.WriteFile(name, mail(n, b.size), 0o600), os.Chown(name, nobody, nobody)); err != nil {
				return err
			}
		}
		if b.messages == 0 {
			continue
		}
		if out, err := c.command("reconstruct", "user."+cyrusUser(i)).CombinedOutput(); err != nil {
			return fmt.Errorf("reconstruct: %w: %s", err, out)
		}
	}
	return nil
}

// server returns it for the POP and IMAP runs.
func (c *cyrus) server() *popServer {
	return &popServer{name: "cyrus", addr: c.addr, user: cyrusUser, cpu: c.cpu, exclusive: true}
}

// receiver returns it for the run of mail that comes in.
func (c *cyrus) receiver() *receiver {
	return &receiver{
		name:      "cyrus",
		mailer:    mailer{addr: c.addr, lmtp: true, domain: "cyrus.test", accounts: receivers},
		delivered: c.delivered, cpu: c.cpu,
		masters: func() ([]int, error) { return []int{c.cmd.Process.Pid}, nil },
	}
}

// delivered counts the messages of all users, as they are on disk: files whose
// name is their UID and a dot.
func (c *cyrus) delivered() (n int, err error) {
	for _, spool := range c.spools {
		names, err := os.ReadDir(spool)
		if err != nil {
			return 0, err
		}
		for _, name := range names {
			if strings.HasSuffix(name.Name(), ".") {
				n++
			}
		}
	}
	return n, nil
}

// cpu returns the CPU time of all its processes, those that have ended included.
func (c *cyrus) cpu() (time.Duration, error) { return familyCPU(c.cmd.Process.Pid) }

// stop ends the processes that it started and removes the directory.
func (c *cyrus) stop() {
	if c.cmd != nil && c.cmd.Process != nil {
		c.cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(20*time.Second, func() { c.cmd.Process.Kill() })
		c.cmd.Wait()
		timer.Stop()
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // those that it has not ended
	}
	if c.passwords != nil {
		c.passwords.Close()
	}
	os.RemoveAll(c.dir)
}
