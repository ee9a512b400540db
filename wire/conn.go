package wire

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"tripost/syslog"
)

// Config is what a Conn needs to know.
type Config struct {
	// Read is the longest wait for the next octets of the peer, until
	// SetReadTimeout changes it; Write that for one flush; Handshake that for a
	// TLS handshake or a PROXY protocol header. 0 is no limit, but for
	// Handshake, where it is 30 seconds.
	Read, Write, Handshake time.Duration

	TLS *tls.Config    // nil: no TLS to be had
	Log *syslog.Logger // of the session; lines and responses are logged at level Raw
}

// defaultHandshake is the handshake timeout when none is configured.
const defaultHandshake = 30 * time.Second

func (c Config) handshakeTimeout() time.Duration {
	if c.Handshake <= 0 {
		return defaultHandshake
	}
	return c.Handshake
}

// Conn is one connection: a bounded reader and an append-style writer. Output
// is sent before a read that has to ask the network, at 64 KiB, and by Flush.
type Conn struct {
	raw net.Conn        // the socket; never changes, so any goroutine may use it
	sys syscall.RawConn // of raw, nil when TLS is on or raw is no socket: see attempt
	nc  net.Conn        // raw, or the TLS connection over it

	config Config
	remote netip.AddrPort
	local  *netip.AddrPort // where a proxy tells it; nil: as raw does
	over   *overSocket     // nil: nothing

	secret bool // lines are logged as ***
	opaque bool // output is not logged
	bareLF bool // the last line had no CR
	armed  bool // readDeadline is set on raw

	woken atomic.Bool // set by Wake, taken by WaitInput

	// Input: in[r:w] is read and not consumed. in is inPooled.b, or over.small,
	// or nil.
	in       []byte
	r, w     int
	inPooled *buffer
	line     *oddLine  // nil: none
	transfer *transfer // nil: none since the last wait for a command
	body     drainer   // literal or data that is not at its end, or nil

	read         readAttempt
	readDeadline time.Time // zero: none
	limit        time.Time // no read waits beyond; zero: none
	silentSince  time.Time // from when WaitInput counts the read timeout; zero: from its call

	// Output: out waits to be sent, out[:logged] is in the log.
	out           []byte
	outPooled     *buffer
	logged        int
	writeDeadline time.Time
	werr          error // the first failure, which sticks

	soonWaiting *atomic.Int32 // how many sessions of the server are in soon; nil: no server

	serverDone <-chan struct{}       // of the context at whose end the server interrupts
	stop       atomic.Pointer[error] // set by Interrupt
}

// What few connections need at a moment is apart from a Conn, so that the many that
// wait take less.
type (
	// overSocket is what TLS or compression add, and what is no socket.
	overSocket struct {
		certificate *x509.Certificate // see ServerCertificate
		small       [smallInput]byte
	}

	// transfer is what the readers and writers of message data work with.
	transfer struct {
		literal LiteralReader
		data    DataReader
		dot     dotWriter
	}
)

// layer returns what lies over the socket.
func (c *Conn) layer() *overSocket {
	if c.over == nil {
		c.over = new(overSocket)
	}
	return c.over
}

// moving returns what a transfer of message data works with.
func (c *Conn) moving() *transfer {
	if c.transfer == nil {
		c.transfer = new(transfer)
	}
	return c.transfer
}

// rest gives back what only a command under way needs.
func (c *Conn) rest() { c.transfer, c.line = nil, nil }

// drainer is a body that the next command has to wait for.
type drainer interface{ Drain() error }

// NewConn returns a Conn over nc, which it owns from now on.
func NewConn(nc net.Conn, config Config) *Conn {
	c := &Conn{raw: nc, nc: nc, config: config}
	c.remote = addrPort(nc.RemoteAddr())
	switch s := nc.(type) {
	case *net.TCPConn:
		c.sys, _ = s.SyscallConn()
	case *net.UnixConn:
		c.sys, _ = s.SyscallConn()
	}
	c.read.fn = c.attempt
	return c
}

// addrPort returns the address of a TCP connection, else the zero value.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Remote returns the address of the peer, as a trusted proxy tells it if there
// is one. It is the zero value for a Unix socket.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// Local returns the address that the peer connected to; the zero value for a
// Unix socket.
func (c *Conn) Local() netip.AddrPort {
	if c.local != nil {
		return *c.local
	}
	return addrPort(c.raw.LocalAddr())
}

// Logger returns the session's logger, which may be nil and is then silent.
func (c *Conn) Logger() *syslog.Logger { return c.config.Log }

// SetReadTimeout changes how long the following reads wait for the peer; 0 is
// without limit. A wait may last up to a sixteenth longer, but at most 10
// seconds: deadlines are not set anew for every read.
func (c *Conn) SetReadTimeout(d time.Duration) { c.config.Read = d }

// SetDeadline sets a time beyond which no read waits, such as the end of the
// time allowed for signing in. The zero value lifts it.
func (c *Conn) SetDeadline(t time.Time) { c.limit = t }

// Secret tells whether the lines read from now on are secret: at level Raw
// *** stands for them.
func (c *Conn) Secret(on bool) { c.secret = on }

// Opaque tells whether output written from now on is message text, of which
// only the number of octets is logged.
func (c *Conn) Opaque(on bool) {
	if on != c.opaque {
		c.logOutput()
		c.opaque = on
	}
}

// Interrupt makes a wait for a new command return err, now and from now on.
// Commands and message data that are under way are read to their end. It may be
// called from any goroutine; the first call counts.
func (c *Conn) Interrupt(err error) {
	if c.stop.CompareAndSwap(nil, &err) {
		c.nudge()
	}
}

// Wake makes the WaitInput under way, or else the next one, return ErrWoken. It
// may be called from any goroutine, and costs less than a channel, for which
// WaitInput needs a goroutine of its own.
func (c *Conn) Wake() {
	if c.woken.CompareAndSwap(false, true) {
		c.nudge()
	}
}

// nudge ends a read that waits; the reader finds out why.
func (c *Conn) nudge() { c.raw.SetReadDeadline(time.Unix(1, 0)) }

// stopped returns what Interrupt was called with.
func (c *Conn) stopped() error {
	if p := c.stop.Load(); p != nil {
		return *p
	}
	return nil
}

// Abort closes the connection at once, from any goroutine.
func (c *Conn) Abort() error { return c.raw.Close() }

// Close sends what has been written and closes the connection. It belongs to
// the session's goroutine; others call Abort.
func (c *Conn) Close() error {
	err := c.Flush()
	if err == nil {
		c.linger()
	}
	if closeErr := c.nc.Close(); err == nil {
		err = closeErr
	}
	c.r, c.w, c.line, c.body = 0, 0, nil, nil
	c.releaseInput()
	c.out = c.out[:0]
	c.releaseOutput()
	return err
}

const (
	lingerTime   = 500 * time.Millisecond
	lingerOctets = 256 << 10
)

// linger takes in what the peer had sent before it saw the last response. A
// socket closed with unread input resets the connection, which can destroy that
// response on its way.
func (c *Conn) linger() {
	tcp, ok := c.nc.(*net.TCPConn)
	if !ok {
		return
	}
	c.r, c.w = 0, 0
	if n, err := c.pollInput(); n == 0 || err != nil {
		return
	}
	tcp.CloseWrite()
	tcp.SetReadDeadline(time.Now().Add(lingerTime))
	c.takeInput()
	for total := 0; total < lingerOctets; {
		n, err := tcp.Read(c.in)
		if err != nil {
			return
		}
		total += n
	}
}
