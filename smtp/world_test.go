package smtp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/router"
	"tripost/smtp/dnstest"
	"tripost/smtp/mailauth"
	"tripost/smtp/queue"
	"tripost/smtp/resolve"
	"tripost/smtp/screen"
	"tripost/store"
	"tripost/store/storetest"
	"tripost/syslog"
	"tripost/wire"
	"tripost/wire/wiretest"
)

// world is an SMTP server with everything under it: a store on disk, accounts in
// two domains, a router, a queue.
type world struct {
	t   testing.TB
	ctx context.Context

	store   *store.Store
	dir     *accounts.Directory
	router  *router.Router
	queue   *queue.Queue
	config  Config
	auth    accounts.AuthOptions
	wire    wire.Config
	options queue.Options
	log     *syslog.Log
	zone    string // of the DNS; with it messages of strangers are judged
	dns     *dnstest.Server
	held    []string // names that are not answered until the test wants it
	screen  screen.Options
	table   string // of the router

	addr string // of the listener
	stop context.CancelFunc
}

const password = "secret"

func newWorld(t testing.TB) *world {
	t.Helper()
	return worldOn(t, func() *store.Store { return storetest.New(t, queue.Bodies) })
}

// worldOn makes a world on a store of the test's own.
func worldOn(t testing.TB, open func() *store.Store) *world {
	t.Helper()
	w := &world{t: t, ctx: context.Background(), stop: func() {}}
	w.store = open()
	w.dir = accounts.New(w.store, accounts.Options{
		Password: accounts.PasswordParams{Memory: 64, Time: 1, Lanes: 1, ScramRounds: 4096},
	})
	for _, domain := range []string{"example.test", "other.test"} {
		_, err := w.dir.AddDomain(w.ctx, domain)
		must(t, err)
	}
	for _, addr := range []string{"ann@example.test", "bob@example.test", "carl@other.test"} {
		_, err := w.dir.AddAccount(w.ctx, addr, password)
		must(t, err)
	}
	must(t, w.dir.AddAlias(w.ctx, "annie@example.test", "ann@example.test"))
	w.log = syslog.Discard()
	w.options = queue.Options{Hostname: "mail.example.test", Product: "tripost 0.1", MaxHops: 30}
	w.auth = accounts.AuthOptions{Cleartext: "never", Exempt: func(netip.Addr) bool { return true }}
	w.wire = wire.Config{Read: time.Minute, Write: time.Minute, Handshake: time.Minute, TLS: serverTLS()}
	w.config = Config{Hostname: "mail.example.test", Product: "tripost 0.1", Timeouts: Timeouts{Greeting: -1, Host: wiretest.Patience}}
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serverTLS has one self-signed certificate for all tests: making it takes time.
var serverTLS = sync.OnceValue(func() *tls.Config {
	config, _ := wiretest.TLS("mail.example.test", false)
	return config
})

// judge turns on what judges messages of strangers.
func (w *world) judge() {
	w.dns = dnstest.New(w.t, w.zone)
	for _, name := range w.held {
		w.dns.Fail(name, dnstest.Held)
	}
	dns := resolve.New(resolve.Options{Servers: []string{w.dns.Addr}, Timeout: 30 * time.Second})
	w.screen.Hostname, w.screen.DNS = w.config.Hostname, dns
	w.config.Checker = &mailauth.Checker{DNS: dns, Time: wiretest.Patience}
	w.screen.Time = wiretest.Patience
	w.config.Screen = screen.New(w.store, w.screen)
	w.config.Policy = w.dir.Policy
}

// server makes the server of what was configured.
func (w *world) server() *Server {
	if w.zone != "" {
		w.judge()
	}
	w.router = router.New(w.dir, router.Options{DirectMailbox: true, Subaddress: "+", Hostname: "mail.example.test"})
	if w.table != "" {
		_, err := w.router.Change(w.ctx, router.Replace(w.table))
		must(w.t, err)
	}
	w.options.Log = w.log
	w.queue = queue.New(w.store, w.router, w.dir, w.options)
	w.config.Queue = w.queue
	w.config.Auth = accounts.NewAuthenticator(w.dir, w.router, w.auth)
	return New(w.config)
}

// listen starts the server on a port of its own, with an end at the test's.
func (w *world) listen() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	w.addr = ln.Addr().String()
	s := w.server()
	server := &wire.Server{
		Name: "SMTPI", Channels: 1000, Log: w.log.Tag("SMTPI"), Grace: time.Minute,
		Conn:    func() wire.Config { return w.wire },
		Busy:    s.Busy,
		Session: s.Serve,
	}
	ctx, cancel := context.WithCancel(w.ctx)
	w.stop = cancel
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, ln, false) }()
	w.t.Cleanup(func() {
		w.stop()
		if err := <-ended; err != nil {
			w.t.Errorf("the server ended: %v", err)
		}
	})
}

// sendAs are addresses that accounts may use beside their own.
type sendAs map[string][]string

func (s sendAs) SendAs(_ context.Context, a accounts.Account) ([]string, error) {
	return s[a.Address()], nil
}

// setup carries out one line of a dialogue's setup.
func (w *world) setup(line string) {
	words := strings.Fields(line)
	number := func(i int) int {
		n, err := strconv.Atoi(words[i])
		must(w.t, err)
		return n
	}
	switch words[0] {
	case "submission":
		w.config.Mode = Submission
	case "list":
		w.screen.Lists = append(w.screen.Lists, screen.List{Zone: words[1], Points: float64(number(2))})
	case "points":
		w.screen.Points = screen.Points{NoName: 2, Hello: 2, Early: 3, SPFFail: 3, SoftFail: 1, Junk: 5, Refuse: 10}
	case "messages":
		w.screen.Rates.Messages = number(1)
	case "unknown":
		w.screen.Rates.Refused = number(1)
	case "connections":
		w.screen.Rates.Connections = number(1)
	case "greylist":
		w.screen.Greylist.On = true
	case "trap":
		w.screen.TrapTime = time.Hour
		w.table = "<" + words[1] + "> = spamtrap\n"
	case "route": // a record of the router's table
		w.table += strings.TrimPrefix(line, "route ") + "\n"
	case "group":
		_, err := w.dir.AddGroup(context.Background(), words[1], words[2:])
		must(w.t, err)
	case "senders": // crew users
		_, err := w.dir.SetGroup(context.Background(), words[1], func(g *accounts.Group) (err error) {
			g.Senders, err = accounts.ParseSenders(words[2])
			return err
		})
		must(w.t, err)
	case "policy": // ann@example.test dmarc refuse
		_, err := w.dir.SetAccount(w.ctx, words[1], func(a *accounts.Account) error {
			_, err := a.Policy.Change(words[2], words[3])
			return err
		})
		must(w.t, err)
	case "own":
		w.options.OwnAddresses = true
		w.options.Identities = sendAs{words[1]: words[2:]}
	case "flow":
		w.options.Flow = queue.Flow{Recipients: number(1)}
	case "lmtp":
		w.config.Mode = LMTP
	case "clients":
		clients, err := ParseClients(words[1:])
		must(w.t, err)
		w.config.Clients = clients
	case "cleartext":
		w.auth.Cleartext = words[1]
	case "no":
		w.wire.TLS = nil
	case "recipients":
		w.config.Limits.Recipients = number(1)
	case "errors":
		w.config.Limits.Errors = number(1)
	case "size":
		w.config.Limits.MessageSize = int64(number(1))
		w.options.MaxSize = int64(number(1))
	case "envelope":
		w.config.Limits.Envelope = number(1)
	case "items":
		w.options.MaxItems = number(1)
	case "hops":
		w.options.MaxHops = number(1)
	case "quota":
		_, err := w.dir.SetAccount(w.ctx, words[1], func(a *accounts.Account) error {
			a.MaxOctets = accounts.Set(int64(number(2)))
			return nil
		})
		must(w.t, err)
	case "services":
		_, err := w.dir.SetAccount(w.ctx, words[1], func(a *accounts.Account) (err error) {
			_, err = a.Change("services", words[2])
			return err
		})
		must(w.t, err)
	case "mailbox":
		a, err := w.dir.Account(w.ctx, words[1])
		must(w.t, err)
		must(w.t, w.store.Create(w.ctx, store.System(), store.MailboxRef{Account: a.ID, Name: words[2]}, store.CreateOptions{}))
	default:
		w.t.Fatalf("setup: %q", line)
	}
}

// mailbox returns the messages of "ann@example.test/INBOX".
func (w *world) mailbox(place string) []string {
	w.t.Helper()
	addr, name, _ := strings.Cut(place, "/")
	a, err := w.dir.Account(w.ctx, addr)
	must(w.t, err)
	v, err := w.store.Open(w.ctx, store.System(), store.MailboxRef{Account: a.ID, Name: name}, true)
	must(w.t, err)
	defer v.Close()
	must(w.t, v.Load(w.ctx))
	var all []string
	for seq := 1; seq <= v.Len(); seq++ {
		body, err := v.OpenBody(w.ctx, seq)
		must(w.t, err)
		var b strings.Builder
		_, err = body.WriteTo(&b)
		must(w.t, err)
		must(w.t, body.Close())
		all = append(all, b.String())
	}
	return all
}

// queued lists what waits, one line each recipient.
func (w *world) queued() string {
	w.t.Helper()
	var lines []string
	for item, err := range w.queue.Items(w.ctx) {
		must(w.t, err)
		for _, r := range item.Recipients {
			lines = append(lines, fmt.Sprintf("<%s> to <%s> at %s\n", item.From, r.Address, r.Host))
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "")
}
