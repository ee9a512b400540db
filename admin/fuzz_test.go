package admin

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// FuzzRequest asks for any operation with any request. Whatever is asked, the
// answer is a result or a refusal that says why: never a failure of the server's.
func FuzzRequest(f *testing.F) {
	w := newWorld(f)
	handler := w.api.Handler()
	var names []string
	for name := range w.api.operations() {
		switch name {
		case "store/backup", "store/verify", "domain/examine": // they go where the request says: to files, and to DNS
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for i := range names {
		f.Add(uint8(i), `{"name": "ann@company.test", "account": "ann", "mailbox": "lists/go"}`)
		f.Add(uint8(i), `{"name": "company.test", "domain": "company.test", "address": "info@company.test", "id": "1"}`)
	}
	for _, request := range []string{"", "{}", "null", "[]", `{"name": null}`, `{"name": "\u0000"}`, `{"x": 1}`, `{} {}`, strings.Repeat(`{"name":`, 50)} {
		f.Add(uint8(3), request)
	}
	f.Fuzz(func(t *testing.T, which uint8, request string) {
		name := names[int(which)%len(names)]
		r := httptest.NewRequest(http.MethodPost, "/v1/"+name, strings.NewReader(request))
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		if answer.Code >= http.StatusInternalServerError {
			t.Errorf("%s of %q: %d %s", name, request, answer.Code, answer.Body)
		}
		if answer.Code != http.StatusOK && !strings.Contains(answer.Body.String(), `"error":"`) {
			t.Errorf("%s of %q: refused without a reason: %s", name, request, answer.Body)
		}
	})
}
