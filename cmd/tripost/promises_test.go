package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPromises looks up each test that docs/promises.md names.
func TestPromises(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "promises.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9/]+): ((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 40 {
		t.Fatalf("only %d tests are named", len(named))
	}
	for _, n := range named {
		if !hasTest(t, filepath.Join(root, filepath.FromSlash(n[1])), n[2]) {
			t.Errorf("there is no %s in %s", n[2], n[1])
		}
	}
	promises, _, found := strings.Cut(string(page), "\n## Longer\n")
	if !found {
		t.Fatal("the page has no section about longer forms")
	}
	for line := range strings.Lines(promises) {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| ---") && !strings.HasPrefix(line, "| promise") && !strings.HasPrefix(line, "| fault") && !strings.Contains(line, ": Test") {
			t.Errorf("no test keeps %s", line)
		}
	}
}

func hasTest(t *testing.T, room, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(room, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
