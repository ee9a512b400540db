package smtp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tripost/accounts"
	"tripost/smtp/queue"
	"tripost/store"
	"tripost/store/engine"
	"tripost/syslog"
	"tripost/syslog/syslogtest"
	"tripost/wire"
	"tripost/wire/wiretest"
)

// bubble runs a session over a pipe, in a bubble of fake time.
func bubble(t *testing.T, c Config, log *syslog.Logger, test func(t *testing.T, nc net.Conn, r *bufio.Reader, cancel context.CancelFunc)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		conn := wire.NewConn(server, wire.Config{Write: time.Minute, Log: log})
		context.AfterFunc(ctx, func() { conn.Interrupt(ctx.Err()) })
		done := make(chan struct{})
		go func() {
			New(c).Serve(ctx, conn)
			conn.Close()
			close(done)
		}()
		test(t, client, bufio.NewReader(client), cancel)
		client.Close()
		<-done
	})
}

func expect(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	got, err := r.ReadString('\n')
	if !strings.HasPrefix(got, want) {
		t.Fatalf("got %q and %v, want %q", got, err, want)
	}
}

func expectEnd(t *testing.T, r *bufio.Reader) {
	t.Helper()
	if got, err := r.ReadString('\n'); err != io.EOF {
		t.Fatalf("got %q and %v, want the end", got, err)
	}
}

func TestIdle(t *testing.T) {
	bubble(t, Config{}, nil, func(t *testing.T, nc net.Conn, r *bufio.Reader, _ context.CancelFunc) {
		expect(t, r, "220 ")
		fmt.Fprint(nc, "NOOP\r\n")
		expect(t, r, "250 ")
		start := time.Now()
		expect(t, r, "421 4.4.2 ")
		if d := time.Since(start); d < 5*time.Minute || d > 6*time.Minute {
			t.Errorf("closed after %v", d)
		}
		expectEnd(t, r)
	})
}

// The time to sign in does not begin anew with each command.
func TestSignInTime(t *testing.T) {
	bubble(t, Config{Mode: Submission}, nil, func(t *testing.T, nc net.Conn, r *bufio.Reader, _ context.CancelFunc) {
		expect(t, r, "220 ")
		start := time.Now()
		for range 5 {
			time.Sleep(10 * time.Second) // in the bubble
			fmt.Fprint(nc, "NOOP\r\n")
			expect(t, r, "250 ")
		}
		expect(t, r, "421 4.7.0 ")
		if d := time.Since(start); d < time.Minute || d > 70*time.Second {
			t.Errorf("closed after %v", d)
		}
		expectEnd(t, r)
	})
}

// A stop lets the command in progress finish and says goodbye.
func TestGracefulStop(t *testing.T) {
	bubble(t, Config{}, nil, func(t *testing.T, nc net.Conn, r *bufio.Reader, cancel context.CancelFunc) {
		expect(t, r, "220 ")
		cancel()
		expect(t, r, "421 4.3.2 ")
		expectEnd(t, r)
	})
}

// Who is receiving a message when the stop comes gets its reply.
func TestGracefulStopInData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.listen()
	nc, err := net.Dial("tcp", w.addr)
	must(t, err)
	defer nc.Close()
	must(t, nc.SetDeadline(time.Now().Add(wiretest.Patience)))
	r := bufio.NewReader(nc)
	fmt.Fprint(nc, "HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.test>\r\nDATA\r\n")
	for _, want := range []string{"220 ", "250 ", "250 ", "250 ", "354 "} {
		expect(t, r, want)
	}
	w.stop()
	fmt.Fprint(nc, "Subject: x\r\n\r\n.\r\n")
	expect(t, r, "250 2.0.0 1 ")
	expect(t, r, "421 4.3.2 ")
	expectEnd(t, r)
	if n := len(w.mailbox("ann@example.test/INBOX")); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestEarlyTalker(t *testing.T) {
	log, text := syslogtest.Open(t, syslog.Raw)
	c := Config{Timeouts: Timeouts{Greeting: 2 * time.Second}}
	bubble(t, c, log.Tag("SMTPI"), func(t *testing.T, nc net.Conn, r *bufio.Reader, _ context.CancelFunc) {
		go fmt.Fprint(nc, "EHLO spam\r\nQUIT\r\n")
		expect(t, r, "220 ")
	})
	bubble(t, c, log.Tag("SMTPI"), func(t *testing.T, nc net.Conn, r *bufio.Reader, _ context.CancelFunc) {
		start := time.Now()
		expect(t, r, "220 ")
		if time.Since(start) < 2*time.Second {
			t.Error("greeted at once")
		}
	})
	if n := strings.Count(text(), "speaks before the greeting"); n != 1 {
		t.Errorf("%d early talkers in the log", n)
	}
}

// The log tells each step, and no secret at any level.
func TestLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log, text := syslogtest.Open(t, syslog.Raw)
	w.log = log
	w.auth.Cleartext = "always"
	w.listen()
	const plain = "AGFubkBleGFtcGxlLnRlc3QAc2VjcmV0" // \0ann@example.test\0secret
	talk(t, w, "session", strings.ReplaceAll(`HI
C: AUTH PLAIN `+plain+`
S: 235 *
C: MAIL FROM:<ann@example.test>
S: 250 *
C: RCPT TO:<bob@example.test>
S: 250 *
C: RCPT TO:<nobody@example.test>
S: 550 *
C: RCPT TO:<joe@client.test>
S: 250 *
C: DATA
S: 354 *
C: Message-ID: <7@pc7>
C:
C: private words
C: .
S: 250 *
C: QUIT
S: 221 *
EOF
`, "\r", ""))
	talk(t, w, "second", "HI\nC: AUTH LOGIN\nS: 334 *\nC: YW5uQGV4YW1wbGUudGVzdA==\nS: 334 *\nC: c2VjcmV0\nS: 235 *\nC: QUIT\nS: 221 *\nEOF\n")
	talk(t, w, "odd", strings.ReplaceAll("HI\nC+ \"AUTH\\tPLAIN "+plain+"\\r\\n\"\nS: 500 *\nC:  AUTH PLAIN "+plain+"\nS: 500 *\nC: AUTHENTICATE PLAIN "+plain+"\nS: 500 *\n", "\r", ""))
	got := text()
	for _, secret := range []string{plain, "c2VjcmV0", "YW5uQG", "secret", "private words"} {
		if strings.Contains(got, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	for _, want := range []string{
		"4 SMTPI-000001([127.0.0.1]:", "cmd: AUTH PLAIN ***", "cmd: ***", "rsp: 235 2.7.0 signed in as ann@example.test",
		"3 SMTPI-000001([127.0.0.1]:", "recipient <nobody@example.test> of <ann@example.test> refused: 5.1.1",
		"2 QUEUE([1]) from <ann@example.test>, ", " bytes, to LOCAL(bob@example.test) SMTP(client.test)<joe@client.test>, Message-ID <7@pc7>, SMTPI-000001",
		"2 LOCAL([bob@example.test]) [1] delivered to INBOX",
		"[1] received by ESMTPA",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the log lacks %q:\n%s", want, got)
		}
	}
}

func TestReplyTo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{&queue.RecipientError{Address: "a@b", Code: 550, Enhanced: "5.1.1", Reason: "no"}, "550 5.1.1 <a@b> no"},
		{wire.ErrBareCR, "554 5.6.0"}, {wire.ErrBareLF, "554 5.6.0"}, {wire.ErrNUL, "554 5.6.0"},
		{wire.ErrDataTooLong, "552 5.3.4"}, {queue.ErrTooLong, "552 5.3.4"},
		{queue.ErrLoop, "554 5.4.6"}, {queue.ErrQueueFull, "452 4.3.1"},
		{store.ErrOverQuota, "452 4.2.2"},
		{engine.ErrReadOnly, "452 4.3.1"}, {syscall.ENOSPC, "452 4.3.1"},
		{errors.New("duplicate key in table accounts"), "451 4.3.0 try again later"},
		{engine.ErrDamaged, "451 4.3.0"}, {context.DeadlineExceeded, "451 4.3.0"},
	} {
		r := replyTo(fmt.Errorf("doing: %w", c.err))
		if got := fmt.Sprint(r.code, " ", r.enhanced, " ", r.text); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{accounts.ErrMechanism, "504 5.5.4"}, {accounts.ErrInsecure, "538 5.7.11"}, {accounts.ErrMalformed, "501 5.5.2"},
		{accounts.ErrCredentials, "535 5.7.8"}, {accounts.ErrThrottled, "535 5.7.8"}, {accounts.ErrService, "535 5.7.8"},
		{accounts.ErrUnavailable, "454 4.7.0"}, {errors.New("database text"), "454 4.7.0 sign-in is not possible"},
	} {
		r := replyToSignIn(fmt.Errorf("doing: %w", c.err))
		if got := fmt.Sprint(r.code, " ", r.enhanced, " ", r.text); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

// Text in a reply cannot end its line, nor make it too long.
func TestReplyLines(t *testing.T) {
	t.Parallel()
	got := string(appendText(nil, "a\r\nb\x00c"+strings.Repeat("x", 1000)))
	if len(got) > maxReplyText || strings.ContainsAny(got, "\r\n\x00") {
		t.Errorf("text is %q", got)
	}
}
