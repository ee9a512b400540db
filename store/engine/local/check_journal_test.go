package local_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tripost/store/engine"
	"tripost/store/engine/enginetest"
	"tripost/store/engine/faultfs"
	"tripost/store/engine/local"
)

// runs returns a closed store of four segments, all in the index: records come, and
// some go again.
func runs(t *testing.T, o local.Options) string {
	t.Helper()
	dir := scratch(t)
	for run := range uint32(4) {
		e, err := local.Open(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		for id := 10 * run; id < 10*run+3; id++ {
			if err := putRecord(e, id); err != nil {
				t.Fatal(err)
			}
		}
		if err := removeRecord(e, 10*run+1); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(segmentFiles(t, dir)); n != 4 {
		t.Fatalf("%d segments", n)
	}
	return dir
}

// checkOf opens a store and returns what its check reports.
func checkOf(t *testing.T, dir string, o local.Options) []string {
	t.Helper()
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var faults []string
	_, err = e.Check(context.Background(), func(f engine.Fault) { faults = append(faults, f.Place+": "+f.Text) })
	if err != nil {
		t.Error(err)
	}
	return faults
}

// TestCheckReadsEveryRecord changes one octet of every part of every record in every
// segment, all of them behind the index. Check names the file, and what a rebuilding would
// stop at is never passed over.
func TestCheckReadsEveryRecord(t *testing.T) {
	t.Parallel()
	o := small()
	o.CopyIndex = -1 // every segment is needed
	whole := runs(t, o)
	if faults := checkOf(t, whole, o); len(faults) > 0 {
		t.Fatalf("of a whole store: %q", faults)
	}
	for _, name := range segmentFiles(t, whole) {
		octets, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		places := map[string]int{"segment header": 20, "salt": 50}
		for at := 64; at < len(octets); {
			length := int(binary.BigEndian.Uint32(octets[at+16:]))
			kind := map[byte]string{1: "body", 2: "changes"}[octets[at+4]]
			places[fmt.Sprintf("%s at %d, magic", kind, at)] = at
			places[fmt.Sprintf("%s at %d, length", kind, at)] = at + 18
			places[fmt.Sprintf("%s at %d, checksum", kind, at)] = at + 30
			if length > 0 {
				places[fmt.Sprintf("%s at %d, data", kind, at)] = at + 32 + length/2
			}
			at += 32 + length
		}
		for what, at := range places {
			t.Run(filepath.Base(name)+"/"+what, func(t *testing.T) {
				dir := scratch(t)
				if err := faultfs.CopyDir(whole, dir); err != nil {
					t.Fatal(err)
				}
				damaged := filepath.Join(dir, "journal", filepath.Base(name))
				change(t, damaged, flip(at))
				if strings.HasSuffix(name, "00000004.seg") && at < 64 {
					mustRefuse(t, dir, o, engine.ErrDamaged, "00000004.seg") // opening itself reads it
					return
				}
				faults := checkOf(t, dir, o)
				if !strings.Contains(strings.Join(faults, "\n"), filepath.Base(name)) {
					t.Errorf("check reports %q", faults)
				}
				if strings.HasSuffix(what, "data") && len(faults) != 1 {
					t.Errorf("one fault is told %d times: %q", len(faults), faults)
				}
			})
		}
	}
}

// TestCheckOfTornSegment checks a segment whose successor is gone and whose last group a
// crash tore: nobody was told of it, and nothing is wrong.
func TestCheckOfTornSegment(t *testing.T) {
	t.Parallel()
	o := small()
	o.CopyIndex = -1 // no segment stays for it
	dir := scratch(t)
	e, err := local.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	for id := range uint32(3) {
		if err := putRecord(e, id); err != nil {
			t.Fatal(err)
		}
	}
	crashed := scratch(t)
	if err := faultfs.CopyDir(dir, crashed); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	first := segmentFiles(t, crashed)[0]
	var end int // of the last whole group
	change(t, first, func(b []byte) []byte {
		b = bytes.TrimRight(b, "\x00")
		end = len(b)
		return append(b, b[64:64+20]...) // as a record begins
	})
	if e, err = local.Open(crashed, o); err != nil {
		t.Fatal(err)
	}
	if err := putRecord(e, 50); err != nil { // a second segment
		t.Fatal(err)
	}
	if err := removeRecord(e, 50); err != nil {
		t.Fatal(err)
	}
	enginetest.CheckClean(t, e)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a third, and the second goes
		if e, err = local.Open(crashed, o); err != nil {
			t.Fatal(err)
		}
		if err := putRecord(e, 60); err != nil {
			t.Fatal(err)
		}
		enginetest.CheckClean(t, e)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := fileSize(t, first); n <= int64(end) {
		t.Fatalf("the torn group is not there any more: %d octets", n)
	}
	if names := segmentFiles(t, crashed); strings.HasSuffix(names[1], "00000002.seg") {
		t.Fatalf("the second segment is still there: %q", names)
	}
	change(t, first, flip(64+40)) // damage that is no torn group
	if faults := checkOf(t, crashed, o); len(faults) != 1 || !strings.Contains(faults[0], filepath.Base(first)) {
		t.Errorf("check reports %q", faults)
	}
}
