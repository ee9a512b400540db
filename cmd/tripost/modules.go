package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"tripost/accounts"
	"tripost/imap"
	"tripost/pop"
	"tripost/smtp"
	"tripost/wire"
)

// writeTime is the longest that one flush to a client may take. A client that
// reads nothing for so long has gone, whatever its socket says.
const writeTime = 5 * time.Minute

// module is one protocol on its listeners.
type module struct {
	name      string
	server    *wire.Server
	listeners []listener
}

// listener is an open listener.
type listener struct {
	net.Listener
	tls bool // from the first octet
}

// moduleSpec is what differs between the modules.
type moduleSpec struct {
	name     string // for errors and the log
	tag      string // in the System Log
	channels int
	clear    []string
	tls      []string
	tlsConf  *tls.Config
	busy     func(reason string) string
	session  func(context.Context, *wire.Conn)
}

// openModules makes the modules that are on and opens their listeners.
func (s *server) openModules() ([]module, error) {
	specs, err := s.moduleSpecs()
	if err != nil {
		return nil, err
	}
	proxies, err := s.cfg.proxyPrefixes()
	if err != nil {
		return nil, err
	}
	var modules []module
	for _, spec := range specs {
		if spec.channels == 0 {
			continue
		}
		log := s.rooms.log.Tag(spec.tag)
		m := module{name: spec.name, server: &wire.Server{
			Name: spec.name, Channels: spec.channels, PerAddress: s.cfg.Security.PerAddress,
			Proxies: proxies, Busy: spec.busy, Session: spec.session, Log: log, Grace: grace,
			Conn: func() wire.Config {
				return wire.Config{
					Read: s.cfg.Security.SignInTime.Duration, Write: writeTime,
					Handshake: s.cfg.Security.SignInTime.Duration, TLS: spec.tlsConf,
				}
			},
		}}
		err := m.open(spec)
		modules = append(modules, m)
		if err != nil {
			return modules, err
		}
	}
	return modules, nil
}

// open opens the module's listeners.
func (m *module) open(spec moduleSpec) error {
	for i, addr := range append(append([]string{}, spec.clear...), spec.tls...) {
		ln, err := wire.Listen(addr)
		if err != nil {
			return fmt.Errorf("%s: %w", spec.name, err)
		}
		m.listeners = append(m.listeners, listener{ln, i >= len(spec.clear)})
	}
	return nil
}

func (s *server) moduleSpecs() ([]moduleSpec, error) {
	cfg := s.cfg
	proxies, err := cfg.proxyPrefixes()
	if err != nil {
		return nil, err
	}
	clients, err := smtp.ParseClients(cfg.Security.ClientAddresses)
	if err != nil {
		return nil, fmt.Errorf("security.client_addresses: %w", err)
	}
	auth, err := s.authenticator(proxies)
	if err != nil {
		return nil, err
	}
	s.auth = auth
	mx, submission := s.smtpServer(smtp.MX, auth, clients), s.smtpServer(smtp.Submission, auth, nil)
	lmtp := s.smtpServer(smtp.LMTP, nil, clients)
	users := s.certificates.Config(true)
	users.CipherSuites = userSuites()
	if cfg.TLS.ClientAuth {
		users.ClientAuth = tls.RequestClientCert // whose it is, the directory knows
	}
	return []moduleSpec{
		{"POP", "POP", cfg.POP.Channels, cfg.POP.Listen, cfg.POP.ListenTLS, users,
			popBusy, s.known(asSession(s.popServer(auth).Serve))},
		{"IMAP", "IMAP", cfg.IMAP.Channels, cfg.IMAP.Listen, cfg.IMAP.ListenTLS, users,
			imapBusy, s.known(asSession(s.imapServer(auth).Serve))},
		// Other hosts are known to fail on session tickets, so the exchanger gives none.
		{"SMTP", "SMTPI", cfg.SMTP.Channels, cfg.SMTP.Listen, nil, s.certificates.Config(false),
			mx.Busy, s.known(mx.Serve)},
		{"submission", "SMTPI", cfg.SMTP.Channels, cfg.Submission.Listen, cfg.Submission.ListenTLS, users,
			submission.Busy, s.known(submission.Serve)},
		{"LMTP", "LMTP", cfg.SMTP.Channels, cfg.LMTP.Listen, nil, s.certificates.Config(false),
			lmtp.Busy, lmtp.Serve},
	}, nil
}

// userSuites are the cipher suites of TLS 1.2 for users: with a fresh key for each
// connection, and text that nobody can change unseen. (Those of TLS 1.3 all are so.)
// The exchanger takes Go's, of which some are older: a host that knows no other
// would send in clear text.
func userSuites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}

func popBusy(reason string) string  { return "-ERR [SYS/TEMP] " + reason + "\r\n" }
func imapBusy(reason string) string { return "* BYE [UNAVAILABLE] " + reason + "\r\n" }

func (s *server) popServer(auth *accounts.Authenticator) *pop.Server {
	return pop.New(pop.Config{
		Hostname: s.cfg.Hostname, Product: "tripost", Version: version,
		Auth: auth, Store: s.store, Directory: s.directory, Submit: popSubmitter{s.queue},
		Alerts: s.alerts, Notices: popNotices{s.alerts},
		Limits: pop.Limits{
			Line: int(s.cfg.POP.Line), Message: int64(s.cfg.Message.Size),
			Header: int(s.cfg.Message.Header), Recipients: s.cfg.Message.Recipients,
		},
		Language: s.cfg.POP.Language,
		Idle:     s.cfg.POP.Idle.Duration, SignIn: s.cfg.Security.SignInTime.Duration,
		Policy:    s.popPolicy,
		Strictest: s.strictestPOP,
		HoldOf:    s.popHold,
		Log:       s.rooms.log.Tag("POP"),
	})
}

func (s *server) imapServer(auth *accounts.Authenticator) *imap.Server {
	return imap.New(imap.Config{
		Hostname: s.cfg.Hostname, Product: "tripost", Version: version,
		Auth: auth, Directory: s.directory, Store: s.store, Alerts: s.alerts,
		Limits: imap.Limits{
			Line: int(s.cfg.IMAP.Line), Message: int64(s.cfg.Message.Size),
			SearchOctets: int64(s.cfg.IMAP.Search), SortMemory: int64(s.cfg.IMAP.Sort), SearchKept: int64(s.cfg.IMAP.SearchKept),
			Messages: s.cfg.IMAP.Messages,
		},
		Timeouts: imap.Timeouts{
			SignIn: s.cfg.Security.SignInTime.Duration, Idle: s.cfg.IMAP.Idle.Duration, StillHere: s.cfg.IMAP.StillHere.Duration,
		},
		Log: s.rooms.log.Tag("IMAP"),
	})
}

func (s *server) smtpServer(mode smtp.Mode, auth *accounts.Authenticator, clients *smtp.Clients) *smtp.Server {
	return smtp.New(smtp.Config{
		Checker: s.checker, Screen: s.screen, Policy: s.directory.Policy, Recent: s.recent,
		Mode: mode, Hostname: s.cfg.Hostname, Product: product(),
		Limits: smtp.Limits{
			Line: int(s.cfg.SMTP.Line), Recipients: s.cfg.Message.Recipients, MessageSize: int64(s.cfg.Message.Size),
			DataRate: dataRate(s.cfg.SMTP.DataRate),
		},
		Timeouts: smtp.Timeouts{
			Command: s.cfg.SMTP.Idle.Duration, Data: s.cfg.SMTP.Idle.Duration,
			SignIn: s.cfg.Security.SignInTime.Duration, Host: hostWait(s.cfg.Screen.Wait),
		},
		Queue: s.queue, Auth: auth, Clients: clients,
	})
}
