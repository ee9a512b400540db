package send

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"tripost/syslog"
	"tripost/wire"
)

// Timeouts bound the waits for the peer. Zero values take the defaults, which
// are those of RFC 5321 section 4.5.3.2 where it names one.
type Timeouts struct {
	Connect   time.Duration // default 30 s
	Handshake time.Duration // TLS; default 1 minute
	Command   time.Duration // greeting, EHLO, MAIL, RCPT; default 5 minutes
	DataStart time.Duration // reply to DATA; default 2 minutes
	DataBlock time.Duration // each piece of the message; default 3 minutes
	DataEnd   time.Duration // reply to the message; default 10 minutes
	Quit      time.Duration // reply to QUIT; default 10 s
}

func (t Timeouts) defaults() Timeouts {
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&t.Connect, 30*time.Second)
	set(&t.Handshake, time.Minute)
	set(&t.Command, 5*time.Minute)
	set(&t.DataStart, 2*time.Minute)
	set(&t.DataBlock, 3*time.Minute)
	set(&t.DataEnd, 10*time.Minute)
	set(&t.Quit, 10*time.Second)
	return t
}

// Client connects to hosts.
type Client struct {
	Hostname string // as we name ourselves in EHLO
	// Port is where the hosts of the world take mail; default 25. A peer there that
	// calls itself by our name is this server, however the way to it leads: ErrSelf.
	// At other ports there may be a neighbour on the same machine.
	Port     int
	Timeouts Timeouts
	Log      *syslog.Logger // tag SMTP; each connection is a session of it
	RootCAs  *x509.CertPool // for verified certificates; nil: the system's
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// Login is how to sign in at a smart host. With it the certificate is verified
// at least, and nothing is sent without TLS.
type Login struct{ User, Password string }

// ErrInsecure is returned when a peer that needs credentials offers no TLS.
var ErrInsecure = errors.New("credentials are not sent without TLS")

// errTLS marks a failed handshake, after which a stranger may be talked to
// without TLS.
var errTLS = errors.New("TLS handshake failed")

// Conn is a connection to a host that has been greeted. One goroutine uses it.
type Conn struct {
	client   *Client
	target   Target
	socket   net.Conn
	nc       net.Conn // the socket, or TLS over it
	wire     *wire.Conn
	timeouts Timeouts
	log      *syslog.Logger
	unwatch  func() bool // of the context
	demand   Demand
	level    Level
	state    *tls.ConnectionState // nil: in clear

	extensions map[string]string // keyword in upper case to its parameters
	last       Reply
	broken     bool
	mails      int             // transactions begun
	domains    map[string]bool // of their recipients, where the peer bounds them
}

// Connect opens a connection: greeting, EHLO (or HELO), STARTTLS when offered,
// AUTH when login is given. Where nothing else is demanded it is better to send
// in clear than not at all, so a failed handshake is followed by another try
// without TLS (RFC 7435). ctx ends the connection, now and later.
func (cl *Client) Connect(ctx context.Context, t Target, d Demand, login *Login) (*Conn, error) {
	if login != nil {
		d.Level = max(d.Level, Verified)
	}
	c, err := cl.connect(ctx, t, d, login, true)
	if errors.Is(err, errTLS) && d.Level == Opportunistic && ctx.Err() == nil {
		c, err = cl.connect(ctx, t, d, nil, false)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", t, err)
	}
	return c, nil
}

// Watch lets ctx end the connection from now on, in the place of the one that
// Connect was given.
func (c *Conn) Watch(ctx context.Context) {
	c.unwatch()
	c.watch(ctx)
}

func (c *Conn) watch(ctx context.Context) {
	c.unwatch = context.AfterFunc(ctx, func() { _ = c.socket.Close() })
}

func (cl *Client) connect(ctx context.Context, t Target, d Demand, login *Login, useTLS bool) (*Conn, error) {
	c := &Conn{client: cl, target: t, demand: d, timeouts: cl.Timeouts.defaults(), log: cl.Log.Session(t.Addr)}
	if err := c.dial(ctx); err != nil {
		return nil, err
	}
	c.socket = c.nc
	c.watch(ctx)
	err := c.open(ctx, login, useTLS)
	if err != nil {
		c.Close() // with QUIT where the peer still listens: RFC 5321 section 4.1.1.10
		return nil, err
	}
	return c, nil
}

func (c *Conn) dial(ctx context.Context) (err error) {
	dial := c.client.Dial
	if dial == nil {
		var d net.Dialer
		dial = d.DialContext
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeouts.Connect)
	defer cancel()
	if c.nc, err = dial(ctx, "tcp", c.target.Addr.String()); err != nil {
		return err
	}
	c.wrap()
	c.logf("connected to %s", c.target)
	return nil
}

// wrap puts the line reader over the connection.
func (c *Conn) wrap() {
	c.wire = wire.NewConn(c.nc, wire.Config{
		Read:  c.timeouts.Command,
		Write: c.timeouts.DataBlock,
		Log:   c.log,
	})
}

// implicitTLS is the port on which TLS comes first (RFC 8314 section 3.3).
const implicitTLS = 465

// open brings a connection to the point where mail can be sent.
func (c *Conn) open(ctx context.Context, login *Login, useTLS bool) error {
	if c.target.Addr.Port() == implicitTLS {
		if err := c.handshake(ctx); err != nil {
			return err
		}
	}
	if r, err := c.reply("greeting"); err != nil {
		return err
	} else if r.Code != 220 {
		return &ReplyError{r, "greeting"}
	} else if c.isSelf(r) {
		return ErrSelf
	}
	if err := c.hello(); err != nil {
		return err
	}
	if c.has("STARTTLS") && useTLS && c.state == nil {
		if err := c.startTLS(ctx); err != nil {
			return err
		}
	}
	if c.state == nil && c.demand.Level > Opportunistic {
		if login != nil {
			return ErrInsecure
		}
		return ErrNoTLS
	}
	if c.state == nil && c.demand.Test {
		c.problem("would be refused if the policy were enforced: %v", ErrNoTLS)
	}
	if c.demand.RequireTLS && !c.RequiresTLS() {
		return ErrNoRequireTLS
	}
	if login == nil {
		return nil
	}
	return c.signIn(login)
}

// hello names ourselves and learns what the peer offers. HELO is for a peer that
// does not know, or does not want, EHLO (RFC 5321 section 3.2), not for one that
// has no time now.
func (c *Conn) hello() error {
	c.extensions = map[string]string{}
	r, err := c.command("EHLO " + c.client.Hostname)
	if err != nil {
		return err
	}
	if r.Code/100 == 4 {
		return &ReplyError{r, "EHLO"}
	}
	if !r.OK() {
		r, err = c.command("HELO " + c.client.Hostname)
		if err == nil && !r.OK() {
			err = &ReplyError{r, "HELO"}
		}
		return err
	}
	if c.isSelf(r) {
		return ErrSelf
	}
	for _, line := range r.lines[1:] {
		keyword, params, _ := strings.Cut(line, " ")
		c.extensions[strings.ToUpper(keyword)] = params
	}
	return nil
}

// isSelf tells whether the name at the begin of a greeting, or of the reply to EHLO
// (RFC 5321 section 4.2), is ours.
func (c *Conn) isSelf(r Reply) bool {
	port := c.client.Port
	if port == 0 {
		port = 25
	}
	name, _, _ := strings.Cut(r.lines[0], " ")
	return int(c.target.Addr.Port()) == port && sameHost(name, c.client.Hostname)
}

// startTLS turns TLS on: RFC 3207. A refusal leaves the connection in clear.
func (c *Conn) startTLS(ctx context.Context) error {
	r, err := c.command("STARTTLS")
	if err != nil {
		return err
	}
	if r.Code != 220 {
		if c.demand.Level > Opportunistic {
			return &ReplyError{r, "STARTTLS"}
		}
		return nil
	}
	if c.wire.Buffered() > 0 {
		c.broken = true
		return fmt.Errorf("octets after the reply to STARTTLS: %w", errReply)
	}
	if err := c.handshake(ctx); err != nil {
		return err
	}
	return c.hello()
}

func (c *Conn) handshake(ctx context.Context) error {
	name := c.target.Name
	if c.demand.Base != "" {
		name = c.demand.Base // RFC 7672 section 8.1
	}
	t := tls.Client(c.nc, &tls.Config{
		ServerName:         name,
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection asks for what is demanded
		VerifyConnection: func(state tls.ConnectionState) (err error) {
			c.level, err = c.verify(&state, c.demand)
			return err
		},
	})
	ctx, cancel := context.WithTimeout(ctx, c.timeouts.Handshake)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		c.broken = true
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	state := t.ConnectionState()
	c.nc, c.state = t, &state
	c.wrap()
	return nil
}

// signIn sends the credentials: RFC 4954, RFC 4616.
func (c *Conn) signIn(login *Login) error {
	if c.state == nil {
		return ErrInsecure
	}
	secret := "\x00" + login.User + "\x00" + login.Password
	c.logf("cmd: AUTH PLAIN ***")
	c.wire.Opaque(true)
	_, err := c.wire.WriteString("AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte(secret)) + "\r\n")
	c.wire.Opaque(false)
	if err != nil {
		return err
	}
	r, err := c.reply("AUTH")
	if err == nil && !r.OK() {
		err = &ReplyError{r, "AUTH"}
	}
	return err
}

// command sends a command and reads its reply.
func (c *Conn) command(line string) (Reply, error) {
	c.put(line)
	verb, _, _ := strings.Cut(line, " ")
	return c.reply(verb)
}

// put writes a command; it goes out with the next read.
func (c *Conn) put(line string) {
	c.logf("cmd: %s", line)
	_, _ = c.wire.WriteString(line + "\r\n") // an error sticks and comes out of the read
}

// reply reads the reply to a command.
func (c *Conn) reply(command string) (Reply, error) {
	r, err := readReply(c.wire)
	if err != nil {
		c.broken = true
		return r, fmt.Errorf("reply to %s: %w", command, err)
	}
	c.logf("rsp: %s", r)
	c.last = r
	if r.Code == 421 {
		c.broken = true // the peer closes: RFC 5321 section 3.8
	}
	return r, nil
}

func (c *Conn) logf(format string, args ...any) {
	if c.log.On(syslog.Protocol) {
		c.log.Logf(syslog.Protocol, format, args...)
	}
}

// problem tells of what went wrong without consequence.
func (c *Conn) problem(format string, args ...any) {
	c.log.Logf(syslog.Problem, c.target.String()+" "+format, args...)
}

// Target returns the host.
func (c *Conn) Target() Target { return c.target }

// Broken tells that nothing more can be sent.
func (c *Conn) Broken() bool { return c.broken }

// Alive asks whether a connection that was not used for a while still stands, by
// RSET.
func (c *Conn) Alive() bool {
	c.reset()
	return !c.broken
}

// maxSize returns the largest message the peer takes, 0 when it does not say
// (RFC 1870).
func (c *Conn) maxSize() int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(c.extensions["SIZE"]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (c *Conn) has(extension string) bool {
	_, ok := c.extensions[extension]
	return ok
}

// Close says goodbye if that is possible, and closes the connection.
func (c *Conn) Close() {
	if !c.broken {
		c.wire.SetReadTimeout(c.timeouts.Quit)
		_, _ = c.command("QUIT") // nothing depends on the reply
	}
	c.abort()
}

func (c *Conn) abort() {
	c.broken = true
	if c.unwatch != nil {
		c.unwatch()
	}
	_ = c.nc.Close()
	c.logf("connection closed")
}
