package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

const configurationDoc = "../../docs/configuration.md"

const configurationHead = `# Configuration

` + "`tripost.toml`" + ` is found by the flag ` + "`--config FILE`" + `, else ` + "`$TRIPOST_CONFIG`" + `, else as
` + "`tripost.toml`" + ` in the directory the command is run in, else as
` + "`/etc/tripost/tripost.toml`" + `. An unknown key is an error that names its line.
Relative paths are relative to the file. Durations are written ` + "`90s 15m 12h 14d`" + `,
sizes ` + "`64K 50M 1G`" + `. ` + "`tripost config check`" + ` reads the file and says what is wrong with
it; ` + "`tripost config show`" + ` prints what is in force.

These are all keys with their defaults:

` + "```toml\n"

// TestConfigurationDoc holds docs/configuration.md to the code.
func TestConfigurationDoc(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(configurationHead)
	if err := toml.NewEncoder(&b).Encode(defaultConfig()); err != nil {
		t.Fatal(err)
	}
	b.WriteString("```\n")
	if *update {
		if err := os.WriteFile(configurationDoc, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(configurationDoc)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, b.Bytes()) {
		t.Error("docs/configuration.md is not what the code says: go test ./cmd/tripost -run ConfigurationDoc -update")
	}
}

// TestDefaultsLoad reads the documented defaults back: they must be right, and
// the same.
func TestDefaultsLoad(t *testing.T) {
	text, err := toml.Marshal(defaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tripost.toml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	want := defaultConfig()
	want.resolve(filepath.Dir(path))
	got, _ := toml.Marshal(c)
	expected, _ := toml.Marshal(want)
	if !bytes.Equal(got, expected) {
		t.Errorf("read back:\n%s\nwant:\n%s", got, expected)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"nonsense = 1", `line 1: there is no key "nonsense"`},
		{"[pop]\nchannel = 1", `line 2: there is no key "pop.channel"`},
		{"[store]\nundelete = 14", "line 2: \"14\" is not a duration"},
		{"[store]\nundelete = \"14 days\"", "line 2, column 12: \"14 days\" is not a duration"},
		{"[store]\nundelete = \"-3h\"", "is not a duration"},
		{"[message]\nsize = \"50X\"", "line 2, column 8: \"50X\" is not a size"},
		{"[message]\nsize = \"1K\"", "message.size: 1024 is below"},
		{"[store]\nengine = \"postgres\"", "store.engine"},
		{"[log]\nlevel = 9", "log.level: 9"},
		{"[log.levels]\nPOP = 7", "log.levels.POP: 7"},
		{"[log]\nformat = \"xml\"", "log.format"},
		{"[pop]\nlisten = [\"110\"]", "pop.listen: \"110\" is not host:port"},
		{"[pop]\nlisten = [\"127.0.0.1:x\"]", "is not a port"},
		{"[pop]\nlisten = [\"127.0.0.1:143\"]\n[imap]\nlisten = [\"127.0.0.1:143\"]", "127.0.0.1:143 is taken by"},
		{"[security]\nproxies = [\"gate\"]", "security.proxies"},
		{"[pop]\nlanguage = \"tlh\"", "pop.language: \"tlh\" is not one of i-default, en, de"},
		{"[security.oauth]\nintrospection = \"http://login.test/\"", "security.oauth: \"http://login.test/\" is not https"},
		{"[security.oauth]\nkeys = \"keys.json\"", "security.oauth: issuer and audience"},
		{"[security.oauth]\nclient_secret_file = \"secret\"", "client_id and client_secret_file go together"},
		{"[security.oauth]\ntime = \"0s\"", "security.oauth.time: 0 is below"},
		{"[lmtp]\nlisten = [\"127.0.0.1:25\"]", "lmtp.listen: port 25 is for SMTP alone"},
		{"[lmtp]\nlisten = [\"unix:lmtp.sock\"]", "lmtp.listen: \"unix:lmtp.sock\" needs a whole path"},
		{"hostname = \"a b\"", "hostname"},
		{"[imap]\nmessage_limit = 999", "imap.message_limit: 999 is neither 0 nor 1000 or more"},
		{"[alerts]\nquota_percent = 101", "alerts.quota_percent: 101 is above 100"},
		{"[alerts]\nlimit = 0", "alerts.limit: 0 is below"},
		{"[local]\nindividual_field = \"X-To: a\"", "local.individual_field"},
		{"[local]\nindividual_field = \"X\\r\\nY\"", "local.individual_field"},
		{"[local]\nsubaddress = \"@\"", "local.subaddress"},
		{"[local]\nsubaddress = \"++\"", "local.subaddress"},
		{"[queue]\nretry = [\"5m\", \"0s\"]", "queue.retry: 0s is below"},
		{"[queue]\nretry = []", "queue.retry: 0 is below"},
		{"[queue]\nsmarthost = \"relay:0\"", "queue.smarthost: \"relay:0\" is not host:port"},
		{"[[queue.route]]\ndomain = \"a b\"", "queue.route: \"a b\" is not a domain"},
		{"[[queue.route]]\ndomain = \"a.test\"\nhost = \"b\"", "queue.route: \"b\" is not host:port"},
		{"[[queue.route]]\ndomain = \"a.test\"\nuser = \"us\"", "user and password_file go together"},
		{"[[queue.route]]\ndomain = \"a.test\"\ntls = \"yes\"", "tls: \"yes\" is not"},
		{"[security]\nclient_addresses = [\"0.0.0.0/0\"]", "security.client_addresses"},
		{"[admin]\nlisten = \"8010\"", "admin.listen: \"8010\" is not host:port"},
		{"[admin]\nlisten = \"0.0.0.0:110\"", "admin.listen: 0.0.0.0:110 is taken by pop.listen"},
		{"data = \"\"", "data"},
	} {
		path := filepath.Join(t.TempDir(), "tripost.toml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := loadConfig(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: the error is %v, want the file's name and %q", c.text, err, c.want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: more than one line: %v", c.text, err)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "15m": 15 * time.Minute, "12h": 12 * time.Hour, "14d": 14 * 24 * time.Hour, "0": 0, "0s": 0,
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.Duration != want {
			t.Errorf("%q is %v (%v), want %v", text, d.Duration, err, want)
		}
	}
	for _, text := range []string{"", "d", "14", "-1d", "1.5d", "99999999d", "x", "5 m"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken for %v", text, d.Duration)
		}
	}
}
