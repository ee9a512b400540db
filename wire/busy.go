package wire

import (
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"tripost/syslog"
)

// refuse closes a connection over a limit. A plain-text client is told why; a
// handshake, only to say so, would cost more than a session.
func (s *Server) refuse(nc net.Conn, remote netip.AddrPort, implicitTLS bool, reason string) {
	defer nc.Close()
	s.busy.note(s.Log, remote, reason)
	if implicitTLS || s.Busy == nil {
		return
	}
	nc.SetWriteDeadline(time.Now().Add(busyWrite))
	io.WriteString(nc, s.Busy(reason)) // who does not take it misses only the reason
}

// busyEvery is how often refusals are logged as a problem; those in between
// are counted, so that a flood of connections is not one of records.
const busyEvery = time.Second

// busyLog logs refused connections.
type busyLog struct {
	mu      sync.Mutex
	last    time.Time
	skipped int
}

func (b *busyLog) note(log *syslog.Logger, remote netip.AddrPort, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.last) < busyEvery {
		b.skipped++
		return
	}
	text := bracketed(remote) + " refused: " + reason
	if b.skipped > 0 {
		text += " (and " + strconv.Itoa(b.skipped) + " more since the last such record)"
	}
	log.Log(syslog.Problem, text)
	b.last, b.skipped = time.Now(), 0
}

// logIncoming logs a new session.
func logIncoming(log *syslog.Logger, from proxied) {
	if !log.On(syslog.Protocol) {
		return
	}
	text := bracketed(from.local) + " <- " + bracketed(from.remote) + " incoming connection"
	if from.by.IsValid() {
		text += " by way of " + bracketed(from.by)
	}
	log.Log(syslog.Protocol, text)
}

// bracketed writes an address as the System Log does: [192.0.2.7]:51022.
func bracketed(a netip.AddrPort) string {
	if !a.IsValid() {
		return "[local]"
	}
	return "[" + a.Addr().String() + "]:" + strconv.Itoa(int(a.Port()))
}
