package smtp

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tripost/wire"
)

// drip sends octets, some each interval, until there are no more or the server
// hangs up.
func drip(nc net.Conn, text string, some int, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for len(text) > 0 {
		n := min(some, len(text))
		if _, err := io.WriteString(nc, text[:n]); err != nil {
			return
		}
		text = text[n:]
		<-tick.C
	}
}

// Mail data that comes too slowly ends the session, however regularly it comes;
// what is fast enough may take as long as it needs.
func TestPace(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789\r\n", 3000) + ".\r\n"
	for _, c := range []struct {
		name     string
		some     int
		interval time.Duration
		slow     bool
	}{
		{"an octet now and then", 1, 10 * time.Second, true},
		{"half as fast as it must be", 50, time.Second, true},
		{"just fast enough", 120, time.Second, false},
		{"fast", 4096, time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			s := &session{server: New(Config{Limits: Limits{DataRate: 100}})}
			s.conn = wire.NewConn(server, wire.Config{Read: time.Hour})
			done := make(chan struct{})
			go func() {
				defer close(done)
				drip(client, long, c.some, c.interval)
			}()
			begin := time.Now()
			clock := s.pace(nil)
			n, err := io.Copy(io.Discard, pacedData{s.conn.Data(1 << 20), clock})
			took := time.Since(begin)
			client.Close()
			<-done
			switch {
			case !c.slow && (err != nil || n != int64(len(long)-3)):
				t.Errorf("%s: %d octets and %v", c.name, n, err)
			case c.slow && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, wire.ErrIdle):
				t.Errorf("%s: %d octets and %v", c.name, n, err)
			case c.slow && (took < time.Minute || took > 10*time.Minute):
				t.Errorf("%s: it took %v", c.name, took)
			}
		})
	}
}
