package smtp

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"
)

// scramClient is a SASL client of SCRAM-SHA-256.
type scramClient struct{ c *scram.ClientConversation }

func (s *scramClient) Start() (string, []byte, error) {
	first, err := s.c.Step("")
	return "SCRAM-SHA-256", []byte(first), err
}

func (s *scramClient) Next(challenge []byte) ([]byte, error) {
	answer, err := s.c.Step(string(challenge))
	if err == nil && s.c.Done() && !s.c.Valid() {
		err = errors.New("the server has not proved itself")
	}
	return []byte(answer), err
}

// scramPlusClient binds the exchange to the client's own connection.
type scramPlusClient struct{ scramClient }

func (s *scramPlusClient) Start() (string, []byte, error) {
	_, first, err := s.scramClient.Start()
	return "SCRAM-SHA-256-PLUS", first, err
}

// A client binds SCRAM to its connection; what was bound to another connection
// does not pass.
func TestChannelBinding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.config.Mode = Submission
	w.listen()
	hashed, err := scram.SHA256.NewClient("ann@example.test", password, "")
	must(t, err)
	var clients []*gosmtp.Client
	var bindings []scram.ChannelBinding
	for range 2 {
		c, err := gosmtp.DialStartTLS(w.addr, &tls.Config{InsecureSkipVerify: true})
		must(t, err)
		defer c.Close()
		must(t, c.Noop()) // the handshake waits for the first command
		state, _ := c.TLSConnectionState()
		binding, err := scram.NewTLSExporterBinding(&state)
		must(t, err)
		clients, bindings = append(clients, c), append(bindings, binding)
	}
	bound := func(to int) sasl.Client {
		return &scramPlusClient{scramClient{hashed.NewConversationWithChannelBinding(bindings[to])}}
	}
	var e *gosmtp.SMTPError
	if err := clients[0].Auth(bound(1)); !errors.As(err, &e) || e.Code != 535 {
		t.Errorf("bound to another connection: %v, want 535", err)
	}
	must(t, clients[0].Auth(bound(0)))
	must(t, clients[1].Auth(bound(1)))
}

// An independent client signs in by every mechanism and sends.
func TestIndependentClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.config.Mode = Submission
	w.listen()
	hashed, err := scram.SHA256.NewClient("ann@example.test", password, "")
	must(t, err)
	for name, mechanism := range map[string]sasl.Client{
		"PLAIN": sasl.NewPlainClient("", "ann@example.test", password),
		"LOGIN": sasl.NewLoginClient("ann@example.test", password),
		"SCRAM": &scramClient{hashed.NewConversation()},
	} {
		c, err := gosmtp.DialStartTLS(w.addr, &tls.Config{InsecureSkipVerify: true})
		must(t, err)
		if err := c.Auth(mechanism); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		must(t, c.SendMail("ann@example.test", []string{"bob@example.test", "joe@client.test"}, strings.NewReader("Subject: "+name+"\r\n\r\n.\r\n..x\r\n")))
		must(t, c.Quit())
	}
	got := w.mailbox("bob@example.test/INBOX")
	if len(got) != 3 {
		t.Fatalf("%d messages came", len(got))
	}
	for _, msg := range got {
		if !strings.HasSuffix(msg, "\r\n\r\n.\r\n..x\r\n") {
			t.Errorf("message is %q", msg)
		}
	}
}

// Wrong passwords fail by every mechanism.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.listen()
	hashed, err := scram.SHA256.NewClient("ann@example.test", "wrong", "")
	must(t, err)
	unknown, err := scram.SHA256.NewClient("nobody@example.test", "wrong", "")
	must(t, err)
	c, err := gosmtp.DialStartTLS(w.addr, &tls.Config{InsecureSkipVerify: true})
	must(t, err)
	defer c.Close()
	for _, mechanism := range []sasl.Client{
		sasl.NewPlainClient("", "ann@example.test", "wrong"),
		sasl.NewLoginClient("ann@example.test", "wrong"),
		&scramClient{hashed.NewConversation()},
		&scramClient{unknown.NewConversation()},
	} {
		var e *gosmtp.SMTPError
		if err := c.Auth(mechanism); !errors.As(err, &e) || e.Code != 535 {
			t.Errorf("%T: %v, want 535", mechanism, err)
		}
	}
}

// fixtures returns mails of all kinds, with CRLF.
func fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	must(t, filepath.WalkDir("testdata/mail", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) == ".md" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
		b = bytes.ReplaceAll(b, []byte("\r"), nil)
		b = bytes.ReplaceAll(b, []byte("\x00"), nil)
		b = bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
		if !bytes.HasSuffix(b, []byte("\r\n")) {
			b = append(b, "\r\n"...)
		}
		all[path] = b
		return nil
	}))
	if len(all) == 0 {
		t.Fatal("no mails in testdata/mail")
	}
	return all
}

// Whatever a mail looks like, it is stored as it came, behind our trace fields.
func TestMailsPassUnchanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.listen()
	c, err := gosmtp.Dial(w.addr)
	must(t, err)
	defer c.Close()
	var want [][]byte
	for path, msg := range fixtures(t) {
		must(t, c.Mail("joe@client.test", nil))
		must(t, c.Rcpt("ann@example.test", nil))
		data, err := c.Data()
		must(t, err)
		_, err = data.Write(msg)
		must(t, err)
		if err := data.Close(); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		want = append(want, bytes.TrimLeft(msg, " \t")) // else the first line belongs to our Received field
	}
	got := w.mailbox("ann@example.test/INBOX")
	if len(got) != len(want) {
		t.Fatalf("%d of %d mails came", len(got), len(want))
	}
	for i, msg := range got {
		if rest := afterTrace(t, msg); rest != string(withoutReturnPath(want[i])) {
			t.Errorf("mail %d is %q, was %q", i, rest, want[i])
		}
	}
}

// afterTrace cuts off the fields that are ours.
func afterTrace(t *testing.T, msg string) string {
	t.Helper()
	lines := strings.SplitN(msg, "\r\n", 5)
	if len(lines) != 5 || !strings.HasPrefix(lines[0], "Return-Path: ") || !strings.HasPrefix(lines[1], "Received: ") || lines[2][0] != '\t' || lines[3][0] != '\t' {
		t.Fatalf("trace of %q", msg[:min(len(msg), 300)])
	}
	return lines[4]
}

// withoutReturnPath takes out what the server takes out, the slow way.
func withoutReturnPath(msg []byte) []byte {
	head, body, found := bytes.Cut(msg, []byte("\r\n\r\n"))
	if bytes.HasPrefix(msg, []byte("\r\n")) {
		return msg
	}
	var kept [][]byte
	drop := false
	for _, line := range bytes.Split(head, []byte("\r\n")) {
		if len(line) == 0 || line[0] != ' ' && line[0] != '\t' {
			name, _, colon := bytes.Cut(line, []byte(":"))
			drop = colon && bytes.EqualFold(bytes.TrimRight(name, " \t"), []byte("return-path"))
		}
		if !drop {
			kept = append(kept, line)
		}
	}
	head = bytes.Join(kept, []byte("\r\n"))
	if !found {
		return head
	}
	return bytes.Join([][]byte{head, body}, []byte("\r\n\r\n"))
}

// What we write as a header can be read as one.
func TestTraceIsAHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.listen()
	c, err := gosmtp.Dial(w.addr)
	must(t, err)
	defer c.Close()
	must(t, c.Hello("[192.0.2.1]"))
	must(t, c.SendMail("", []string{"ann@example.test"}, strings.NewReader("Subject: x\r\n\r\nbody\r\n")))
	msg, err := mail.ReadMessage(strings.NewReader(w.mailbox("ann@example.test/INBOX")[0]))
	must(t, err)
	received := msg.Header.Get("Received")
	_, date, _ := strings.Cut(received, "; ")
	if _, err := mail.ParseDate(date); err != nil {
		t.Errorf("date of %q: %v", received, err)
	}
	if want := "from [127.0.0.1] (HELO [192.0.2.1]) by mail.example.test (tripost SMTP 0.1) with ESMTP id 1;"; !strings.HasPrefix(received, want) {
		t.Errorf("Received is %q, want %q", received, want)
	}
	if body, err := io.ReadAll(msg.Body); err != nil || string(body) != "body\r\n" {
		t.Errorf("body is %q, %v", body, err)
	}
}
