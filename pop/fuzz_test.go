package pop

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"tripost/wire"
)

// FuzzSession sends whatever it likes to a session, cut into two pieces, and
// checks that
//
//   - each line that it writes is a reply, a challenge, or of a multi-line reply
//     that ends with a dot;
//   - nothing is removed but by a QUIT in the TRANSACTION state, and then what
//     was marked.
func FuzzSession(f *testing.F) {
	signIn := "USER ann\r\nPASS " + annPassword + "\r\n"
	for _, seed := range []string{
		signIn + "STAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 1 0\r\nDELE 1\r\nRSET\r\nLAST\r\nNOOP\r\nCAPA\r\nQUIT\r\n",
		signIn + "DELE 1\r\nDELE 2\r\nQUIT\r\nSTAT\r\n",
		signIn + "DELE 1\r\nRSET\r\nDELE 2\r\nQUIT\r\n",
		signIn + "XTND XMIT\r\nFrom: ann@example.test\r\nTo: bob@other.test\r\n\r\nQUIT\r\n.\r\nDELE 1\r\n",
		signIn + "XTND XMIT\r\nTo: x\n.\nDELE 1\nQUIT\n.\r\n",
		"AUTH\r\nCAPA\r\nAUTH PLAIN\r\n*\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\nRETR 2\r\n",
		"AUTH LOGIN YW5u\r\nc2VjcmV0\r\nDELE 2\r\nQUIT\r\n",
		"STLS\r\nAUTH SCRAM-SHA-256 biwsbj1hbm4scj14\r\n\r\n",
		signIn + "XTND a\rb\r\nRETR 1\r\x00\r\n",
		"UTF8\r\nCAPA\r\nAPOP ann 00\r\n" + signIn + "UTF8\r\nSTAT\r\nRETR 2\r\n",
		"LANG\r\nLANG ru\r\nCAPA\r\n" + signIn + "LANG ja-JP\r\nLIST\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n",
		"\r\n\n \r\nUSER\x00\r\nUSER " + strings.Repeat("x", 600) + "\r\n",
	} {
		f.Add([]byte(seed), uint16(len(seed)/2))
	}
	w := newWorld(f, true)
	w.wire.TLS = nil
	w.config.Limits = Limits{Message: 2000, Header: 1000, Recipients: 5, SignIns: 5, Faults: 30}
	f.Fuzz(func(t *testing.T, input []byte, cut uint16) {
		if bytes.Count(input, []byte("\n")) > 200 {
			return
		}
		w.t = t
		w.refill("ann/INBOX")
		output := w.talk(input, int(cut))
		if err := checkReplies(output); err != nil {
			t.Fatalf("%v in\n%q", err, output)
		}
		left := w.contents("ann/INBOX")
		if n := strings.Count(left, "\n"); n < 2 && !bytes.Contains(bytes.ToUpper(input), []byte("QUIT")) {
			t.Fatalf("%d messages left without a QUIT", n)
		} else if n < 2 && 2-n > strings.Count(string(output), "marked deleted\r\n")+len(saying(sayMarked).FindAll(output, -1)) {
			t.Fatalf("%d messages left, more removed than marked", n)
		} else if n < 2 && !saying(sayGoodbye).Match(output[bytes.LastIndex(output[:len(output)-1], []byte("\n"))+1:]) {
			t.Fatalf("%d messages left without a goodbye", n)
		}
	})
}

// refill makes a mailbox hold two messages.
func (w *world) refill(box string) {
	w.t.Helper()
	for range 2 - strings.Count(w.contents(box), "\n") {
		w.deliver(box, "Subject: x\r\n\r\n.body\r\n")
	}
	v := w.open(box)
	if extra := v.Len() - 2; extra > 0 { // a client has sent to itself
		for seq := range extra {
			w.expunge(box, fmt.Sprint(v.At(seq+1).UID))
		}
	}
}

// talk holds a session with the input and returns the output.
func (w *world) talk(input []byte, cut int) []byte {
	w.run()
	cut = min(cut, len(input))
	nc := &scriptConn{pieces: [][]byte{input[:cut], input[cut:]}}
	c := wire.NewConn(nc, w.wire)
	w.srv.Serve(w.ctx, c)
	c.Close()
	return nc.output.Bytes()
}

// scriptConn is a connection to a client that sends a few pieces, whatever the
// answers, and closes its side.
type scriptConn struct {
	net.Conn // nil: nothing else is called
	pieces   [][]byte
	output   bytes.Buffer
}

func (c *scriptConn) Read(p []byte) (int, error) {
	for len(c.pieces) > 0 && len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	c.pieces[0] = c.pieces[0][n:]
	return n, nil
}

func (c *scriptConn) Write(p []byte) (int, error)      { return c.output.Write(p) }
func (c *scriptConn) Close() error                     { return nil }
func (c *scriptConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *scriptConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *scriptConn) SetReadDeadline(time.Time) error  { return nil }
func (c *scriptConn) SetWriteDeadline(time.Time) error { return nil }

// checkReplies reads what a session wrote as a client would that knows only
// from the first line's text whether more lines follow.
func checkReplies(output []byte) error {
	text := string(output)
	for text != "" {
		line, rest, ok := strings.Cut(text, "\r\n")
		if !ok {
			return fmt.Errorf("half a line: %q", text)
		}
		text = rest
		switch {
		case strings.ContainsAny(line, "\r\n\x00"):
			return fmt.Errorf("a reply with control characters: %q", line)
		case len(line) > 510 && !strings.HasPrefix(line, "+ "):
			return fmt.Errorf("a reply of %d octets", len(line))
		case strings.HasPrefix(line, "+OK") && multiLine(line):
			body, after, ok := strings.Cut("\r\n"+text, "\r\n.\r\n")
			if !ok {
				return fmt.Errorf("%q goes on without an end", line)
			}
			for l := range strings.SplitSeq(body, "\r\n") {
				if l == "." {
					return fmt.Errorf("a lone dot in %q", line)
				}
			}
			text = after
		case strings.HasPrefix(line, "+OK"), strings.HasPrefix(line, "-ERR"), strings.HasPrefix(line, "+ "):
		default:
			return fmt.Errorf("no reply: %q", line)
		}
	}
	return nil
}

func multiLine(line string) bool {
	return saying(sayCapabilities, sayMechanisms, sayScanListing, sayUIDListing, sayTop, sayOctets, sayLanguages).MatchString(line + "\r\n")
}

// saying matches a positive reply with one of the phrases, in any language.
func saying(any ...phrase) *regexp.Regexp {
	var texts []string
	for _, l := range languages() {
		for _, p := range any {
			texts = append(texts, quotedVerb.ReplaceAllString(regexp.QuoteMeta(l.texts[p]), ".*"))
		}
	}
	return regexp.MustCompile(`(?m)^\+OK (` + strings.Join(texts, "|") + `)\r$`)
}

var quotedVerb = regexp.MustCompile(`%(\\\[\d\\\])?[ds]`)
