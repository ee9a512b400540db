package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// floors gives each room its height. Imports point downward only: never up,
// and never sideways. A subroom (store/engine, smtp/queue) has a line of its
// own when it is lower than the room that it is in.
var floors = map[string]int{
	"e2e":                     9,
	"cmd":                     8,
	"admin":                   7,
	"pop":                     7,
	"imap":                    7,
	"imap/search":             3,
	"smtp":                    7,
	"smtp/queue":              6,
	"smtp/send":               5,
	"smtp/convert":            4,
	"smtp/mtasts":             4,
	"smtp/resolve":            3,
	"smtp/mailauth":           5,
	"smtp/screen":             5,
	"smtp/dkim":               5,
	"smtp/doctor":             6,
	"router":                  5,
	"alerts":                  5,
	"rules":                   5,
	"accounts":                4,
	"accounts/oauth":          5,
	"history":                 3,
	"store/storetest":         3,
	"store/record":            1,
	"store":                   2,
	"store/backup":            3,
	"store/engine/faultfs":    2,
	"store/engine/enginetest": 1,
	"store/engine/local":      1,
	"store/engine":            1,
	"message":                 1,
	"wire":                    1,
	"syslog":                  0,
}

// TestImportsPointDownward keeps the house standing. It parses the files
// itself: the test cache does not see what "go list" reads, so a cached pass
// would hide a violation.
func TestImportsPointDownward(t *testing.T) {
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != root || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		files++
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		checkImports(t, filepath.ToSlash(rel), name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 {
		t.Fatalf("only %d files were looked at: is the root right?", files)
	}
}

func checkImports(t *testing.T, rel, name string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	own := path.Dir(rel)
	test := strings.HasSuffix(rel, "_test.go")
	for _, spec := range f.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		imported, ours := strings.CutPrefix(imported, "tripost/")
		if !ours || test && isTestRoom(imported) {
			continue
		}
		from, ok := floor(own)
		to, ok2 := floor(imported)
		if !ok || !ok2 {
			t.Errorf("%s imports %s: one of them has no floor", rel, imported)
			continue
		}
		if to < from || to == from && within(own, imported) {
			continue
		}
		t.Errorf("%s imports %s: imports point downward only", rel, imported)
	}
}

// floor finds the height of a room or of the room that it is in.
func floor(dir string) (int, bool) {
	for d := dir; d != "."; d = path.Dir(d) {
		if h, ok := floors[d]; ok {
			return h, true
		}
	}
	return 0, false
}

// within reports whether one of the two is a part of the other.
func within(own, imported string) bool {
	return strings.HasPrefix(own+"/", imported+"/") || strings.HasPrefix(imported+"/", own+"/")
}

// isTestRoom reports whether a package is made for tests of any room.
func isTestRoom(dir string) bool {
	return strings.HasSuffix(path.Base(dir), "test") || dir == "store/engine/local" || dir == "store/engine/faultfs"
}
