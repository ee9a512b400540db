package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"tripost/accounts"
	"tripost/admin"
	"tripost/smtp"
	"tripost/smtp/mailauth"
	"tripost/smtp/queue"
	"tripost/smtp/screen"
	"tripost/syslog"
	"tripost/wire"
	"tripost/wire/certify"
)

// grace is how long sessions may take to say goodbye when the server stops.
const grace = 10 * time.Second

// serve runs the server until the process is told to stop.
func serve(e *environment, args []string) error {
	args, quickstart := takeFlag(args, "--quickstart")
	if err := need(args); err != nil {
		return err
	}
	if quickstart && e.configPath != "" {
		return usagef("--quickstart brings its own configuration, leave --config out")
	}
	path := findConfig(e.configPath)
	if quickstart {
		var err error
		if path, err = prepareQuickstart(); err != nil {
			return err
		}
	}
	cfg, err := loadConfig(path)
	if err != nil {
		return err
	}
	return runServer(e.ctx, cfg, serverOptions{configPath: path, quickstart: quickstart, out: e.stdout})
}

type serverOptions struct {
	configPath string // read again at SIGHUP
	quickstart bool
	out        io.Writer
	ready      func(*server) // called when all listeners are open; for tests
	ground     ground
}

// runServer opens everything, serves until ctx ends, and closes the store last.
func runServer(ctx context.Context, cfg Config, o serverOptions) (err error) {
	if err := makeData(cfg.Data); err != nil {
		return err
	}
	log, err := openLog(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	r, err := o.ground.openRooms(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	r.api.Server = admin.ServerInfo{PID: os.Getpid(), Version: version, Started: time.Now()}
	if o.quickstart {
		if err := furnishQuickstart(ctx, r.directory, cfg.Data, o.out); err != nil {
			return err
		}
	}
	if err := r.directory.ApplyQuotas(ctx); err != nil {
		return err
	}
	s, err := r.newServer(o)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

func openLog(cfg Config) (*syslog.Log, error) {
	def, by := logLevels(cfg)
	log, err := syslog.Open(syslog.Options{
		Directory: cfg.Log.Directory, Level: def, Levels: by,
		JSON: cfg.Log.Format == "json", Keep: cfg.Log.Keep.Duration,
	})
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return log, nil
}

func logLevels(cfg Config) (syslog.Level, map[string]syslog.Level) {
	by := make(map[string]syslog.Level, len(cfg.Log.Levels))
	for tag, level := range cfg.Log.Levels {
		by[tag] = syslog.Level(level)
	}
	return syslog.Level(cfg.Log.Level), by
}

// server is a running server.
type server struct {
	*rooms
	options      serverOptions
	log          *syslog.Logger
	certificates *wire.Certificates
	sessions     *accounts.Sessions
	modules      []module
	control      net.Listener
	health       net.Listener
	sender       *queue.Sender
	checker      *mailauth.Checker // nil: off
	screen       *screen.Screen
	recent       *smtp.Recent // nil: read-then-send is off
	auth         *accounts.Authenticator
	certify      *certify.Manager // nil: off

	guesses chan guess // of passwords, for the watch

	acmeListeners []net.Listener
}

// newServer opens every listener, so that a port in use or an unreadable
// certificate is an error before anything is served.
func (r *rooms) newServer(o serverOptions) (s *server, err error) {
	s = &server{rooms: r, options: o, log: r.log.Tag("SYSTEM"), sessions: new(accounts.Sessions), guesses: make(chan guess, maxGuesses)}
	r.api.Sessions = s.sessions
	defer func() {
		if err != nil {
			s.closeListeners()
		}
	}()
	if s.certificates, err = wire.LoadCertificates(r.cfg.TLS.Certificate, r.cfg.TLS.Key, r.cfg.Data, r.cfg.Hostname); err != nil {
		return s, err
	}
	if err = s.openACME(); err != nil {
		return s, err
	}
	s.checker, s.recent = s.newChecker(), smtp.NewRecent(r.cfg.SMTP.ReadThenSend.Duration, r.ground.now)
	if s.screen, err = s.newScreen(); err != nil {
		return s, err
	}
	if s.sender, err = s.newSender(); err != nil {
		return s, err
	}
	if s.control, err = listenControl(r.cfg.Data); err != nil {
		return s, err
	}
	if s.modules, err = s.openModules(); err != nil {
		return s, err
	}
	if r.cfg.Admin.Listen != "" {
		if s.health, err = wire.Listen(r.cfg.Admin.Listen); err != nil {
			return s, fmt.Errorf("admin.listen: %w", err)
		}
	}
	return s, nil
}

func (s *server) closeListeners() {
	for _, m := range s.modules {
		for _, l := range m.listeners {
			l.Close()
		}
	}
	for _, l := range append(s.acmeListeners, s.control, s.health) {
		if l != nil {
			l.Close()
		}
	}
}

// run serves until ctx ends or a part fails, which ends the others.
func (s *server) run(ctx context.Context) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // before we say that we are there
	defer signal.Stop(hangups)
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range s.modules {
		for _, l := range m.listeners {
			g.Go(func() error { return m.server.Serve(ctx, l, l.tls) })
		}
	}
	g.Go(func() error { return s.serveControl(ctx, s.control) })
	if s.health != nil {
		g.Go(func() error { return s.serveStatus(ctx) })
	}
	g.Go(func() error { return s.store.Run(ctx) })
	g.Go(func() error { return s.sender.Run(ctx) })
	g.Go(func() error { return s.router.Run(ctx) })
	g.Go(func() error { return s.screen.Run(ctx) })
	g.Go(func() error { return s.runBackups(ctx) })
	if s.certify != nil {
		g.Go(func() error { return s.certify.Run(ctx) })
	}
	g.Go(func() error { return s.rules.Run(ctx) })
	g.Go(func() error { return s.history.Run(ctx) })
	g.Go(func() error { return s.watchHangups(ctx, hangups) })
	g.Go(func() error { return s.watch(ctx) })
	g.Go(func() error { return trimMemory(ctx) })
	s.announce()
	err := g.Wait()
	s.log.Log(syslog.Major, "stopped")
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (s *server) announce() {
	s.log.Logf(syslog.Major, "tripost %s started, process %d", version, os.Getpid())
	for _, m := range s.modules {
		for _, l := range m.listeners {
			s.log.Logf(syslog.Major, "%s listens on %s", m.name, l.Addr())
		}
	}
	if s.certificates.SelfSigned() {
		s.log.Log(syslog.Major, "the TLS certificate is self-signed: set tls.certificate and tls.key")
	}
	if s.options.quickstart {
		quickstartHelp(s.options.out)
	}
	if s.options.ready != nil {
		s.options.ready(s)
	}
}

// watchHangups reloads at each SIGHUP.
func (s *server) watchHangups(ctx context.Context, hangups <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
			s.reload()
		}
	}
}

// reload takes what can change while the server runs: the log levels, the
// log's file, the certificate. What fails stays as it was, and is logged; so is
// that other settings have changed, which count from the next start.
func (s *server) reload() {
	if err := s.rooms.log.Reopen(); err != nil {
		s.log.Log(syslog.Failure, "reopening the log: "+err.Error())
	}
	if err := s.certificates.Reload(); err != nil {
		s.log.Log(syslog.Failure, "the old certificate stays: "+err.Error())
	} else {
		s.log.Log(syslog.Major, "reloaded the certificate")
	}
	cfg, err := loadConfig(s.options.configPath)
	if err != nil {
		s.log.Log(syslog.Failure, "the old configuration stays: "+err.Error())
		return
	}
	s.rooms.log.SetLevels(logLevels(cfg))
	s.log.Log(syslog.Major, "reloaded the log levels")
	if s.needsRestart(cfg) {
		s.log.Log(syslog.Major, "the configuration has other changes too, which count from the next start")
	}
}

// needsRestart tells whether a configuration differs from that of the start in
// more than the log levels.
func (s *server) needsRestart(cfg Config) bool {
	cfg.Log.Level, cfg.Log.Levels = s.cfg.Log.Level, s.cfg.Log.Levels
	return !reflect.DeepEqual(cfg, s.cfg)
}

// authenticator signs users in for all modules.
func (s *server) authenticator(proxies []netip.Prefix) (*accounts.Authenticator, error) {
	tokens, err := s.cfg.Security.OAuth.tokenChecker()
	if err != nil {
		return nil, err
	}
	return accounts.NewAuthenticator(s.directory, s.router, accounts.AuthOptions{
		Cleartext: s.cfg.Security.CleartextLogin,
		Exempt:    exempt(proxies),
		Log:       s.rooms.log.Tag("ACCOUNT"),
		Hostname:  s.cfg.Hostname,
		Remember:  s.cfg.Security.RememberSignIn.Duration,

		SecureMethodRequired: s.cfg.Security.SecureMethods,
		Guessed:              s.guessed,
		Accepted:             s.accepted,
		Tokens:               tokens,
	}), nil
}

// exempt tells the addresses whose failed sign-ins are not counted: loopback,
// and proxies, behind which many users share one address.
func exempt(proxies []netip.Prefix) func(netip.Addr) bool {
	return func(a netip.Addr) bool {
		if a = a.Unmap(); a.IsLoopback() {
			return true
		}
		for _, p := range proxies {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
}

// ownAddress reports whether an IP address belongs to this machine.
func ownAddress(a netip.Addr) bool {
	a = a.Unmap()
	if a.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, own := range addrs {
		if p, err := netip.ParsePrefix(own.String()); err == nil && p.Addr().Unmap() == a {
			return true
		}
	}
	return false
}
