package pop

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/protocols/pop.md has each command, and every file and dialogue that it
// names is there.
func TestDocument(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../docs/protocols/pop.md")
	must(t, err)
	text := string(b)
	for name := range commandTable() {
		if !strings.Contains(text, "| `"+name+"` |") {
			t.Errorf("%s has no row", name)
		}
	}
	for _, m := range regexp.MustCompile("`([a-z][a-z0-9-]*)(\\.go)?`").FindAllStringSubmatch(text, -1) {
		path := "testdata/" + m[1] + ".txtar"
		switch {
		case m[2] != "":
			path = m[1] + m[2]
		case !strings.Contains(m[1], "-") && !exists(path):
			continue // a word of another kind
		}
		if !exists(path) {
			t.Errorf("%s is not there", path)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
