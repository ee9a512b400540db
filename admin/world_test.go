package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"tripost/accounts"
	"tripost/alerts"
	"tripost/history"
	"tripost/router"
	"tripost/rules"
	"tripost/smtp/dkim"
	"tripost/store"
	"tripost/store/storetest"
)

const maxTestMessage = 1 << 20

// world is an API over a real store with two domains and three accounts, asked
// over HTTP.
type world struct {
	t   testing.TB
	api *API
	url string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	st := storetest.New(t)
	dir := accounts.New(st, accounts.Options{
		Password: accounts.PasswordParams{Memory: 64, Time: 1, Lanes: 1, ScramRounds: 4096},
	})
	w := &world{t: t, api: &API{
		Directory: dir, Store: st, Router: router.New(dir, router.Options{Hostname: "mail.company.test"}),
		Queue: testQueue{}, History: history.New(st, nil, history.Options{}), Rules: rules.New(st, dir, rules.Options{}), Alerts: alerts.New(st, dir, alerts.Options{}), Keys: dkim.New(st, nil), MaxMessage: maxTestMessage,
	}}
	server := httptest.NewServer(w.api.Handler())
	t.Cleanup(server.Close)
	w.url = server.URL
	for _, ask := range [][2]string{
		{"domain/add", `{"name": "company.test"}`},
		{"domain/add", `{"name": "other.test"}`},
		{"account/add", `{"name": "ann@company.test", "password": "secret"}`},
		{"account/add", `{"name": "bob@company.test"}`},
		{"account/add", `{"name": "carl@other.test"}`},
		{"alias/add", `{"alias": "info@company.test", "account": "ann@company.test"}`},
		{"mailbox/create", `{"account": "ann", "mailbox": "lists/go"}`},
	} {
		if status, text := w.ask(ask[0], ask[1]); status != http.StatusOK {
			t.Fatalf("%s: %d %s", ask[0], status, text)
		}
	}
	return w
}

// ask posts a request and returns the status and the text of the answer.
func (w *world) ask(operation, request string) (status int, text string) {
	w.t.Helper()
	return w.post("/v1/"+operation, strings.NewReader(request))
}

// carry posts mail for an operation that takes its request in the address.
func (w *world) carry(operation, request string, mail io.Reader) (status int, text string) {
	w.t.Helper()
	return w.post("/v1/"+operation+"?request="+url.QueryEscape(request), mail)
}

func (w *world) post(path string, body io.Reader) (status int, text string) {
	w.t.Helper()
	resp, err := http.Post(w.url+path, "application/json", body)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// refused checks that an answer is an error with a text.
func (w *world) refused(what string, status int, text string, wantStatus int, want string) {
	w.t.Helper()
	var e Error
	err := json.Unmarshal([]byte(text), &e)
	if status != wantStatus || err != nil || !strings.Contains(e.Error, want) {
		w.t.Errorf("%s: %d %q (%v), want %d with %q", what, status, text, err, wantStatus, want)
	}
}

// mailbox returns what there is in a mailbox.
func (w *world) mailbox(account, name string) store.State {
	w.t.Helper()
	ref, err := w.api.ref(w.t.Context(), account, name)
	if err != nil {
		w.t.Fatal(err)
	}
	_, state, err := w.api.Store.Mailbox(w.t.Context(), store.System(), ref)
	if err != nil {
		w.t.Fatal(err)
	}
	return state
}

// testQueue holds one message, "7". Its disk is full.
type testQueue struct{}

var errDisk = errors.New("the disk is full")

func (testQueue) Items(context.Context) iter.Seq2[QueueItem, error] {
	return func(yield func(QueueItem, error) bool) { yield(QueueItem{ID: "7"}, nil) }
}

func (testQueue) Item(_ context.Context, id string) (QueueItem, error) {
	if id != "7" {
		return QueueItem{}, ErrNoItem
	}
	return QueueItem{ID: id, From: "ann@company.test", Created: time.Unix(0, 0).UTC()}, nil
}

func (testQueue) Steer(_ context.Context, _ string, q QueueRequest) (QueueCount, error) {
	if q.ID != "7" {
		return QueueCount{}, ErrNoItem
	}
	return QueueCount{}, errDisk
}
