package send

import (
	"bytes"
	"context"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tripost/smtp/sinktest"
)

// verbs are the commands that a sink has seen, without their arguments.
func verbs(s *sinktest.Sink) (all []string) {
	for _, line := range s.Commands() {
		verb, _, _ := strings.Cut(line, " ")
		all = append(all, verb)
	}
	return all
}

// A message goes in chunks where they are taken, octet for octet, and what it
// ends with never ends it.
func TestSendChunks(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"Subject: x\r\n\r\n.\r\n..\r\nRSET\r\n", "Subject: x\r\n\r\nno end", "Subject: x\r\n\r\nbare\n.\nMAIL FROM:<eve@x.test>\r\n.\r\n", "",
		strings.Repeat("x", 2*chunk+7),
	} {
		s := sinktest.New(t, sinktest.Options{Extensions: []string{"PIPELINING", "CHUNKING", "BINARYMIME", "8BITMIME"}})
		c, err := open(t, client(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		results := c.Send(Message{From: "ann@x.test", Recipients: []string{"joe@x.test"}, Size: int64(len(text)), Binary: true, Body: strings.NewReader(text)})
		if results[0].Err != nil || !results[0].Reply.OK() {
			t.Errorf("%.20q: %+v", text, results)
		}
		got := s.Wait(1)[0]
		if got.Data != text || got.From != "<ann@x.test> BODY=BINARYMIME" {
			t.Errorf("%.40q arrived as %.40q, %s", text, got.Data, got.From)
		}
	}
}

// A chunk that is refused ends the message, not the connection.
func TestSendChunkRefused(t *testing.T) {
	t.Parallel()
	s := sinktest.New(t, sinktest.Options{Extensions: []string{"CHUNKING"}, Reply: func(command, _ string) string {
		if command == "BDAT" {
			return "452 4.3.1 no room"
		}
		return ""
	}})
	c, err := open(t, client(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", chunk+1)
	results := c.Send(Message{Recipients: []string{"joe@x.test"}, Size: int64(len(big)), Binary: true, Body: strings.NewReader(big)})
	if results[0].Reply.Code != 452 || c.Broken() {
		t.Errorf("%+v, broken: %v", results, c.Broken())
	}
	results = c.Send(Message{Recipients: []string{"joe@x.test"}, Size: 3, Body: strings.NewReader("a\r\n")})
	if !results[0].Reply.OK() || len(s.Wait(1)) != 1 {
		t.Errorf("the next one: %+v", results)
	}
}

// DATA goes with the recipients where commands may be pipelined, and is called
// off when nobody is left.
func TestSendDataAhead(t *testing.T) {
	t.Parallel()
	s := sinktest.New(t, sinktest.Options{Reply: func(command, arg string) string {
		if command == "RCPT" && strings.Contains(arg, "nobody") {
			return "550 5.1.1 no such user"
		}
		return ""
	}})
	c, err := open(t, client(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	results := c.Send(Message{Recipients: []string{"nobody@x.test"}, Size: 3, Body: strings.NewReader("a\r\n")})
	if results[0].Reply.Code != 550 || c.Broken() {
		t.Errorf("%+v", results)
	}
	results = c.Send(Message{Recipients: []string{"joe@x.test"}, Size: 3, Body: strings.NewReader("b\r\n")})
	if !results[0].Reply.OK() {
		t.Errorf("%+v", results)
	}
	if got := s.Wait(1); len(got) != 1 || got[0].Data != "b\r\n" {
		t.Errorf("taken: %+v", got)
	}
	if got := verbs(s); !slices.Equal(got, []string{"EHLO", "MAIL", "RCPT", "DATA", "RSET", "MAIL", "RCPT", "DATA"}) {
		t.Errorf("commands: %q", got)
	}
}

// The domain of an address may be written in ASCII for a peer without SMTPUTF8,
// its local part may not.
func TestSendDomainInASCII(t *testing.T) {
	t.Parallel()
	s := sinktest.New(t, sinktest.Options{})
	c, err := open(t, client(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := Message{From: "ann@bücher.test", Recipients: []string{"joe@Grüße.test"}, Size: 3, Body: strings.NewReader("a\r\n")}
	if results := c.Send(m); !results[0].Reply.OK() {
		t.Errorf("%+v", results)
	}
	if got := s.Wait(1)[0]; got.To[0] != "<joe@xn--gre-6ka8l.test>" || !strings.HasPrefix(got.From, "<ann@xn--bcher-kva.test>") {
		t.Errorf("taken: %+v", got)
	}
	m.Recipients = []string{"jürgen@x.test"}
	if results := c.Send(m); results[0].Err != ErrNonASCII {
		t.Errorf("%+v", results)
	}
}

// What looks like the end of a message to some reader is never sent before the
// end. CR and LF that stand alone are not sent at all: see TestSendNotLines.
func TestSendNoEarlyEnd(t *testing.T) {
	t.Parallel()
	early := regexp.MustCompile(`\n\.\r?\n`)
	for _, text := range []string{
		"a\r\n.\r\nMAIL FROM:<eve@x.test>\r\n", ".\r\n", "a\r\n\r\n.\r\n.\r\n", "a\r\n..\r\n", ".", "\r\n.",
	} {
		var wire bytes.Buffer
		s := sinktest.New(t, sinktest.Options{})
		cl := client()
		cl.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			var d net.Dialer
			nc, err := d.DialContext(ctx, network, address)
			return &recorded{nc, &wire}, err
		}
		c, err := open(t, cl, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		if results := c.Send(Message{Recipients: []string{"joe@x.test"}, Size: int64(len(text)), Body: strings.NewReader(text)}); !results[0].Reply.OK() {
			t.Fatalf("%q: %+v", text, results)
		}
		_, data, _ := strings.Cut(wire.String(), "DATA\r\n")
		if at := early.FindStringIndex(data); at == nil || at[1] != len(data) {
			t.Errorf("%q is sent as %q", text, data)
		}
		if got := s.Messages(); len(got) != 1 || len(verbs(s)) != 4 {
			t.Errorf("%q: %d messages, commands %q", text, len(got), verbs(s))
		}
	}
}

// recorded keeps what is written.
type recorded struct {
	net.Conn
	to *bytes.Buffer
}

func (r *recorded) Write(p []byte) (int, error) {
	r.to.Write(p)
	return r.Conn.Write(p)
}
