package queue

import (
	"context"
	"io"
	"strings"
	"testing"

	"tripost/smtp/sinktest"
)

// signing is a signer that says how long the message is that it has seen.
type signing struct{ seen chan string }

func (s signing) Sign(_ context.Context, m *Outgoing) ([]byte, error) {
	text, err := io.ReadAll(io.NewSectionReader(m.Body, 0, m.Size))
	s.seen <- string(text)
	return []byte("X-Signed: yes\r\n"), err
}

// What a peer does not take as it is is converted for it, and signed afterwards.
func TestSenderConverts(t *testing.T) {
	t.Parallel()
	const text = "From: ann@example.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngrüße\r\n"
	for name, c := range map[string]struct {
		extensions []string
		binary     bool
		want, body string
	}{
		"8BITMIME":                 {[]string{"8BITMIME"}, false, " BODY=8BITMIME", "\r\n\r\ngrüße\r\n"},
		"without":                  {[]string{"PIPELINING"}, false, "", "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BC=C3=9Fe\r\n"},
		"BINARYMIME":               {[]string{"CHUNKING", "BINARYMIME", "8BITMIME"}, true, " BODY=BINARYMIME", "\r\n\r\ngrüße\r\n"},
		"binary, without":          {[]string{"CHUNKING", "8BITMIME"}, true, "", "\r\n\r\ngr=C3=BC=C3=9Fe\r\n"},
		"binary, without anything": {[]string{"SIZE 1000"}, true, " SIZE=", "\r\n\r\ngr=C3=BC=C3=9Fe\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			n := newInternet()
			s := sinktest.New(t, sinktest.Options{Extensions: c.extensions})
			n.host("client.test", "192.0.2.1", s)
			env := envelope("ann@example.test", "joe@client.test")
			env.Binary = c.binary
			_, err := w.Submit(w.ctx, env, strings.NewReader(text))
			must(t, err)
			signer := signing{make(chan string, 1)}
			w.run(n, SenderOptions{Signer: signer})
			got := s.Wait(1)[0]
			if !strings.HasPrefix(got.From, "<ann@example.test>"+c.want) || !strings.HasSuffix(got.Data, c.body) {
				t.Errorf("taken: %s\n%q", got.From, got.Data)
			}
			if signed := <-signer.seen; "X-Signed: yes\r\n"+signed != got.Data {
				t.Errorf("signed:\n%q\nsent:\n%q", signed, got.Data)
			}
		})
	}
}
