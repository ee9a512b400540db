package admin

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// refusals are requests that cannot be done as asked, by operation.
var refusals = map[string][]struct{ request, want string }{
	"domain/add": {
		{`{}`, "not a valid name"}, {`{"name": "company.test"}`, "the name is taken"},
		{`{"name": "a..b"}`, "not a valid name"}, {`{"name": "x.local"}`, "the ending .local"},
	},
	"domain/show": {{`{"name": "nowhere.test"}`, "no such domain"}, {`{"name": "a b"}`, "no such domain"}},
	"domain/set": {
		{`{"name": "nowhere.test", "settings": {"services": "all"}}`, "no such domain"},
		{`{"name": "other.test", "settings": {"services": "all,none"}}`, "services: service"},
		{`{"name": "other.test", "settings": {"colour": "red"}}`, "is not a setting of a domain"},
		{`{"name": "other.test", "settings": {"aliases": "company.test"}}`, "the name is taken"},
	},
	"domain/remove": {
		{`{"name": "nowhere.test"}`, "no such domain"}, {`{"name": "other.test"}`, "still has accounts"},
		{`{"name": "company.test"}`, "company.test"},
	},
	"account/add": {
		{`{}`, "not a valid name"}, {`{"name": "ann"}`, "the name is taken"}, {`{"name": "info"}`, "the name is taken"},
		{`{"name": "x@nowhere.test"}`, "no such domain"}, {`{"name": "x@"}`, "no such domain"},
		{`{"name": "dora", "password": "two\nlines"}`, "not a usable password"},
		{`{"name": "dora", "password": "` + strings.Repeat("x", 1025) + `"}`, "not a usable password"},
	},
	"account/list": {{`{"domain": "nowhere.test"}`, "no such domain"}},
	"account/show": {{`{}`, "no such account"}, {`{"name": "nobody"}`, "no such account"}, {`{"name": "ann@nowhere.test"}`, "no such domain"}},
	"account/set": {
		{`{"name": "nobody", "settings": {"locked": "yes"}}`, "no such account"},
		{`{"name": "ann", "settings": {"locked": "perhaps"}}`, "neither yes nor no"},
		{`{"name": "ann", "settings": {"quota": "9999999999G"}}`, "use a size"},
		{`{"name": "ann", "settings": {"services": "pop;imap"}}`, "services: service"},
		{`{"name": "ann", "settings": {"name": "` + strings.Repeat("x", 256) + `"}}`, "real name"},
		{`{"name": "ann", "settings": {"": ""}}`, "is not a setting of an account"},
	},
	"account/password": {{`{"name": "nobody", "password": "x"}`, "no such account"}, {`{"name": "ann", "password": "\u0000"}`, "not a usable password"}},
	"account/remove":   {{`{"name": "nobody"}`, "no such account"}, {`{"name": "info"}`, "it is an alias of ann@company.test"}},
	"alias/add": {
		{`{"alias": "info", "account": "ann"}`, "the name is taken"}, {`{"alias": "ann", "account": "ann"}`, "the name is taken"},
		{`{"alias": "help", "account": "nobody"}`, "no such account"}, {`{"alias": "", "account": "ann"}`, "not a valid name"},
		{`{"alias": "x@other.test", "account": "ann@company.test"}`, "in the same"},
	},
	"alias/list":   {{`{"domain": "nowhere.test"}`, "no such domain"}},
	"alias/remove": {{`{"name": "help"}`, "no such"}, {`{"name": "ann"}`, "no such alias"}},
	"mailbox/list": {{`{"account": "nobody"}`, "no such account"}},
	"mailbox/create": {
		{`{"account": "nobody", "mailbox": "x"}`, "no such account"}, {`{"account": "ann"}`, "already exists"},
		{`{"account": "ann", "mailbox": "lists/go"}`, "already exists"}, {`{"account": "ann", "mailbox": "a//b"}`, "not a valid mailbox name"},
		{`{"account": "ann", "mailbox": "` + strings.Repeat("a/", 100) + `b"}`, "not a valid mailbox name"},
	},
	"mailbox/rename": {
		{`{"account": "nobody", "mailbox": "x", "to": "y"}`, "no such account"}, {`{"account": "ann", "mailbox": "x", "to": "y"}`, "no such mailbox"},
		{`{"account": "ann", "mailbox": "Sent", "to": "Trash"}`, "already exists"}, {`{"account": "ann", "mailbox": "Sent"}`, "not a valid mailbox name"},
		{`{"account": "ann", "mailbox": "lists", "to": "lists/below"}`, "lists/below"},
	},
	"mailbox/remove": {
		{`{"account": "nobody", "mailbox": "x"}`, "no such account"}, {`{"account": "ann", "mailbox": "x"}`, "no such mailbox"},
		{`{"account": "ann"}`, "INBOX cannot be removed"}, {`{"account": "ann", "mailbox": "lists"}`, "the name has children"},
	},
	"mailbox/acl": {{`{"account": "nobody"}`, "no such account"}, {`{"account": "ann", "mailbox": "x"}`, "no such mailbox"}},
	"mailbox/acl-set": {
		{`{"account": "ann", "id": "bob", "rights": "lrz"}`, "is not a right"}, {`{"account": "ann", "id": "nobody", "rights": "l"}`, "no such account"},
		{`{"account": "ann", "id": "", "rights": "l"}`, "the identifier is empty: not a valid value"}, {`{"account": "ann", "id": "--bob", "rights": "l"}`, "no such account"},
		{`{"account": "ann", "id": "#", "rights": "l"}`, "not a valid name"}, {`{"account": "ann", "id": "anyone@nowhere.test", "rights": "l"}`, "no such domain"},
		{`{"account": "ann", "mailbox": "x", "id": "bob", "rights": "l"}`, "no such mailbox"}, {`{"account": "nobody", "id": "bob", "rights": "l"}`, "no such account"},
	},
	"explain/message": {{`{}`, "nothing is known"}, {`{"id": "17"}`, "nothing is known"}, {`{"id": "<x@y>"}`, "nothing is known"}},
	"rule/list":       {{`{"name": "nobody"}`, "no such account"}},
	"rule/add": {
		{`{"account": "nobody", "rule": {"name": "a", "actions": [{"do": "keep"}]}}`, "no such account"},
		{`{"account": "ann"}`, "a name is expected"}, {`{"account": "ann", "rule": {"name": "a"}}`, "an action is expected"},
		{`{"account": "ann", "rule": {"name": "a", "actions": [{"do": "dance"}]}}`, `"dance" is not an action`},
		{`{"account": "ann", "rule": {"name": "a", "actions": [{"do": "forward", "address": "ann@company.test"}]}}`, "is the account itself"},
		{`{"account": "ann", "rule": {"name": "a", "actions": [{"do": "keep"}]}, "before": "b"}`, "no such rule"},
	},
	"rule/remove":         {{`{"account": "ann", "rule": "a"}`, "no such rule"}, {`{"account": "nobody", "rule": "a"}`, "no such account"}},
	"rule/set":            {{`{"account": "ann", "rules": [{"name": "a", "actions": [{"do": "file", "mailbox": "a//b"}]}]}`, "not a valid mailbox name"}},
	"rule/test":           {{`{"account": "nobody"}`, "no such account"}},
	"account/compromised": {{`{"name": "nobody"}`, "no such account"}, {`{}`, "no such account"}},
	"account/release":     {{`{"name": "nobody"}`, "no such account"}},
	"queue/show":          {{`{}`, "no such message"}, {`{"id": "8"}`, "no such message"}},
	"queue/retry":         {{`{"id": "8"}`, "no such message"}},
	"queue/hold":          {{`{"id": "8"}`, "no such message"}},
	"queue/release":       {{`{"id": "8"}`, "no such message"}},
	"queue/bounce":        {{`{"id": "8"}`, "no such message"}},
	"queue/drop":          {{`{"id": "8"}`, "no such message"}, {`{"id": "7", "sender": "a@b.test"}`, "one of id, sender and domain"}},
	"queue/reroute":       {{`{"id": "7"}`, "the host is missing"}, {`{"id": "8", "host": "mx.test"}`, "no such message"}},
	"undelete/list":       {{`{"account": "nobody"}`, "no such account"}, {`{"account": "ann", "uid": -1}`, "reading the request"}},
	"undelete/restore":    {{`{"account": "nobody"}`, "no such account"}, {`{"account": "ann", "uid": 4294967296}`, "reading the request"}},
}

// TestRefusals asks for what cannot be done: each time the status is 400, and
// the text says why.
func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for operation, list := range refusals {
		for _, c := range list {
			status, text := w.ask(operation, c.request)
			w.refused(operation+" "+c.request, status, text, http.StatusBadRequest, c.want)
		}
	}
}

// carrier tells the operations whose body is mail.
func carrier(operation string) bool { return strings.HasPrefix(operation, "message/") }

// TestMalformedRequests gives every operation requests that are none.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for operation := range w.api.operations() {
		for request, want := range map[string]string{
			`{"nonsense": 1}`:   `unknown field "nonsense"`,
			`{`:                 "unexpected",
			`nonsense`:          "invalid character",
			`[]`:                "cannot unmarshal array",
			`"text"`:            "cannot unmarshal string",
			`{} {}`:             "more after the object",
			`{}]`:               "reading the request",
			"{}\x00":            "reading the request",
			`{"nonsense": {`:    "reading the request",
			deep(10_001) + `{}`: "reading the request",
		} {
			ask := func() (int, string) { return w.ask(operation, request) }
			if carrier(operation) {
				if len(request) > 1000 {
					continue
				}
				ask = func() (int, string) { return w.carry(operation, request, nil) }
			}
			status, text := ask()
			w.refused(operation+" "+request[:min(20, len(request))], status, text, http.StatusBadRequest, want)
		}
	}
}

// TestLongRequest asks for more than a request may be.
func TestLongRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status, text := w.post("/v1/domain/show", io.LimitReader(endless(`{"name": "`), maxRequest+10))
	w.refused("a long request", status, text, http.StatusBadRequest, "longer than 4194304 octets")
	long := `{"name": "company.test"}` + strings.Repeat(" ", maxRequest)
	status, text = w.ask("domain/show", long)
	w.refused("a request with a long end", status, text, http.StatusBadRequest, "longer than 4194304 octets")
}

// deep is JSON nested so deep that no request is.
func deep(n int) string { return `{"name": ` + strings.Repeat("[", n) }

// endless is a prefix with any number of x after it.
func endless(prefix string) io.Reader { return io.MultiReader(strings.NewReader(prefix), letters{}) }

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestUnknownOperations asks for what there is not, and in other ways than POST.
func TestUnknownOperations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/", "/v1/", "/v1/domain", "/v1/domain/destroy", "/v2/domain/list", "/v1//domain/list", "/v1/domain/list/", "/domain/../v1/domain/destroy"} {
		status, text := w.post(path, strings.NewReader("{}"))
		w.refused(path, status, text, http.StatusNotFound, "there is no operation")
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, "BREW"} {
		r, err := http.NewRequest(method, w.url+"/v1/domain/remove", strings.NewReader(`{"name": "other.test"}`))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		w.refused(method, resp.StatusCode, string(text), http.StatusMethodNotAllowed, method)
		if allow := resp.Header.Get("Allow"); allow != http.MethodPost {
			t.Errorf("%s: Allow is %q", method, allow)
		}
	}
}

// TestFailures tells a failure of the server from a refusal.
func TestFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, verb := range []string{"retry", "hold", "release", "bounce", "drop"} {
		status, text := w.ask("queue/"+verb, `{"id": "7"}`)
		w.refused(verb, status, text, http.StatusInternalServerError, errDisk.Error())
	}
}

// TestEmptyRequest takes no body for an empty object.
func TestEmptyRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if status, text := w.ask("domain/list", ""); status != http.StatusOK || !strings.Contains(text, "other.test") {
		t.Errorf("%d %s", status, text)
	}
}
