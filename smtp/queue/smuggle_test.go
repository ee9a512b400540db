package queue

import (
	"strings"
	"testing"

	"tripost/smtp/sinktest"
)

// A stored message that holds what others might take for the end of one comes
// back to its sender, and no host gets it, or anything made of it.
func TestSenderSmugglesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	n := newInternet()
	s := sinktest.New(t, sinktest.Options{Extensions: []string{"PIPELINING", "CHUNKING", "8BITMIME"}})
	n.host("client.test", "192.0.2.1", s)
	old := sinktest.New(t, sinktest.Options{Extensions: []string{"8BITMIME"}})
	n.host("old.test", "192.0.2.2", old)
	ends := []string{
		"\n.\n", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r", "\r.\r\n", "\r.\n", "\n.\r", "\r\r\n.\r\n", "\r\n.\r\r\n",
		"\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\x00\n.\r\n", "\n\n.\r\n", "\n\r.\n\r",
	}
	for _, end := range ends {
		text := "Subject: x\r\n\r\none" + end + "MAIL FROM:<eve@evil.test>\r\nRCPT TO:<joe@client.test>\r\nDATA\r\nsmuggled\r\n"
		_, err := w.Submit(w.ctx, envelope("ann@example.test", "joe@client.test", "joe@old.test"), strings.NewReader(text))
		must(t, err)
	}
	w.run(n, SenderOptions{})
	w.until("all have come back", w.empty)
	reports := 0
	for _, r := range w.inbox("ann") {
		reports += strings.Count(r, "\r\nStatus: 5.6.0\r\n")
	}
	if want := 2 * len(ends); reports != want {
		t.Errorf("%d recipients came back, want %d", reports, want)
	}
	for _, host := range []*sinktest.Sink{s, old} {
		if got := host.Messages(); len(got) != 0 {
			t.Errorf("a host has %+v", got)
		}
		for _, command := range host.Commands() {
			if strings.Contains(command, "evil.test") {
				t.Errorf("a host was told %q", command)
			}
		}
	}
}
