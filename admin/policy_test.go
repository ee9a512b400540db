package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"tripost/accounts"
)

// An account shows what counts for it and who says so, a domain likewise.
func TestPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.Directory = accounts.New(w.api.Store, accounts.Options{Server: accounts.Policy{
		POPExpire: accounts.Set(90), POPLoginDelay: accounts.Set(15 * time.Minute), QuotaAlert: accounts.Set(80),
	}})
	policy := func(operation, request string) map[string]PolicyInfo {
		t.Helper()
		var info struct{ Policy map[string]PolicyInfo }
		status, text := w.ask(operation, request)
		if status != http.StatusOK || json.Unmarshal([]byte(text), &info) != nil {
			t.Fatalf("%s: %d %s", request, status, text)
		}
		return info.Policy
	}
	want := func(got, want map[string]PolicyInfo) {
		t.Helper()
		for name, one := range want {
			if got[name] != one {
				t.Errorf("%s: %v, want %v", name, got[name], one)
			}
		}
	}
	want(policy("domain/set", `{"name": "company.test", "settings": {"pop_expire": "30", "pop_hold": "1000:50", "quota_alert": "off"}}`),
		map[string]PolicyInfo{
			"pop_expire": {"30d", "domain"}, "pop_hold": {"1000:50", "domain"}, "pop_login_delay": {"15m", "server"},
			"quota_alert": {"off", "domain"}, "secure_method_required": {"off", "server"},
		})
	want(policy("account/set", `{"name": "ann", "settings": {"pop_expire": "never", "pop_login_delay": "90s", "secure_method_required": "on"}}`),
		map[string]PolicyInfo{
			"pop_expire": {"off", "account"}, "pop_hold": {"1000:50", "domain"}, "pop_login_delay": {"1m30s", "account"},
			"quota_alert": {"off", "domain"}, "secure_method_required": {"on", "account"},
		})
	policy("domain/set", `{"name": "company.test", "settings": {"pop_expire": "default", "pop_hold": "default", "quota_alert": "default"}}`)
	want(policy("account/set", `{"name": "ann", "settings": {"pop_expire": "default", "pop_login_delay": "default"}}`),
		policy("account/show", `{"name": "ann"}`))
	want(policy("account/show", `{"name": "ann"}`), map[string]PolicyInfo{
		"pop_expire": {"90d", "server"}, "pop_hold": {"off", "server"}, "pop_login_delay": {"15m", "server"},
		"quota_alert": {"80%", "server"}, "secure_method_required": {"on", "account"},
	})
	for _, tt := range []struct{ operation, settings, want string }{
		{"account/set", `"name": "ann", "settings": {"pop_expire": "soon"}`, "pop_expire: \\\"soon\\\": not a valid value: use days"},
		{"account/set", `"name": "ann", "settings": {"pop_hold": "50"}`, "use MESSAGES:PERCENT"},
		{"domain/set", `"name": "company.test", "settings": {"pop_login_delay": "25h"}`, "at most a day"},
		{"domain/set", `"name": "company.test", "settings": {"quota_alert": "101"}`, "at most 100"},
		{"domain/set", `"name": "company.test", "settings": {"color": "red"}`, "aliases, addresses, unknown, all_senders, domain_quota, domain_quota_messages, services, secure_method_required, pop_expire"},
	} {
		if status, text := w.ask(tt.operation, "{"+tt.settings+"}"); status != http.StatusBadRequest || !strings.Contains(text, tt.want) {
			t.Errorf("%s: %d %s", tt.settings, status, text)
		}
	}
}
