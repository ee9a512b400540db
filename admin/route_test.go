package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tripost/router"
)

// TestRouteEdits changes the router's table over HTTP, and tries what it must
// not take.
func TestRouteEdits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	report := func(operation, request string) (r router.Report) {
		t.Helper()
		status, text := w.ask(operation, request)
		if err := json.Unmarshal([]byte(text), &r); err != nil || status != http.StatusOK {
			t.Errorf("%s %s: %d %s", operation, request, status, text)
		}
		return r
	}
	if r := report("route/set", `{"text": "<sales> = ann\n", "dry_run": true}`); r.Revision != 0 || r.Records != 1 {
		t.Errorf("%+v", r)
	}
	if r := report("route/set", `{"text": "<sales> = ann\n", "revision": 0}`); r.Revision != 1 {
		t.Errorf("%+v", r)
	}
	if r := report("route/add", `{"record": "<top> = bob", "line": 1}`); r.Revision != 2 || r.Records != 2 {
		t.Errorf("%+v", r)
	}
	if r := report("route/check", `{"text": "a = b = c\n<x> = ann@nowhere.local"}`); len(r.Problems) != 1 || r.Problems[0].Warning {
		t.Errorf("%+v", r)
	}
	for _, c := range []struct{ operation, request, want string }{
		{"route/set", `{"text": "<sales> = bob", "revision": 1}`, "has been changed meanwhile"},
		{"route/set", `{"text": "<a> = b\n<b> = a"}`, "line 1, right side: a leads in a circle\\nline 2"},
		{"route/set", `{"text": "` + strings.Repeat("x", 1_000_001) + `"}`, "longer than 1000000 octets"},
		{"route/add", `{"record": "<x> = ann", "line": 4}`, "line 4: no such record"},
		{"route/add", `{"record": "<x>"}`, "expected '=' after"},
		{"route/add", `{}`, "there is no record"},
		{"route/add", `{"record": "<x> = ann\n<y> = ann"}`, "expected one record"},
		{"route/remove", `{"record": "<nobody>"}`, "no such record"},
		{"route/remove", `{}`, "left side"},
		{"route/list", `{"domain": "company.test"}`, "unknown field"},
	} {
		status, text := w.ask(c.operation, c.request)
		if status != http.StatusBadRequest || !strings.Contains(text, c.want) {
			t.Errorf("%s %.100s: %d %s, want %s", c.operation, c.request, status, text, c.want)
		}
	}
	report("route/remove", `{"record": "<sales>", "revision": 2}`)
	status, text := w.ask("route/list", `{}`)
	if want := `{"text":"\u003ctop\u003e = bob\n","revision":3}` + "\n"; status != http.StatusOK || text != want {
		t.Errorf("%d %s, want %s", status, text, want)
	}
}
