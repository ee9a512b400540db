package imap

import (
	"cmp"
	"context"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"tripost/accounts"
	"tripost/imap/search"
	"tripost/store"
	"tripost/syslog"
	"tripost/wire"
)

// Server makes IMAP sessions. It is safe for concurrent use.
type Server struct {
	cfg      Config
	commands map[string]*row
	searches *search.Pool
	columns  *search.Columns // of mailboxes that were sorted or searched
}

// New returns a server for cfg.
func New(cfg Config) *Server {
	cfg.Limits = cfg.Limits.withDefaults()
	cfg.Timeouts = cfg.Timeouts.withDefaults()
	return &Server{cfg, commands(), search.NewPool(runtime.GOMAXPROCS(0)), search.NewColumns(cfg.Limits.SearchKept)}
}

// state is that of RFC 3501 section 3, as a bit so that the table of commands can
// name several.
type state uint8

const (
	notAuthenticated state = 1 << iota
	authenticated
	selected

	anyState = notAuthenticated | authenticated | selected
	signedIn = authenticated | selected
)

// session is one client's session. It waits on one goroutine and does its work on
// others, one at a time: see [wire.Apart].
type session struct {
	srv   *Server
	c     *wire.Conn
	log   *syslog.Logger
	state state
	user  store.Identity // of no account before sign-in
	// client is what the client calls itself, for the history.
	client string
	hidden accounts.Hidden // capabilities that the client is not told of
	only   string          // INBOX is filtered by this individual name: see individual.go

	standing        accounts.Standing // at the sign-in
	doubted         atomic.Bool       // the account may have changed since
	unwatchStanding func()            // nil: it is not watched

	view     *store.View  // the selected mailbox, or nil
	lost     bool         // the selected mailbox has gone: see update.go
	stale    bool         // the view must be refreshed: this session changed the mailbox, or expunges are held back
	keywords int          // how many keywords the client has been told of
	rights   store.Rights // in the selected mailbox, as the client has been told of them
	recent   int          // the last RECENT told
	idling   *idling      // the IDLE under way, or nil
	features features     // what the client has enabled
	notify   *notify      // what it wants to hear of, or nil before it has said so
	modSeqs  modSeqs      // what it has been told of the selected mailbox
	saved    store.UIDSet // of the selected mailbox: what "$" stands for, RFC 5182
	opened   string       // the name by which it was selected

	damaged map[damagedMessage]bool // messages that the present search could not look at

	comparator  comparator // of texts, in searches
	annotations *notify    // what it hears of with METADATA enabled, or nil

	alerted       atomic.Bool // there may be alerts that have not been told
	unwatchAlerts func()      // nil: they are not watched

	commands int // that were read
	bad      int // BAD responses in a row
	failures int // failed sign-ins
}

// errQuit ends a session whose client said LOGOUT.
var errQuit = errors.New("the client logged out")

// endError ends a session with a BYE.
type endError struct{ code, text string }

func (e *endError) Error() string { return e.text }

// Serve runs one session on c until it ends; ctx ending makes it say goodbye.
func (srv *Server) Serve(ctx context.Context, c *wire.Conn) {
	s := &session{srv: srv, c: c, log: c.Logger(), state: notAuthenticated, comparator: defaultComparator}
	defer s.leave()
	s.farewell(ctx, s.run(ctx))
}

// leave gives back what the session holds.
func (s *session) leave() {
	if s.unwatchAlerts != nil {
		s.unwatchAlerts()
	}
	if s.unwatchStanding != nil {
		s.unwatchStanding()
	}
	s.stopIdling()
	s.stopNotify()
	s.stopAnnotations()
	s.deselect()
}

func (s *session) run(ctx context.Context) error {
	// Any line may hold a password, be it mistyped. Those that are known to hold
	// none are logged as commands.
	s.c.Secret(true)
	s.c.SetDeadline(time.Now().Add(s.srv.cfg.Timeouts.SignIn)) // commands do not prolong it
	err := wire.Apart(s.greet)
	for err == nil {
		if err = s.wait(ctx); err == nil {
			err = s.c.Converse(ctx, func() error { return s.serve(ctx) })
		}
	}
	return err
}

func (s *session) greet() error {
	s.untagged("OK", "CAPABILITY "+s.capabilities(), s.srv.cfg.Hostname+" "+s.srv.cfg.Product+" IMAP ready")
	return broken(s.c.Flush())
}

// wait waits for input, and in IDLE for something to tell. A session spends its
// life here, holding no buffers and little stack.
func (s *session) wait(ctx context.Context) error {
	s.c.SetReadTimeout(s.srv.cfg.Timeouts.Idle)
	for {
		var err error
		if s.idling != nil {
			err = s.waitIdling(ctx)
		} else {
			err = s.c.WaitInput(ctx, nil)
		}
		if !errors.Is(err, wire.ErrWoken) {
			return err
		}
		if s.idling != nil {
			s.stale = s.stale || s.wantsChanges() // whatever Changed says: it may hear of the commit a moment later
			return nil
		}
		if s.doubted.Load() || s.notify.due() {
			return nil
		}
	}
}

// serve does what there is to do until the client has to be waited for.
func (s *session) serve(ctx context.Context) error {
	s.c.SetReadTimeout(s.srv.cfg.Timeouts.Command)
	for {
		if err := s.confirmStanding(ctx); err != nil {
			return err
		}
		var err error
		switch {
		case s.c.Buffered() > 0 && s.idling != nil:
			err = s.endIdle(ctx)
		case s.c.Buffered() > 0:
			err = s.serveOne(ctx)
		case s.idling != nil:
			err = s.tellNews(ctx, false)
			s.settleModSeq(&completion{})
		case s.notify != nil:
			err = s.tellNews(ctx, s.notify.delayed)
			s.settleModSeq(&completion{})
		}
		if err != nil {
			return err
		}
		if s.c.Buffered() == 0 && s.watchSelected() {
			continue
		}
		if s.c.Buffered() == 0 || ctx.Err() != nil {
			return broken(s.c.Flush())
		}
	}
}

// serveOne reads one command, which has begun to arrive, runs it and answers it.
func (s *session) serveOne(ctx context.Context) error {
	cmd := newCommand()
	defer cmd.release()
	if err := s.read(cmd); err != nil {
		return s.answerUnread(cmd, err)
	}
	s.commands++
	s.logCommand(cmd)
	done, err := cmd.row.run(s, ctx, cmd)
	if cmd.pending {
		err = s.drop(cmd, cmd.announced, true, cmp.Or(err, refuse(done)))
	}
	return s.answer(ctx, cmd, done, err)
}

// answer tells the news and ends a command that has been run, by the completion or
// the one that stands for the error. A command that goes on has no completion.
func (s *session) answer(ctx context.Context, cmd *command, done completion, err error) error {
	if err != nil {
		if isConnError(err) {
			return err
		}
		done = s.errorToResponse(err)
	}
	if errors.Is(err, store.ErrTooLate) {
		s.lose()
	}
	if done.then != nil { // the session ends or begins anew: see there
		return s.finish(ctx, cmd.tag, done)
	}
	// UID SEARCH tells of removals, unless numbers were in use: RFC 7162 section 3.2.10.2.
	if err := s.tellNews(ctx, cmd.row.hold || cmd.args.byNumber); err != nil {
		return err
	}
	s.settleModSeq(&done)
	if done.goesOn() {
		return nil
	}
	return s.finish(ctx, cmd.tag, done)
}

// tellNews tells what has happened outside this session: changes, and alerts.
func (s *session) tellNews(ctx context.Context, hold bool) error {
	if err := s.tellChanges(ctx, hold); err != nil {
		return err
	}
	if err := s.tellNotices(ctx); err != nil {
		return err
	}
	if err := s.tellAnnotations(ctx); err != nil {
		return err
	}
	return s.tellAlerts(ctx)
}

// answerUnread answers a command that was refused before it was run.
func (s *session) answerUnread(cmd *command, err error) error {
	if isConnError(err) {
		return err
	}
	s.commands++
	s.logCommand(cmd)
	done := s.errorToResponse(err)
	if cmd.tag == "" {
		s.untagged(done.status, done.code, done.text)
		return s.countBad(done)
	}
	return s.finish(context.Background(), cmd.tag, done)
}

// finish writes the tagged response and does what comes after it.
func (s *session) finish(ctx context.Context, tag string, done completion) error {
	s.complete(tag, done)
	if done.then != nil {
		return done.then(ctx)
	}
	return s.countBad(done)
}

// countBad ends the session of a client that does not speak IMAP.
func (s *session) countBad(done completion) error {
	if done.status != "BAD" {
		s.bad = 0
		return nil
	}
	if s.bad++; s.bad >= s.srv.cfg.Limits.BadCommands {
		return &endError{"", "Too many bad commands"}
	}
	return nil
}

func isConnError(err error) bool {
	var ce *connError
	var end *endError
	return errors.As(err, &ce) || errors.As(err, &end) || errors.Is(err, errQuit)
}

// farewell says goodbye where there is somebody to hear it, and logs why the
// session ended.
func (s *session) farewell(ctx context.Context, err error) {
	var end *endError
	switch {
	case errors.Is(err, errQuit):
		s.log.Logf(syslog.Protocol, "logged out after %d commands", s.commands)
	case errors.As(err, &end):
		s.log.Log(syslog.Problem, "session ended: "+end.text)
		s.untagged("BYE", end.code, end.text)
	case ctx.Err() != nil:
		s.log.Log(syslog.Protocol, "session ended: the server is shutting down")
		s.untagged("BYE", "UNAVAILABLE", s.srv.cfg.Hostname+" is shutting down")
	case errors.Is(err, wire.ErrIdle):
		s.log.Log(syslog.Problem, "session ended: idle for too long")
		s.untagged("BYE", "", "Idle for too long")
	case errors.Is(err, io.EOF):
		s.log.Logf(syslog.Protocol, "connection closed by the client after %d commands", s.commands)
	default:
		s.log.Logf(syslog.Problem, "session ended: %v", err)
	}
	s.c.Flush()
}
