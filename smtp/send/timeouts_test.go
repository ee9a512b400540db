package send

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// silent is a peer over a pipe that says nothing more from some command on. With
// "message" it asks for the message and does not read it.
func silent(nc net.Conn, point string) {
	r := bufio.NewReader(nc)
	say := func(line string) bool {
		_, err := io.WriteString(nc, line+"\r\n")
		return err == nil
	}
	wait := func() { _, _ = io.Copy(io.Discard, r) } // until the client gives up
	if point == "greeting" || !say("220 pipe") {
		wait()
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case verb == point:
			wait()
			return
		case verb == "EHLO":
			say("250-pipe\r\n250 8BITMIME")
		case verb == "DATA":
			say("354 go on")
			if point == "message" {
				return // what nobody reads blocks a pipe
			}
			for line != ".\r\n" && err == nil {
				line, err = r.ReadString('\n')
			}
			if point == "end" {
				wait()
				return
			}
			say("250 ok")
		default:
			say("250 ok")
		}
	}
}

// deadlineSlack is how much later a deadline of package wire may come, which sets
// it anew only now and then.
const deadlineSlack = 10 * time.Second

// A peer that says nothing more is waited for as long as RFC 5321 section 4.5.3.2
// asks for, and no longer.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	for point, want := range map[string]time.Duration{
		"greeting": 5 * time.Minute, "EHLO": 5 * time.Minute, "MAIL": 5 * time.Minute, "RCPT": 5 * time.Minute,
		"DATA": 2 * time.Minute, "end": 10 * time.Minute, "message": 3 * time.Minute,
	} {
		t.Run(point, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					silent(there, point)
				}()
				cl := &Client{Hostname: "mail.example.test", Dial: func(context.Context, string, string) (net.Conn, error) { return here, nil }}
				begin := time.Now()
				conn, err := cl.Connect(t.Context(), Target{Name: "mx.test", Addr: netip.MustParseAddrPort("192.0.2.1:25")}, Demand{}, nil)
				if err == nil {
					err = conn.Send(message("joe@x.test"))[0].Err
				}
				took := time.Since(begin)
				if err == nil || took < want || took > want+deadlineSlack {
					t.Errorf("%v after %v, want %v", err, took, want)
				}
				if conn != nil {
					conn.Close()
				}
				here.Close()
				there.Close()
				<-ended
			})
		})
	}
}
