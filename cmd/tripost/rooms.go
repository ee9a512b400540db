package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"tripost/accounts"
	"tripost/admin"
	"tripost/alerts"
	"tripost/history"
	"tripost/imap"
	"tripost/message"
	"tripost/router"
	"tripost/rules"
	"tripost/smtp/dkim"
	"tripost/smtp/queue"
	"tripost/smtp/resolve"
	"tripost/store"
	"tripost/store/engine/local"
	"tripost/syslog"
)

// product is the name and version that Received fields and reports show.
func product() string { return "tripost " + version }

// rooms are the parts that every way of running the program needs: the server,
// and a command that finds no server running.
type rooms struct {
	cfg       Config
	ground    ground
	log       *syslog.Log
	store     *store.Store
	directory *accounts.Directory
	router    *router.Router
	resolver  *resolve.Resolver
	queue     *queue.Queue
	alerts    *alerts.Alerts
	keys      *dkim.Keys
	rules     *rules.Rules
	history   *history.History
	api       *admin.API
}

// openRooms opens the store of a configuration and what stands on it. It waits
// a few seconds for another process to let go of the store.
func openRooms(ctx context.Context, cfg Config, log *syslog.Log) (*rooms, error) {
	return ground{}.openRooms(ctx, cfg, log)
}

// openRooms is the function of that name, on this ground.
func (g ground) openRooms(ctx context.Context, cfg Config, log *syslog.Log) (*rooms, error) {
	if log == nil {
		log = syslog.Discard()
	}
	reads := history.NewReads(g.now)
	st, err := g.openStore(ctx, cfg, log.Tag("STORE"), reads)
	if err != nil {
		return nil, err
	}
	legacy, err := accounts.LoadLegacyKey(filepath.Join(cfg.Data, legacyKeyFile))
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	r := &rooms{cfg: cfg, ground: g, log: log, store: st}
	r.directory = accounts.New(st, accounts.Options{LegacyKey: legacy, Server: serverPolicy(cfg), Now: g.now, CheckHidden: imap.CheckHidden})
	if err := r.directory.Upgrade(ctx); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	r.router = router.New(r.directory, router.Options{
		DirectMailbox: cfg.Local.DirectMailboxAddressing,
		Subaddress:    cfg.Local.Subaddress,
		Hostname:      cfg.Hostname,
		LocalAddress:  ownAddress,
		Log:           log.Tag("ROUTER"),
		Now:           g.now,
	})
	r.resolver = newResolver(cfg)
	r.history = history.New(st, reads, g.historyOptions(cfg, log))
	r.rules = rules.New(st, r.directory, g.ruleOptions(cfg, log))
	options := queueOptions(cfg, log, r.rules, r.history)
	options.Identities, options.Now = identities{r.directory}, g.now
	r.queue = queue.New(st, r.router, r.directory, options)
	r.alerts = alerts.New(st, r.directory, g.alertOptions(cfg, log))
	r.keys = dkim.New(st, g.now)
	dr, err := r.newDoctor()
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	r.api = &admin.API{
		Backups:   &backups{cfg: cfg, store: st},
		Directory: r.directory, Store: st, Router: r.router, Queue: adminQueue{r.queue}, Alerts: r.alerts, Keys: r.keys, Doctor: dr, Rules: r.rules,
		History: r.history, Log: log.Tag("ADMIN"),
		References: queue.Bodies, MaxMessage: int64(cfg.Message.Size),
	}
	return r, nil
}

func (g ground) openStore(ctx context.Context, cfg Config, log *syslog.Logger, reads *history.Reads) (*store.Store, error) {
	if _, err := os.Stat(cfg.Data); err != nil {
		return nil, fmt.Errorf("data directory: %w (\"tripost serve\" makes it)", err)
	}
	st, err := g.openStoreIn(ctx, cfg, filepath.Join(cfg.Data, "store"), log, reads)
	if errors.Is(err, local.ErrIndex) {
		err = fmt.Errorf("%w (\"tripost store rebuild\" makes a new one)", err)
	}
	return st, err
}

// openStoreIn opens the store in a directory with the configuration's settings.
// What is read of messages is told to reads.
func (g ground) openStoreIn(ctx context.Context, cfg Config, dir string, log *syslog.Logger, reads *history.Reads) (*store.Store, error) {
	logf := func(level int, text string) { log.Log(syslog.Level(level), text) }
	options := g.engine
	options.Logf = logf
	e, err := local.Open(dir, options)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if mended := e.Status().Recovered; mended != "" {
		log.Log(syslog.Major, "recovered: "+mended)
	}
	st, err := store.New(ctx, e, store.Options{
		Undelete: cfg.Store.Undelete.Duration,
		Limits:   message.Limits{Header: int(cfg.Message.Header), Parts: cfg.Message.Parts, Depth: cfg.Message.Depth},
		Logf:     logf,
		Now:      g.now,

		IndividualField: cfg.Local.IndividualField,
		History:         history.Record,
		Reads:           reads.Note,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: %w", err), e.Close())
	}
	return st, nil
}

func (r *rooms) close() error { return r.store.Close() }

// makeData makes the data directory of a first start.
func makeData(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}
