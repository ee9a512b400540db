package admin

import (
	"context"
	"net/http"
	"sync"

	"tripost/store/engine"
)

// ProgressHeader is the field of a request whose client wants to know how far the
// operation is: a name of its own choice for it, which it asks server/progress
// about meanwhile.
const ProgressHeader = "Tripost-Progress"

// ProgressRequest names a running operation.
type ProgressRequest struct {
	Name string `json:"name"` // as in the field Tripost-Progress of its request
}

// ProgressInfo tells how far an operation is. Both are 0 where it has not said.
type ProgressInfo struct {
	Done  int64 `json:"done"`  // octets
	Total int64 `json:"total"` // about so many
}

// works are the running operations that somebody watches.
type works struct {
	mu  sync.Mutex
	all map[string]ProgressInfo
}

const (
	maxWorks    = 100
	maxWorkName = 64 // octets
)

// begin notes an operation; without room nobody can ask about it.
func (w *works) begin(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, taken := w.all[name]; taken || name == "" || len(name) > maxWorkName || len(w.all) >= maxWorks {
		return false
	}
	if w.all == nil {
		w.all = make(map[string]ProgressInfo)
	}
	w.all[name] = ProgressInfo{}
	return true
}

func (w *works) set(name string, done, total int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all[name] = ProgressInfo{done, total}
}

func (w *works) end(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, name)
}

// Progress tells how far another operation is that runs now.
func (a *API) Progress(_ context.Context, q ProgressRequest) (ProgressInfo, error) {
	a.works.mu.Lock()
	defer a.works.mu.Unlock()
	return a.works.all[q.Name], nil
}

// watched serves an operation so that its progress can be asked for.
func (a *API) watched(serve http.HandlerFunc, w http.ResponseWriter, r *http.Request) {
	name := r.Header.Get(ProgressHeader)
	if !a.works.begin(name) {
		serve(w, r)
		return
	}
	defer a.works.end(name)
	ctx := engine.WithProgress(r.Context(), func(done, total int64) { a.works.set(name, done, total) })
	serve(w, r.WithContext(ctx))
}
