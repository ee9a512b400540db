package imap

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocumentation holds docs/protocols/imap.md against the table of commands,
// the capabilities and the dialogues.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../docs/protocols/imap.md")
	must(t, err)
	text := string(page)
	for name := range commands() {
		if !strings.Contains(text, "| `"+name+"` |") {
			t.Errorf("the page has no row for %s", name)
		}
	}
	for _, c := range capabilities {
		if !strings.Contains(text, c.name) {
			t.Errorf("the page does not name the capability %s", c.name)
		}
	}
	files, err := filepath.Glob("testdata/*.txtar")
	must(t, err)
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".txtar"); !strings.Contains(text, "`"+name+"`") {
			t.Errorf("the page does not name the dialogue %s", name)
		}
	}
	for _, quoted := range strings.Split(text, "`") {
		if strings.HasSuffix(quoted, ".go") {
			if _, err := os.Stat(quoted); err != nil {
				t.Errorf("the page names a file: %v", err)
			}
		}
	}
}
