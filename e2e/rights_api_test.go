package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestRightsOfAPI holds the part of docs/rights.md about the API to the server:
// each operation of its description stands there, is answered on the control socket
// and nowhere else, and gives nobody a right that is not there for it.
func TestRightsOfAPI(t *testing.T) {
	t.Parallel()
	monitoring := freeAddresses(t, 1)[0]
	s := newServer(t, fmt.Sprintf("log.level = 2\nadmin.listen = %q\nsecurity.cleartext_login = \"always\"\n", monitoring), "guest")
	api := apiClient{t, http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", filepath.Join(s.dir, "data", "control.sock"))
		},
	}}}
	t.Cleanup(api.CloseIdleConnections)
	described := api.described()
	grants := rightsOfAPI(t, described)
	t.Run("the admin listener", func(t *testing.T) { onlyMonitoring(t, monitoring, described) })
	t.Run("another user of the machine", func(t *testing.T) { onlyOwner(t, s) })
	t.Run("what operations grant", func(t *testing.T) {
		w := &rightsWorld{T: t, server: s}
		w.guest = w.imap(address("guest"))
		for i, operation := range slices.Sorted(maps.Keys(described)) {
			w.grants(api, fmt.Sprint("op", i), operation, described[operation], grants[operation])
		}
	})
}

// rightsOfAPI reads which operations give somebody rights, and holds the page to
// the description.
func rightsOfAPI(t *testing.T, described map[string][]string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../docs/rights.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ := strings.Cut(string(text), "## The API")
	granting, others, ok := strings.Cut(page, "All others")
	if !ok {
		t.Fatal("docs/rights.md does not say which operations give no rights")
	}
	named := regexp.MustCompile("`([a-z]+/[a-z-]+)`")
	grants := map[string]bool{}
	for _, f := range named.FindAllStringSubmatch(granting, -1) {
		grants[f[1]] = true
	}
	listed := maps.Clone(grants)
	for _, f := range named.FindAllStringSubmatch(others, -1) {
		listed[f[1]] = true
	}
	for operation := range described {
		if !listed[operation] {
			t.Errorf("docs/rights.md does not say what %s does to rights", operation)
		}
	}
	for operation := range listed {
		if described[operation] == nil {
			t.Errorf("docs/rights.md has %s, which there is not", operation)
		}
	}
	return grants
}

// onlyMonitoring asks the admin listener for every operation.
func onlyMonitoring(t *testing.T, addr string, described map[string][]string) {
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func(method, path string) int {
		t.Helper()
		q, err := http.NewRequest(method, "http://"+addr+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, path := range []string{"/health", "/metrics"} {
		if status := ask(http.MethodGet, path); status != http.StatusOK {
			t.Errorf("GET %s: %d", path, status)
		}
		if status := ask(http.MethodPost, path); status != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, status)
		}
	}
	paths := []string{"/", "/v1", "/v1/", "/v1/openapi.json", "/debug/pprof/", "/health/../v1/server/status", "//v1/server/status"}
	for operation := range described {
		paths = append(paths, "/v1/"+operation)
	}
	for _, path := range paths {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if status := ask(method, path); status != http.StatusNotFound {
				t.Errorf("%s %s: %d, want 404", method, path, status)
			}
		}
	}
}

// onlyOwner connects to the control socket as another user, who may look into the
// directories that it is in. It is the socket's own mode that keeps him out.
func onlyOwner(t *testing.T, s *server) {
	data := filepath.Join(s.dir, "data")
	for file, want := range map[string]os.FileMode{data: 0o700, filepath.Join(data, "control.sock"): 0o600} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", file, got, want)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("only root can act as another user")
	}
	curl := program(t, "curl")
	for _, dir := range []string{filepath.Dir(s.dir), s.dir, data} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, user := range []struct {
		id   uint32
		want bool
	}{{0, true}, {65534, false}} {
		cmd := exec.Command(curl, "--silent", "--show-error", "--unix-socket", filepath.Join(data, "control.sock"), "http://tripost/v1/server/status", "-d", "{}")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user.id, Gid: user.id}}
		cmd.Dir = "/"
		if out, err := finish(cmd); (err == nil && strings.Contains(out, `"pid"`)) != user.want {
			t.Errorf("user %d: %v, %s; want to be let in: %v", user.id, err, out, user.want)
		}
	}
}

// grants does an operation on an account with a mailbox that the guest may read
// and one that he may not know of, and looks at what he may do then.
func (w *rightsWorld) grants(api apiClient, account, operation string, members []string, grants bool) {
	w.Helper()
	who := address(account)
	api.must("account/add", map[string]any{"name": who})
	for _, name := range []string{"shared", "hidden"} {
		api.must("mailbox/create", map[string]any{"account": who, "mailbox": name})
	}
	api.must("mailbox/acl-set", map[string]any{"account": who, "mailbox": "shared", "id": address("guest"), "rights": "lr"})
	if status, text := api.ask(operation, plausible(account, operation, members)); status == http.StatusNotFound || status == http.StatusForbidden || status == http.StatusMethodNotAllowed {
		w.Errorf("%s: %d %s", operation, status, text)
	}
	var got string
	for _, name := range []string{"shared", "hidden", "moved", "INBOX"} {
		lines, _ := w.can("MYRIGHTS ~%s/%s", account, name)
		for _, line := range lines {
			if f := strings.Fields(line); len(f) == 4 && f[0] == "*" {
				got += f[3]
			}
		}
	}
	if wider := strings.Trim(got, "lr") != ""; wider != grants {
		w.Errorf("after %s the guest has %q; wider than before: %v, want %v", operation, got, wider, grants)
	}
}

// plausible makes a request of members that an operation can take, about an
// account.
func plausible(account, operation string, members []string) map[string]any {
	noun, _, _ := strings.Cut(operation, "/")
	name := address(account)
	switch noun {
	case "domain":
		name = domain
	case "group", "forwarder", "alias":
		name = address(noun + "-" + account)
	case "mailbox":
		name = "~" + account + "/alias"
	}
	values := map[string]any{
		"name": name, "account": address(account), "domain": domain, "mailbox": "shared", "to": "moved", "person": address("guest"),
		"id": address("guest"), "rights": allRights, "target": address("guest"), "alias": address("alias-" + account), "password": password,
		"text": "elsewhere.test = error", "settings": map[string]any{}, "members": []string{address("guest")}, "address": address("guest"),
		"rules": []any{}, "directory": "/nowhere/" + account, "sender": address(account), "host": "elsewhere.test", "record": "elsewhere.test = error",
		"message": rightsMail, "from": address("guest"),
	}
	request := map[string]any{}
	for _, m := range members {
		if v, ok := values[m]; ok {
			request[m] = v
		}
	}
	return request
}

// apiClient asks for operations on the control socket.
type apiClient struct {
	t *testing.T
	http.Client
}

func (c apiClient) ask(operation string, request map[string]any) (status int, text string) {
	c.t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := c.Post("http://tripost/v1/"+operation, "application/json", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func (c apiClient) must(operation string, request map[string]any) {
	c.t.Helper()
	if status, text := c.ask(operation, request); status != http.StatusOK {
		c.t.Fatalf("%s: %d %s", operation, status, text)
	}
}

// described returns the operations of the description, each with the members of
// its request.
func (c apiClient) described() map[string][]string {
	c.t.Helper()
	resp, err := c.Get("http://tripost/v1/openapi.json")
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	type schema struct {
		Ref        string         `json:"$ref"`
		Properties map[string]any `json:"properties"`
	}
	var doc struct {
		Paths map[string]struct {
			Post struct {
				RequestBody struct {
					Content map[string]struct{ Schema schema }
				}
			}
		}
		Components struct{ Schemas map[string]schema }
	}
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		c.t.Fatal(err)
	}
	list := map[string][]string{}
	for path, item := range doc.Paths {
		if operation := strings.TrimPrefix(path, "/v1/"); operation != "openapi.json" {
			s := item.Post.RequestBody.Content["application/json"].Schema
			if s.Ref != "" {
				s = doc.Components.Schemas[s.Ref[strings.LastIndex(s.Ref, "/")+1:]]
			}
			list[operation] = append([]string{}, slices.Sorted(maps.Keys(s.Properties))...)
		}
	}
	if len(list) < 50 {
		c.t.Fatalf("the description has %d operations", len(list))
	}
	return list
}
