package send

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"tripost/smtp/sinktest"
	"tripost/wire"
)

// smuggled are ends of data that are none, and others might take for one.
var smuggled = []string{
	"\n.\n", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r", "\r.\r\n", "\r.\n", "\n.\r", "\r\r\n.\r\n", "\r\n.\r\r\n",
	"\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\x00\n.\r\n", "\n\n.\r\n", "\n\r.\n\r",
}

// A message that is not made of lines never ends, and no other message comes of
// it, over DATA or in chunks, however its octets come.
func TestSendNotLines(t *testing.T) {
	t.Parallel()
	for _, extensions := range [][]string{{"8BITMIME"}, {"PIPELINING"}, {"PIPELINING", "CHUNKING", "8BITMIME"}} {
		s := sinktest.New(t, sinktest.Options{Extensions: extensions})
		for _, end := range smuggled {
			text := "Subject: x\r\n\r\none" + end + "MAIL FROM:<eve@x.test>\r\nRCPT TO:<joe@x.test>\r\nDATA\r\nsmuggled\r\n.\r\n"
			for _, size := range []int{len(text), len("Subject: x\r\n\r\none") + 1} { // behind a CR
				cut := text[:size]
				if size < len(text) && !strings.HasSuffix(cut, "\r") {
					continue
				}
				c, err := open(t, client(), s, nil)
				if err != nil {
					t.Fatal(err)
				}
				results := c.Send(Message{From: "ann@x.test", Recipients: []string{"joe@x.test"}, Size: int64(size), Body: iotest.HalfReader(strings.NewReader(cut))})
				if !errors.Is(results[0].Err, ErrLines) {
					t.Errorf("%q: %+v", cut, results)
				}
				c.Close()
			}
		}
		c, err := open(t, client(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		text := "Subject: sound\r\n\r\n.\r\n..\r\n"
		results := c.Send(Message{From: "ann@x.test", Recipients: []string{"joe@x.test"}, Size: int64(len(text)), Body: strings.NewReader(text)})
		if !results[0].Reply.OK() {
			t.Errorf("%+v", results)
		}
		c.Close()
		got := s.Wait(1)
		if len(got) != 1 || got[0].Data != text {
			t.Errorf("%v: the peer has %q", extensions, fmt.Sprint(got))
		}
	}
}

// lineReader yields what is sound octet for octet, and nothing that is wrong.
func TestLineReader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want error
	}{
		{"", nil}, {"a\r\nb", nil}, {"a\r\n.\r\n", nil},
		{"a\nb", wire.ErrBareLF}, {"a\rb", wire.ErrBareCR}, {"a\r\nb\r", wire.ErrBareCR}, {"a\x00b", wire.ErrNUL},
	} {
		var got strings.Builder
		buf := make([]byte, 3)
		r := &lineReader{body: iotest.OneByteReader(strings.NewReader(c.text)), size: int64(len(c.text))}
		var err error
		for err == nil {
			var n int
			n, err = r.Read(buf)
			got.Write(buf[:n])
		}
		if c.want != nil && !(errors.Is(err, ErrLines) && errors.Is(err, c.want)) || !strings.HasPrefix(c.text, got.String()) || c.want == nil && got.String() != c.text {
			t.Errorf("%q: %q, %v", c.text, got.String(), err)
		}
	}
}
