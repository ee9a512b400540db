// Package admin carries out what an administrator asks for: one function for
// each command, served as JSON over HTTP on the control socket. The command
// line is a thin client of it, and uses the same handler in its own process
// when no server is running.
//
// Each operation is POST /v1/NOUN/VERB. The request is a JSON object in the
// body, or, where the body carries mail, in the query parameter "request". The
// response is a JSON value, or mail; a refusal is {"error": "..."} with status
// 400 (404 for an operation that there is not, 405 for another method than
// POST), and 500 where the server itself failed. GET /v1/openapi.json describes
// all of them.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tripost/accounts"
	"tripost/alerts"
	"tripost/history"
	"tripost/router"
	"tripost/rules"
	"tripost/smtp/dkim"
	"tripost/smtp/doctor"
	"tripost/store"
	"tripost/syslog"
)

// maxRequest bounds a JSON request: a routing table or a password is far smaller.
const maxRequest = 4 << 20

// API holds what the operations work on. It is safe for concurrent use.
type API struct {
	Directory *accounts.Directory
	Store     *store.Store
	Router    *router.Router
	Queue     Queue
	Alerts    *alerts.Alerts
	Doctor    *doctor.Doctor
	Keys      *dkim.Keys
	Rules     *rules.Rules
	// Sessions are those that users have now; nil where nobody can have any.
	Sessions *accounts.Sessions
	Log      *syslog.Logger // tag ADMIN; nil: silent
	History  *history.History
	// References is what the store's check counts beside its own.
	References References
	// Backups copies the data directory.
	Backups Backups
	// MaxMessage is the largest message that an import takes, in octets.
	MaxMessage int64
	// Server describes the running process; zero when there is none.
	Server ServerInfo

	works works
}

// ServerInfo tells which process answered.
type ServerInfo struct {
	PID     int       `json:"pid,omitempty"`
	Version string    `json:"version,omitempty"`
	Started time.Time `json:"started,omitzero"`
}

// Refusal is an error whose text is meant for the administrator: what was
// asked for cannot be done as asked.
type Refusal struct{ Err error }

func (r *Refusal) Error() string { return r.Err.Error() }
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(format string, args ...any) error {
	return &Refusal{fmt.Errorf(format, args...)}
}

// Handler serves all operations.
func (a *API) Handler() http.Handler {
	operations := a.operations()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve := operations[strings.TrimPrefix(r.URL.Path, "/v1/")]
		switch {
		case r.URL.Path == "/v1/openapi.json" && r.Method == http.MethodGet:
			serveOpenAPI(w)
		case serve == nil:
			answerError(w, http.StatusNotFound, fmt.Errorf("there is no operation %q", r.URL.Path))
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			answerError(w, http.StatusMethodNotAllowed, fmt.Errorf("operations are asked for by POST, not %s", r.Method))
		default:
			a.watched(serve, w, r)
		}
	})
}

// operations is the one table of what can be asked.
func (a *API) operations() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"server/status":   operation(a.ServerStatus),
		"server/progress": operation(a.Progress),

		"domain/add":    operation(a.AddDomain),
		"domain/list":   operation(a.Domains),
		"domain/show":   operation(a.Domain),
		"domain/set":    operation(a.SetDomain),
		"domain/remove": operation(a.RemoveDomain),

		"domain/examine": operation(a.Examine),

		"domain/dkim-add":    operation(a.AddDKIMKeys),
		"domain/dkim-list":   operation(a.DKIMKeys),
		"domain/dkim-rotate": operation(a.RotateDKIMKeys),
		"domain/dkim-remove": operation(a.RemoveDKIMKey),

		"account/add":      operation(a.AddAccount),
		"account/list":     operation(a.Accounts),
		"account/show":     operation(a.Account),
		"account/set":      operation(a.SetAccount),
		"account/password": operation(a.SetPassword),
		"account/remove":   operation(a.RemoveAccount),
		"account/removed":  operation(a.RemovedAccounts),
		"account/restore":  operation(a.RestoreAccount),

		"account/compromised": operation(a.Compromised),
		"account/release":     operation(a.Release),

		"alias/add":    operation(a.AddAlias),
		"alias/list":   operation(a.Aliases),
		"alias/remove": operation(a.RemoveAlias),

		"forwarder/add":    operation(a.AddForwarder),
		"forwarder/list":   operation(a.Forwarders),
		"forwarder/show":   operation(a.Forwarder),
		"forwarder/set":    operation(a.SetForwarder),
		"forwarder/remove": operation(a.RemoveForwarder),

		"group/add":    operation(a.AddGroup),
		"group/list":   operation(a.Groups),
		"group/show":   operation(a.Group),
		"group/set":    operation(a.SetGroup),
		"group/remove": operation(a.RemoveGroup),

		"mailbox/list":    operation(a.Mailboxes),
		"mailbox/create":  operation(a.CreateMailbox),
		"mailbox/rename":  operation(a.RenameMailbox),
		"mailbox/remove":  operation(a.RemoveMailbox),
		"mailbox/acl":     operation(a.ACL),
		"mailbox/acl-set": operation(a.SetACL),
		"mailbox/rights":  operation(a.Rights),

		"mailbox/alias-add":    operation(a.AddMailboxAlias),
		"mailbox/alias-list":   operation(a.MailboxAliases),
		"mailbox/alias-remove": operation(a.RemoveMailboxAlias),

		"route/list":   operation(a.Routes),
		"route/add":    operation(a.AddRoute),
		"route/remove": operation(a.RemoveRoute),
		"route/set":    operation(a.SetRoutes),
		"route/check":  operation(a.CheckRoutes),
		"route/test":   operation(a.TestRoute),

		"alert/post":   operation(a.PostAlert),
		"alert/list":   operation(a.ListAlerts),
		"alert/seen":   operation(a.AlertSeen),
		"alert/remove": operation(a.RemoveAlert),

		"explain/message": operation(a.Explain),

		"rule/list":   operation(a.ListRules),
		"rule/add":    operation(a.AddRule),
		"rule/remove": operation(a.RemoveRule),
		"rule/set":    operation(a.SetRules),
		"rule/test":   operation(a.TestRules),

		"queue/list":    operation(a.QueueList),
		"queue/show":    operation(a.QueueShow),
		"queue/retry":   operation(a.queueOrder("retry")),
		"queue/hold":    operation(a.queueOrder("hold")),
		"queue/release": operation(a.queueOrder("release")),
		"queue/reroute": operation(a.queueOrder("reroute")),
		"queue/bounce":  operation(a.queueOrder("bounce")),
		"queue/drop":    operation(a.queueOrder("drop")),

		"undelete/list":    operation(a.Expunged),
		"undelete/restore": operation(a.Restore),

		"message/import": a.importMbox,
		"message/export": a.exportMbox,

		"store/status":  operation(a.StoreStatus),
		"store/check":   operation(a.CheckStore),
		"store/compact": operation(a.CompactStore),
		"store/backup":  operation(a.Backup),
		"store/verify":  operation(a.VerifyBackup),
	}
}

// None is the request or response of an operation that needs none.
type None struct{}

// operation makes a handler of a function from request to response.
func operation[Q, R any](fn func(context.Context, Q) (R, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if err := decode(http.MaxBytesReader(w, r.Body, maxRequest), &q); err != nil {
			writeError(w, &Refusal{err})
			return
		}
		resp, err := fn(r.Context(), q)
		if err != nil {
			writeError(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(resp) // the client has gone if this fails
	}
}

// decode reads one JSON object, or nothing, which is the empty one.
func decode(r io.Reader, q any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	err := d.Decode(q)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("there is more after the object")
		}
	}
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		err = fmt.Errorf("it is longer than %d octets", over.Limit)
	}
	return fmt.Errorf("reading the request: %w", err)
}

// Error is the JSON form of a refused or failed operation.
type Error struct {
	Error string `json:"error"`
}

func writeError(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var refusal *Refusal
	if errors.As(err, &refusal) || isRefusal(err) {
		status = http.StatusBadRequest
	}
	answerError(w, status, err)
}

func answerError(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(Error{err.Error()})
}

// isRefusal knows the errors of the rooms below that say what was wrong with
// the request, rather than with the server.
func isRefusal(err error) bool {
	for _, e := range []error{
		accounts.ErrNoDomain, accounts.ErrNoAccount, accounts.ErrNoAlias, accounts.ErrNoForwarder, accounts.ErrNoGroup, accounts.ErrExists,
		accounts.ErrBadName, accounts.ErrNotEmpty, accounts.ErrBadValue, accounts.ErrBadPassword, accounts.ErrMainDomain,
		store.ErrNoMailbox, store.ErrMailboxExists, store.ErrNotSelectable, store.ErrNoRight,
		store.ErrOverQuota, store.ErrBadName, store.ErrInbox, store.ErrNoAccount,
		store.ErrHasChildren, store.ErrTooManyMailboxes, store.ErrBadACL, store.ErrUIDs, store.ErrKeywords,
		alerts.ErrNoAlert, alerts.ErrBadText, alerts.ErrTooMany, alerts.ErrBadID,
		history.ErrNotFound, rules.ErrNoRule, rules.ErrBadRule,
		ErrNoItem,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// ServerStatus tells which process answers.
func (a *API) ServerStatus(context.Context, None) (ServerInfo, error) { return a.Server, nil }
