package smtp

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The page about the protocol has every command and every dialogue, and names no
// file that is not there.
func TestProtocolPage(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../docs/protocols/smtp.md")
	must(t, err)
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(string(b), -1) {
		named[m[1]] = true
	}
	for _, c := range append(commands(MX), commands(LMTP)[0]) {
		if !strings.Contains(string(b), "\n| `"+c.name+"` |") {
			t.Errorf("no row for %s", c.name)
		}
	}
	dialogues, err := filepath.Glob("testdata/*.txtar")
	must(t, err)
	for _, file := range dialogues {
		if name := strings.TrimSuffix(filepath.Base(file), ".txtar"); !named[name] {
			t.Errorf("the dialogue %s is not named", name)
		}
	}
	for name := range named {
		if strings.HasSuffix(name, ".go") {
			if _, err := os.Stat(name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	dialogue := regexp.MustCompile("^[a-z0-9]+(-[a-z0-9]+)+$")
	for name := range named {
		if !dialogue.MatchString(name) {
			continue
		}
		if _, err := os.Stat("testdata/" + name + ".txtar"); err != nil {
			t.Errorf("no dialogue %s", name)
		}
	}
}
