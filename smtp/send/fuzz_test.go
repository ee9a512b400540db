package send

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"unicode"
)

// FuzzPeer lets a peer say anything to a client with a message. The client comes
// to an end with a result for each recipient, takes nobody for served whom no
// positive reply serves, and what it keeps of replies is one line.
func FuzzPeer(f *testing.F) {
	const hello = "220 mx.test ESMTP\r\n250-mx.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-DSN\r\n250 CHUNKING\r\n"
	for _, seed := range []string{
		hello + "250 ok\r\n250 ok\r\n250 ok\r\n250 2.0.0 taken\r\n221 bye\r\n",
		hello + "250 ok\r\n550-5.1.1 no\r\n550 5.1.1 such user\r\n250 ok\r\n354 go on\r\n250 taken\r\n",
		"220 old\r\n500 what\r\n250 helo\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 taken\r\n",
		"220 mx\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n\x16\x03\x01\x00\x00",
		"554 no\r\n", "421 4.3.2 full\r\n", "220-\r\n220-x\r\n250 y\r\n", "2", "", "220 \x00\x1b[31m\xff\r\n250 x\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		near, far := net.Pipe()
		done := make(chan struct{}, 2)
		go func() {
			io.Copy(io.Discard, far)
			done <- struct{}{}
		}()
		go func() {
			far.Write(said) // who hangs up has heard enough
			far.Close()
			done <- struct{}{}
		}()
		defer func() {
			near.Close()
			<-done
			<-done
		}()
		cl := client()
		cl.Dial = func(context.Context, string, string) (net.Conn, error) { return near, nil }
		c, err := cl.Connect(t.Context(), Target{Name: "mx.test"}, Demand{}, nil)
		if err != nil {
			return
		}
		defer c.Close()
		m := message("joe@x.test", "jim@x.test")
		results := c.Send(m)
		if len(results) != len(m.Recipients) {
			t.Fatalf("%d results for %d recipients", len(results), len(m.Recipients))
		}
		for _, r := range results {
			if r.Err == nil && (r.Reply.Code < 200 || r.Reply.Code > 599) {
				t.Errorf("result %+v", r)
			}
			if s := r.Reply.String(); strings.ContainsFunc(s, unicode.IsControl) || len(s) > maxReplyText+50 {
				t.Errorf("kept %q", s)
			}
		}
	})
}
