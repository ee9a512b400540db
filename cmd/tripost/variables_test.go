package main

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestVariables holds the table of environment variables in docs/promises.md to
// the code that reads them, and its column of long forms to the Makefile.
func TestVariables(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "promises.md"))
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]string{} // to what make crash sets it, "" for nothing
	for _, row := range regexp.MustCompile("(?m)^\\| `(TRIPOST_[A-Z_]+)` \\| [^|]+ \\| ([0-9]*) *\\| [^|]+ \\|$").FindAllStringSubmatch(string(page), -1) {
		table[row[1]] = row[2]
	}
	read := variablesRead(t, root)
	if got, want := slices.Sorted(maps.Keys(table)), slices.Sorted(maps.Keys(read)); !slices.Equal(got, want) {
		t.Errorf("the table has %q, the code reads %q", got, want)
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for _, v := range regexp.MustCompile(`(TRIPOST_[A-Z_]+)=\$\$\{TRIPOST_[A-Z_]+:-([0-9]+)\}`).FindAllStringSubmatch(string(makefile), -1) {
		set[v[1]] = v[2]
	}
	for name, value := range table {
		if set[name] != value {
			t.Errorf("make crash sets %s to %q, the table says %q", name, set[name], value)
		}
	}
}

// variablesRead returns the names of environment variables that are in the code.
func variablesRead(t *testing.T, root string) map[string]bool {
	t.Helper()
	quoted := regexp.MustCompile(`"(TRIPOST_[A-Z_]+)"`)
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range quoted.FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
