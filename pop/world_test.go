package pop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/store"
	"tripost/store/storetest"
	"tripost/syslog"
	"tripost/syslog/syslogtest"
	"tripost/wire"
	"tripost/wire/wiretest"
)

// world is a POP module with everything under it: a store on disk, two accounts
// in two domains, a queue that delivers to them.
type world struct {
	t      testing.TB
	ctx    context.Context
	cancel context.CancelFunc

	store  *store.Store
	dir    *accounts.Directory
	queue  *testQueue
	alerts *testAlerts
	policy map[string]Policy // by local part
	router *testRouter
	config Config
	wire   wire.Config
	auth   accounts.AuthOptions

	start sync.Once
	srv   *Server
	addr  string // of the listener; "": sessions run over net.Pipe
	pipe  bool
	done  chan error     // yields what the server returned
	live  sync.WaitGroup // sessions over pipes
}

const (
	annPassword = "secret"
	bobPassword = " two words "
)

// newWorld makes a world whose sessions run over sockets, or over net.Pipe.
func newWorld(t testing.TB, pipe bool) *world {
	t.Helper()
	return newWorldOn(t, storetest.New(t), pipe)
}

func newWorldOn(t testing.TB, st *store.Store, pipe bool) *world {
	t.Helper()
	w := &world{t: t, pipe: pipe, store: st}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	t.Cleanup(w.cancel)
	w.dir = accounts.New(w.store, accounts.Options{
		Password:  accounts.PasswordParams{Memory: 64, Time: 1, Lanes: 1, ScramRounds: 4096},
		LegacyKey: []byte("0123456789abcdef0123456789abcdef"),
	})
	w.router = &testRouter{dir: w.dir}
	w.queue = &testQueue{world: w}
	w.alerts = &testAlerts{}
	w.policy = make(map[string]Policy)
	for _, domain := range []string{"example.test", "other.test"} {
		_, err := w.dir.AddDomain(w.ctx, domain)
		must(t, err)
	}
	for addr, password := range map[string]string{"ann@example.test": annPassword, "bob@other.test": bobPassword} {
		_, err := w.dir.AddAccount(w.ctx, addr, password)
		must(t, err)
	}
	must(t, w.dir.AddAlias(w.ctx, "annie@example.test", "ann@example.test"))
	w.auth = accounts.AuthOptions{Cleartext: "always", Exempt: func(netip.Addr) bool { return true }}
	w.wire = wire.Config{Read: time.Minute, Write: time.Minute, Handshake: time.Minute, TLS: serverTLS()}
	w.config = Config{
		Hostname: "mail.example.test", Product: "tripost", Version: "1.0",
		Store: w.store, Directory: w.dir, Submit: w.queue, Alerts: w.alerts, Notices: w.alerts,
		Policy:    func(a accounts.Account) Policy { return w.policy[a.Local] },
		Strictest: w.strictest,
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
		w.config.Auth = accounts.NewAuthenticator(w.dir, w.router, w.auth)
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
		Name: "POP", Channels: 10000, Log: w.config.Log, Grace: time.Minute,
		Conn:    func() wire.Config { return w.wire },
		Session: w.srv.Serve,
	}
	w.done = make(chan error, 1)
	ctx := w.ctx
	go func() { w.done <- server.Serve(ctx, ln, false) }()
	w.t.Cleanup(w.stop)
}

// stop ends the server and waits for its sessions.
func (w *world) stop() {
	w.cancel()
	if w.done == nil {
		return
	}
	if err := <-w.done; err != nil {
		w.t.Errorf("stop the server: %v", err)
	}
	w.done = nil
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
	w.live.Add(1)
	go func() {
		defer w.live.Done()
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

// settled waits until the sessions over pipes have ended.
func (w *world) settled() { w.live.Wait() }

// strictest is the strictest policy of any account.
func (w *world) strictest() Policy {
	var all Policy
	for _, p := range w.policy {
		if p.ExpireDays > 0 && (all.ExpireDays == 0 || p.ExpireDays < all.ExpireDays) {
			all.ExpireDays = p.ExpireDays
		}
		all.LoginDelay = max(all.LoginDelay, p.LoginDelay)
	}
	return all
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
func (w *world) deliver(box, text string) store.UID {
	w.t.Helper()
	uid, err := w.append(w.mailbox(box), strings.NewReader(text))
	must(w.t, err)
	return uid
}

func (w *world) append(ref store.MailboxRef, r io.Reader) (store.UID, error) {
	d, err := w.store.Draft(w.ctx, 0)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	d.International() // so that 8-bit headers are converted where they must be
	if _, err := io.Copy(d, r); err != nil {
		return 0, err
	}
	a, err := w.store.Append(w.ctx, store.System(), ref, d, store.FlagSet{}, time.Time{})
	return a.UID, err
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

// expunge removes messages as another client.
func (w *world) expunge(box string, uids ...string) {
	w.t.Helper()
	v := w.open(box)
	var set store.UIDSet
	for _, u := range uids {
		n, err := strconv.Atoi(u)
		must(w.t, err)
		set.Add(store.UID(n), store.UID(n))
	}
	removed, err := v.Expunge(w.ctx, set, true)
	must(w.t, err)
	if removed.Count() != len(uids) {
		w.t.Fatalf("expunged %s of %v in %s", removed.Append(nil), uids, box)
	}
}

// restore brings back what was removed from the mailboxes of an account.
func (w *world) restore(name string) {
	w.t.Helper()
	var all []store.Expunged
	for x, err := range w.store.Expunged(w.ctx, w.account(name).ID) {
		must(w.t, err)
		all = append(all, x)
	}
	_, err := w.store.Restore(w.ctx, w.account(name).ID, all)
	must(w.t, err)
}

// unsee takes the flag Seen away as another client.
func (w *world) unsee(box, uid string) {
	w.t.Helper()
	n, err := strconv.Atoi(uid)
	must(w.t, err)
	set := store.UIDSet{{Lo: store.UID(n), Hi: store.UID(n)}}
	_, _, err = w.open(box).SetFlags(w.ctx, set, store.FlagsRemove, store.FlagSet{System: store.FlagSeen}, 0)
	must(w.t, err)
}

// contents lists the UIDs in a mailbox with \Seen where it is set.
func (w *world) contents(box string) string {
	w.t.Helper()
	v := w.open(box)
	var b strings.Builder
	for seq := 1; seq <= v.Len(); seq++ {
		m := v.At(seq)
		fmt.Fprintf(&b, "%d", m.UID)
		if m.Flags&store.FlagSeen != 0 {
			b.WriteString(` \Seen`)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// awaitContents waits until a mailbox holds what is wanted.
func (w *world) awaitContents(box, want string) {
	w.t.Helper()
	v := w.open(box)
	changed := make(chan struct{}, 1)
	stop := v.Watch(func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	defer stop()
	timeout := time.After(wiretest.Patience)
	for {
		got := w.contents(box)
		if got == want {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			w.t.Fatalf("%s holds\n%swant\n%s", box, got, want)
		}
	}
}

// grant sets the rights that an ACL entry gives.
func (w *world) grant(box, id, rights string) {
	w.t.Helper()
	r, err := store.ParseRights(rights)
	must(w.t, err)
	must(w.t, w.store.SetACL(w.ctx, store.System(), w.mailbox(box), store.ACLEntry{ID: id, Rights: r}, store.RightsReplace))
}

// testRouter leads login names to accounts by their address, and those of one
// domain to a unified account.
type testRouter struct {
	dir     *accounts.Directory
	unified string // domain whose names all lead to ann
}

func (r *testRouter) RouteLogin(ctx context.Context, name string, _ netip.Addr) (accounts.LoginRoute, error) {
	local, domain, _ := strings.Cut(name, "@")
	individual := ""
	if r.unified != "" && domain == r.unified {
		name, individual = "ann", local
	}
	if !strings.Contains(name, "@") {
		name += "@example.test"
	}
	a, err := r.dir.Account(ctx, name)
	if errors.Is(err, accounts.ErrNoDomain) || errors.Is(err, accounts.ErrBadName) {
		err = accounts.ErrNoAccount
	}
	return accounts.LoginRoute{Account: a, Individual: individual, Name: name}, err
}

// testQueue is a queue that knows two domains and never sends: what is for
// elsewhere stays in it.
type testQueue struct {
	world *world

	mu   sync.Mutex // guards what follows
	fail error      // what Submit answers when the message has been read
	sent []sentMessage
}

type sentMessage struct {
	Submission
	text string
}

func (q *testQueue) Submit(ctx context.Context, m Submission, body io.Reader) (string, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return "", fmt.Errorf("read the message: %w", err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		return "", q.fail
	}
	var local []store.MailboxRef
	for _, addr := range m.Recipients {
		at := strings.LastIndexByte(addr, '@')
		o, err := q.world.dir.Lookup(ctx, addr[:at], addr[at+1:])
		switch {
		case err == nil:
			local = append(local, store.MailboxRef{Account: o.Account.ID, Name: "INBOX"})
		case !errors.Is(err, accounts.ErrNoDomain):
			return "", &SubmitError{Permanent: true, Text: "no such account: <" + addr + ">", Err: err}
		}
	}
	for _, ref := range local {
		if _, err := q.world.append(ref, strings.NewReader(string(b))); err != nil {
			return "", err
		}
	}
	q.sent = append(q.sent, sentMessage{m, string(b)})
	return strconv.Itoa(1000 + len(q.sent)), nil
}

// logTo makes the world write its log into a directory, and returns a function
// that closes the log and returns its lines.
func (w *world) logTo(level syslog.Level) func() string {
	log, lines := syslogtest.Open(w.t, level)
	w.config.Log = log.Tag("POP")
	return lines
}
