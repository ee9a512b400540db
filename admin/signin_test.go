package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tripost/accounts"
)

// What decides how an account may sign in is set, shown again, and refused where
// it makes no sense.
func TestSignInSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.Directory = accounts.New(w.api.Store, accounts.Options{
		Password:  accounts.PasswordParams{Memory: 64, Time: 1, Lanes: 1, ScramRounds: 4096},
		LegacyKey: []byte(strings.Repeat("k", 32)),
	})
	account := func(request string) (info AccountInfo) {
		t.Helper()
		status, text := w.ask("account/set", request)
		if status != http.StatusOK || json.Unmarshal([]byte(text), &info) != nil {
			t.Fatalf("%s: %d %s", request, status, text)
		}
		return info
	}
	colons := strings.TrimSuffix(strings.Repeat("AB:", 32), ":")
	info := account(`{"name": "ann", "settings": {"secure_method_required": "on", "legacy_auth": "on", "certificate": "` + colons + `"}}`)
	if info.Policy["secure_method_required"] != (PolicyInfo{"on", "account"}) || info.LegacyAuth != "from the next password" || info.Certificate != strings.Repeat("ab", 32) {
		t.Errorf("%+v", info)
	}
	w.ask("account/password", `{"name": "ann", "password": "secret"}`)
	info = account(`{"name": "ann", "settings": {"secure_method_required": "default", "certificate": "none"}}`)
	if info.Policy["secure_method_required"] != (PolicyInfo{"off", "server"}) || info.LegacyAuth != "on" || info.Certificate != "" {
		t.Errorf("%+v", info)
	}
	if info = account(`{"name": "ann", "settings": {"legacy_auth": "off"}}`); info.LegacyAuth != "" {
		t.Errorf("%+v", info)
	}

	var dom DomainInfo
	status, text := w.ask("domain/set", `{"name": "other.test", "settings": {"addresses": "192.0.2.2, 2001:db8::2", "secure_method_required": "off"}}`)
	if status != http.StatusOK || json.Unmarshal([]byte(text), &dom) != nil {
		t.Fatalf("%d %s", status, text)
	}
	if len(dom.Addresses) != 2 || dom.Addresses[0].String() != "192.0.2.2" || dom.Policy["secure_method_required"] != (PolicyInfo{"off", "domain"}) {
		t.Errorf("%+v", dom)
	}
	for _, tt := range []struct{ operation, settings, want string }{
		{"account/set", `"name": "ann", "settings": {"certificate": "abc"}`, "64 hexadecimal digits"},
		{"account/set", `"name": "ann", "settings": {"secure_method_required": "maybe"}`, "use on, off or default"},
		{"domain/set", `"name": "other.test", "settings": {"secure_method_required": ""}`, "use on, off or default"},
		{"domain/set", `"name": "other.test", "settings": {"addresses": "mail.test"}`, "is not an IP address"},
		{"domain/set", `"name": "other.test", "settings": {"addresses": "0.0.0.0"}`, "nobody connects to it"},
		{"domain/set", `"name": "company.test", "settings": {"addresses": "192.0.2.2"}`, "another domain's"},
	} {
		if status, text := w.ask(tt.operation, "{"+tt.settings+"}"); status != http.StatusBadRequest || !strings.Contains(text, tt.want) {
			t.Errorf("%s: %d %s", tt.settings, status, text)
		}
	}
}

func TestLegacyAuthNeedsAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status, text := w.ask("account/set", `{"name": "ann", "settings": {"legacy_auth": "on"}}`)
	if status != http.StatusBadRequest || !strings.Contains(text, "no key") {
		t.Errorf("%d %s", status, text)
	}
}
