package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	domain   = "load.test"
	password = "a password for the load run"
)

// target is a running server.
type target struct {
	dir             string
	config          string
	binary          string
	under           []string // a program that runs the server, with its arguments
	cmd             *exec.Cmd
	output          bytes.Buffer
	smtp, pop, imap string // clear-text addresses
	popTLS, imapTLS string
	asked
	accounts int
	http     http.Client
}

// freePorts finds ports that nobody listens on now.
func freePorts(n int) (ports []int, err error) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// start starts a server on an empty data directory.
func start(ctx context.Context, binary, scratch string) (*target, error) {
	dir, err := os.MkdirTemp(scratch, "tripost-load-")
	if err != nil {
		return nil, err
	}
	t := &target{dir: dir, binary: binary, config: filepath.Join(dir, "tripost.toml")}
	if err := t.configure(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := t.launch(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	socket := filepath.Join(dir, "data", "control.sock")
	t.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	return t, nil
}

func (t *target) configure() error {
	p, err := freePorts(5)
	if err != nil {
		return err
	}
	at := func(i int) string { return "127.0.0.1:" + strconv.Itoa(p[i]) }
	t.smtp, t.pop, t.imap, t.popTLS, t.imapTLS = at(0), at(1), at(2), at(3), at(4)
	text := fmt.Sprintf(`hostname = "mail.load.test"
data = "data"
[security]
per_address = 0
[pop]
channels = 10000
listen = [%q]
listen_tls = [%q]
[imap]
channels = 10000
listen = [%q]
listen_tls = [%q]
[smtp]
listen = [%q]
[submission]
listen = []
listen_tls = []
[admin]
listen = ""
`, t.pop, t.popTLS, t.imap, t.imapTLS, t.smtp)
	return os.WriteFile(t.config, []byte(text), 0o600)
}

// launch starts the process and waits until it answers.
func (t *target) launch(ctx context.Context) error {
	args := append(append([]string{}, t.under...), t.binary, "--config", t.config, "serve")
	t.cmd = exec.Command(args[0], args[1:]...)
	t.cmd.Stdout, t.cmd.Stderr = &t.output, &t.output
	if err := t.cmd.Start(); err != nil {
		return err
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := net.Dial("tcp", t.smtp)
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			t.cmd.Process.Kill()
			t.cmd.Wait()
			return fmt.Errorf("the server does not answer: %s", t.output.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// stop ends the server gracefully and removes its directory.
func (t *target) stop() error {
	t.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(40*time.Second, func() { t.cmd.Process.Kill() })
	err := t.cmd.Wait()
	timer.Stop()
	if err != nil {
		err = fmt.Errorf("the server ended with %w: %s", err, t.output.String())
	}
	return errors.Join(err, os.RemoveAll(t.dir))
}

// call carries out an administration operation.
func (t *target) call(ctx context.Context, operation string, request, response any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://tripost/v1/"+operation, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := t.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return fmt.Errorf("%s: %s", operation, text)
	}
	return json.NewDecoder(resp.Body).Decode(response)
}

// addAccounts makes the domain and n accounts, user0 to user(n-1).
func (t *target) addAccounts(ctx context.Context, n int) error {
	var ignored any
	if err := t.call(ctx, "domain/add", map[string]string{"name": domain}, &ignored); err != nil {
		return err
	}
	for i := range n {
		q := map[string]string{"name": user(i), "password": password}
		if err := t.call(ctx, "account/add", q, &ignored); err != nil {
			return err
		}
	}
	t.accounts = n
	return nil
}

func user(i int) string { return fmt.Sprintf("user%d@%s", i, domain) }

// importMessages puts n small messages into a mailbox.
func (t *target) importMessages(ctx context.Context, account, mailbox string, n, size int) error {
	pr, pw := io.Pipe()
	go func() {
		for i := range n {
			if _, err := fmt.Fprintf(pw, "From user@load.test Mon Jan  5 10:00:00 2026\n%s\n", strings.ReplaceAll(string(mail(i, size)), "\r\n", "\n")); err != nil {
				return
			}
		}
		pw.Close()
	}()
	q, _ := json.Marshal(map[string]string{"account": account, "mailbox": mailbox})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://tripost/v1/message/import", pr)
	if err != nil {
		return err
	}
	r.URL.RawQuery = "request=" + string(q)
	r.URL.RawQuery = strings.NewReplacer(`"`, "%22", "{", "%7B", "}", "%7D").Replace(r.URL.RawQuery)
	resp, err := t.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return fmt.Errorf("import: %s", text)
	}
	return nil
}

// mail makes a message of about size octets with CRLF line ends.
func mail(i, size int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: \"Sender %d\" <sender%d@elsewhere.test>\r\n", i%100, i%100)
	fmt.Fprintf(&b, "To: \"A Recipient\" <user%d@load.test>\r\n", i%200)
	fmt.Fprintf(&b, "Subject: message number %d about the usual things\r\n", i)
	fmt.Fprintf(&b, "Date: Mon, 5 Jan 2026 10:%02d:%02d +0000\r\n", i/60%60, i%60)
	fmt.Fprintf(&b, "Message-ID: <%d.load@elsewhere.test>\r\n", i)
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
	for b.Len() < size {
		b.WriteString("The quick brown fox jumps over the lazy dog, and then it does so once more.\r\n")
	}
	return b.Bytes()
}

// cpu returns the CPU time that the server has used.
func (t *target) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", t.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, errors.New("unreadable /proc/PID/stat")
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	const tick = 10 * time.Millisecond // USER_HZ is 100 on Linux
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// resident returns the octets of memory that the server has resident.
func (t *target) resident() (int64, error) { return t.memory("VmRSS") }

// memory returns a size that the system tells of the server, in octets.
func (t *target) memory(field string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			kb, err := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in /proc/PID/status", field)
}
