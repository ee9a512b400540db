package smtp

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"tripost/wire"
)

// Another implementation's client hands over mail on a Unix socket, where it is
// nobody's address: it reaches local recipients only.
func TestLMTPOverUnixSocket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	clients, err := ParseClients([]string{"127.0.0.1", "::1"})
	must(t, err)
	w.config.Mode, w.config.Clients = LMTP, clients
	path := filepath.Join(t.TempDir(), "lmtp.sock")
	ln, err := wire.Listen("unix:" + path)
	must(t, err)
	s := w.server()
	server := &wire.Server{
		Name: "LMTP", Channels: 10, Log: w.log.Tag("LMTP"), Grace: time.Minute,
		Conn: func() wire.Config { return w.wire }, Busy: s.Busy, Session: s.Serve,
	}
	ctx, cancel := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, ln, false) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	nc, err := net.Dial("unix", path)
	must(t, err)
	c := gosmtp.NewClientLMTP(nc)
	defer c.Close()
	must(t, c.Hello("mta.example.test"))
	must(t, c.Mail("joe@client.test", nil))
	must(t, c.Rcpt("ann@example.test", nil))
	must(t, c.Rcpt("bob@example.test", nil))
	if err := c.Rcpt("joe@elsewhere.test", nil); err == nil {
		t.Error("a stranger may relay")
	}
	data, err := c.Data()
	must(t, err)
	_, err = data.Write([]byte("Subject: by socket\r\n\r\nbody\r\n"))
	must(t, err)
	answers, err := data.CloseWithLMTPResponse()
	must(t, err)
	if len(answers) != 2 {
		t.Errorf("%d answers", len(answers))
	}
	must(t, c.Quit())
	for _, who := range []string{"ann", "bob"} {
		got := w.mailbox(who + "@example.test/INBOX")
		if len(got) != 1 || !strings.HasPrefix(got[0], "Return-Path: <joe@client.test>\r\nReceived: by mail.example.test (tripost LMTP 0.1)\r\n\twith LMTP id 1; ") {
			t.Errorf("%s has %q", who, got)
		}
	}
}
