package imap

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/alerts"
	"tripost/message"
	"tripost/store"
	"tripost/store/engine"
	"tripost/store/storetest"
	"tripost/syslog"
	"tripost/syslog/syslogtest"
	"tripost/wire"
	"tripost/wire/wiretest"
)

// world is an IMAP module with everything under it: a store on disk, and the
// accounts ann, boss and public of example.test and bob of other.test.
type world struct {
	t      testing.TB
	ctx    context.Context
	cancel context.CancelFunc

	store  *store.Store
	dir    *accounts.Directory
	alerts *alerts.Alerts
	config Config
	wire   wire.Config
	auth   accounts.AuthOptions

	spoiled map[string][]byte // values of the store that were damaged, as they had been

	later atomic.Int64 // than epoch, in nanoseconds: the time of the store

	start sync.Once
	srv   *Server
	addr  string // of the listener
	pipe  bool   // sessions run over net.Pipe
}

const password = "secret"

// epoch is the time at which all worlds stand still unless they are told, so that
// dates and UIDVALIDITY are the same in every run.
var epoch = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

func newWorld(t testing.TB, pipe bool) *world {
	t.Helper()
	w := &world{t: t, pipe: pipe, spoiled: make(map[string][]byte)}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.store = storetest.Open(t, t.TempDir(), store.Options{
		Undelete: 24 * time.Hour, Now: func() time.Time { return epoch.Add(time.Duration(w.later.Load())) },
	})
	t.Cleanup(w.cancel)
	w.dir = accounts.New(w.store, accounts.Options{
		Password: accounts.PasswordParams{Memory: 64, Time: 1, Lanes: 1, ScramRounds: 4096},
	})
	for _, domain := range []string{"example.test", "other.test"} {
		_, err := w.dir.AddDomain(w.ctx, domain)
		must(t, err)
	}
	for _, addr := range []string{"ann@example.test", "boss@example.test", "public@example.test", "bob@other.test"} {
		_, err := w.dir.AddAccount(w.ctx, addr, password)
		must(t, err)
	}
	w.auth = accounts.AuthOptions{Cleartext: "always", Exempt: func(netip.Addr) bool { return true }}
	w.wire = wire.Config{Read: time.Minute, Write: time.Minute, Handshake: time.Minute, TLS: serverTLS()}
	w.alerts = alerts.New(w.store, w.dir, alerts.Options{QuotaPercent: -1})
	w.config = Config{
		Hostname: "mail.example.test", Product: "tripost", Version: "1.0",
		Store: w.store, Directory: w.dir, Alerts: w.alerts,
	}
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
	config, _ := wiretest.TLS("mail.example.test", true)
	return config
})

// run starts the module with what has been configured.
func (w *world) run() {
	w.start.Do(func() {
		w.config.Auth = accounts.NewAuthenticator(w.dir, router{w.dir}, w.auth)
		w.srv = New(w.config)
		if !w.pipe {
			w.listen()
		}
	})
}

func (w *world) listen() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	w.addr = ln.Addr().String()
	server := &wire.Server{
		Name: "IMAP", Channels: 10_000, Log: w.config.Log, Grace: time.Minute,
		Conn:    func() wire.Config { return w.wire },
		Session: w.srv.Serve,
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(w.ctx, ln, false) }()
	w.t.Cleanup(func() {
		w.cancel()
		if err := <-done; err != nil {
			w.t.Errorf("stop the server: %v", err)
		}
	})
}

// dial opens a connection to the module.
func (w *world) dial() net.Conn {
	w.run()
	if !w.pipe {
		nc, err := net.Dial("tcp", w.addr)
		must(w.t, err)
		return nc
	}
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c := wire.NewConn(server, w.wire)
		w.srv.Serve(w.ctx, c)
		c.Close()
	}()
	w.t.Cleanup(func() {
		client.Close()
		<-done
	})
	return client
}

// account returns an account by name, without domain that of example.test.
func (w *world) account(name string) accounts.Account {
	w.t.Helper()
	if name == "bob" {
		name = "bob@other.test"
	}
	a, err := w.dir.Account(w.ctx, name)
	must(w.t, err)
	return a
}

// mailbox reads "ann/INBOX".
func (w *world) mailbox(name string) store.MailboxRef {
	w.t.Helper()
	account, box, ok := strings.Cut(name, "/")
	if !ok {
		w.t.Fatalf("mailbox %q is not of the form account/mailbox", name)
	}
	return store.MailboxRef{Account: w.account(account).ID, Name: box}
}

// deliver appends a message as the server does.
func (w *world) deliver(box, text string, flags ...string) store.UID {
	w.t.Helper()
	d, err := w.store.Draft(w.ctx, int64(len(text)))
	must(w.t, err)
	defer d.Close()
	_, err = d.Write([]byte(text))
	must(w.t, err)
	d.Finish()
	a, err := w.store.Append(w.ctx, store.System(), w.mailbox(box), d, flagSet(w.t, flags...), epoch)
	must(w.t, err)
	return a.UID
}

func flagSet(t testing.TB, names ...string) store.FlagSet {
	t.Helper()
	p := parser{b: []byte("(" + strings.Join(names, " ") + ")")}
	f := p.flagList()
	must(t, p.end())
	return f
}

// open opens a mailbox as another client of its owner.
func (w *world) open(box string) *store.View {
	w.t.Helper()
	account, _, _ := strings.Cut(box, "/")
	v, err := w.store.Open(w.ctx, w.account(account).Identity(), w.mailbox(box), false)
	must(w.t, err)
	must(w.t, v.Load(w.ctx))
	w.t.Cleanup(v.Close)
	return v
}

// do lets something happen to the store that no session of a dialogue does:
//
//	mailbox ann/private        makes a mailbox
//	append ann/INBOX "text"    appends a message: a Go string
//	expunge ann/INBOX 2 3      removes messages by UID
//	flag ann/INBOX 2 \Seen     sets a flag
//	acl ann/INBOX bob@other.test lr
//	quota ann 1000             octets
//	remove ann/private
//	rename ann/private new
//	alert server TEXT          posts an alert; also for an address or a domain
//	alias ann News ~public/announces   a name of ann's for a mailbox of another's
//	group team boss            there is a group, of example.test
//	ungroup team               it is removed
//	lock ann                   the account is locked
//	password ann TEXT          the account gets another password
//	spoil ann/INBOX 2          what is stored about a message is damaged
//	spoil ann/INBOX 2 parts    what is stored about its parts is
//	mend                       what was damaged is whole again, as it must be in the end
//	forget                     the store forgets what has changed
//	stop                       the server is told to stop
func (w *world) do(line string) {
	w.t.Helper()
	words := strings.Fields(line)
	switch words[0] {
	case "mailbox":
		must(w.t, w.store.Create(w.ctx, store.System(), w.mailbox(words[1]), store.CreateOptions{}))
	case "append":
		text, err := strconv.Unquote(strings.TrimSpace(strings.SplitN(line, words[1], 2)[1]))
		must(w.t, err)
		w.deliver(words[1], text)
	case "expunge":
		_, err := w.open(words[1]).Expunge(w.ctx, uids(w.t, words[2:]...), true)
		must(w.t, err)
	case "flag":
		_, _, err := w.open(words[1]).SetFlags(w.ctx, uids(w.t, words[2]), store.FlagsAdd, flagSet(w.t, words[3]), 0)
		must(w.t, err)
	case "acl":
		r, err := store.ParseRights(strings.Join(words[3:], ""))
		must(w.t, err)
		must(w.t, w.store.SetACL(w.ctx, store.System(), w.mailbox(words[1]), store.ACLEntry{ID: words[2], Rights: r}, store.RightsReplace))
	case "quota":
		n, err := strconv.ParseInt(words[2], 10, 64)
		must(w.t, err)
		must(w.t, w.store.Update(w.ctx, func(tx *store.Tx) error { return tx.SetQuota(w.account(words[1]).ID, n, 0) }))
	case "domainquota":
		octets, err := strconv.ParseInt(words[2], 10, 64)
		must(w.t, err)
		messages, err := strconv.ParseInt(words[3], 10, 64)
		must(w.t, err)
		_, err = w.dir.SetDomain(w.ctx, words[1], func(d *accounts.Domain) error {
			d.TotalOctets, d.TotalMessages = octets, messages
			return nil
		})
		must(w.t, err)
	case "remove":
		must(w.t, w.store.Delete(w.ctx, store.System(), w.mailbox(words[1])))
	case "rename":
		must(w.t, w.store.Rename(w.ctx, store.System(), w.mailbox(words[1]), words[2]))
	case "alert":
		target := alerts.Target{Scope: alerts.Domain, Name: words[1]}
		switch {
		case words[1] == "server":
			target = alerts.Target{Scope: alerts.Server}
		case strings.Contains(words[1], "@"):
			target.Scope = alerts.Account
		}
		_, err := w.alerts.Post(w.ctx, target, strings.Join(words[2:], " "))
		must(w.t, err)
	case "alias":
		must(w.t, w.dir.AddMailboxAlias(w.ctx, w.account(words[1]).Address(), accounts.MailboxAlias{Name: words[2], Target: words[3]}))
	case "group":
		_, err := w.dir.AddGroup(w.ctx, words[1]+"@example.test", words[2:])
		must(w.t, err)
	case "ungroup":
		must(w.t, w.dir.RemoveGroup(w.ctx, words[1]+"@example.test"))
	case "lock":
		_, err := w.dir.SetAccount(w.ctx, w.account(words[1]).Address(), func(a *accounts.Account) error {
			a.Locked = true
			return nil
		})
		must(w.t, err)
	case "password":
		must(w.t, w.dir.SetPassword(w.ctx, w.account(words[1]).Address(), words[2]))
	case "spoil":
		n, err := strconv.Atoi(words[2])
		must(w.t, err)
		damage := cutShort
		if len(words) > 3 {
			damage = spoiltParts
		}
		w.spoil(summaryKey(w.open(words[1]).At(n).Body), damage)
	case "mend":
		must(w.t, w.store.Engine().Update(w.ctx, func(tx engine.Tx) error {
			for key, value := range w.spoiled {
				tx.Put([]byte(key), value)
			}
			return nil
		}))
	case "forget":
		w.later.Add(int64(31 * 24 * time.Hour))
		must(w.t, w.store.Tidy(w.ctx))
	case "stop":
		w.cancel()
		w.ctx = context.Background() // for what is looked at afterwards
	default:
		w.t.Fatalf("nothing known as %q", line)
	}
}

// summaryKey is where the store keeps the summary of a body.
func summaryKey(b store.Body) []byte { return binary.BigEndian.AppendUint64([]byte{'P'}, uint64(b)) }

// spoil damages a value of the store.
func (w *world) spoil(key []byte, damage func([]byte) []byte) {
	w.t.Helper()
	must(w.t, w.store.Engine().Update(w.ctx, func(tx engine.Tx) error {
		value, err := tx.Get(key)
		w.spoiled[string(key)] = slices.Clone(value)
		tx.Put(key, damage(slices.Clone(value)))
		return err
	}))
}

func cutShort(value []byte) []byte { return value[:1] }

// spoiltParts changes an octet of a summary so that nothing but its parts is damaged.
func spoiltParts(value []byte) []byte {
	for i, c := range value {
		value[i] = 0xff
		if r := message.Record(value); r.ValidTexts() && !r.Valid() {
			break
		}
		value[i] = c
	}
	return value
}

func uids(t testing.TB, words ...string) store.UIDSet {
	t.Helper()
	var set store.UIDSet
	for _, word := range words {
		n, err := strconv.Atoi(word)
		must(t, err)
		set.Add(store.UID(n), store.UID(n))
	}
	return set
}

// setup configures the world, one line each:
//
//	limit NAME N               see setLimit
//	stillhere 30s              between the signs of life in IDLE
//	cleartext never            passwords without TLS: never, always
//	services ann pop,smtp      what the account may do
//	hide ann COMPRESS          capabilities that clients are not told of
//	tls off                    no certificate
//	version off                none is told
//
// and what do can do.
func (w *world) setup(text string) {
	w.t.Helper()
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		switch words[0] {
		case "limit":
			n, err := strconv.Atoi(words[2])
			must(w.t, err)
			w.setLimit(words[1], n)
		case "stillhere":
			every, err := time.ParseDuration(words[1])
			must(w.t, err)
			w.config.Timeouts.StillHere = every
		case "cleartext":
			w.auth.Cleartext = words[1]
		case "services":
			_, err := w.dir.SetAccount(w.ctx, w.account(words[1]).Address(), func(a *accounts.Account) (err error) {
				_, err = a.Change("services", words[2])
				return err
			})
			must(w.t, err)
		case "hide":
			_, err := w.dir.SetAccount(w.ctx, w.account(words[1]).Address(), func(a *accounts.Account) error {
				_, err := a.Policy.Change("imap_hide", words[2])
				return err
			})
			must(w.t, err)
		case "tls":
			w.wire.TLS = nil
		default:
			w.do(line)
		}
	}
}

func (w *world) setLimit(name string, n int) {
	w.t.Helper()
	l := &w.config.Limits
	fields := map[string]*int{
		"line": &l.Line, "command": &l.Command, "earlyline": &l.EarlyLine, "earlyliteral": &l.EarlyLiteral,
		"ranges": &l.SetRanges, "depth": &l.SearchDepth, "keys": &l.SearchKeys, "items": &l.FetchItems,
		"text": &l.SearchText, "messages": &l.Messages, "pattern": &l.Pattern, "bad": &l.BadCommands, "failures": &l.Failures,
	}
	switch field := fields[name]; {
	case name == "message":
		l.Message = int64(n)
	case name == "octets":
		l.SearchOctets = int64(n)
	case field == nil:
		w.t.Fatalf("no limit %q", name)
	default:
		*field = n
	}
}

// router leads login names to accounts by their address. Any name at shared.test
// is one of the people who share the account ann.
type router struct{ dir *accounts.Directory }

func (r router) RouteLogin(ctx context.Context, name string, _ netip.Addr) (accounts.LoginRoute, error) {
	if !strings.Contains(name, "@") {
		name += "@example.test"
	}
	individual := ""
	if local, found := strings.CutSuffix(name, "@shared.test"); found {
		individual, name = local, "ann@example.test"
	}
	a, err := r.dir.Account(ctx, name)
	if err != nil {
		err = accounts.ErrNoAccount
	}
	return accounts.LoginRoute{Account: a, Individual: individual, Name: name}, err
}

// logTo makes the world write its log into a directory, and returns a function
// that closes the log and returns its lines.
func (w *world) logTo(level syslog.Level) func() string {
	log, lines := syslogtest.Open(w.t, level)
	w.config.Log = log.Tag("IMAP")
	return lines
}
