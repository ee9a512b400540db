package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// FuzzConfig loads anything as a configuration: it is refused in one line that a
// terminal can show, or it is whole.
func FuzzConfig(f *testing.F) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		f.Fatal(err)
	}
	for _, part := range strings.Split(string(page), "```") {
		f.Add(part)
	}
	for _, seed := range []string{
		siteConfig, "", "x", "[pop]\nchannels = -1", "pop.line = \"0\"", "data = \"\\u0000\"", "queue.retry = []", "message.size = \"99999999999999G\"",
		"queue.retry = [\"1s\", \"-1s\"]", "[[queue.route]]\ndomain = \"*.\"", "security.proxies = [\"::/0\", \"x\"]", "hostname = \"a b\"", "store.undelete = \"1e9d\"",
	} {
		f.Add(seed)
	}
	path := filepath.Join(f.TempDir(), "tripost.toml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := loadConfig(path)
		if err != nil {
			if s := sentence(err); s == "" || strings.ContainsFunc(s, unicode.IsControl) {
				t.Errorf("refused with %q", s)
			}
			return
		}
		if err := cfg.check(); err != nil {
			t.Errorf("loaded, and then refused: %v", err)
		}
		if len(cfg.Queue.Retry) == 0 {
			t.Error("there is no pause between attempts")
		}
	})
}
