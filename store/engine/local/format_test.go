package local

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tripost/store/engine"
)

// memoryFile is a File of octets.
type memoryFile struct{ *bytes.Reader }

func (memoryFile) WriteAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }
func (memoryFile) Sync() error                        { return errors.ErrUnsupported }
func (memoryFile) Truncate(int64) error               { return errors.ErrUnsupported }
func (memoryFile) Close() error                       { return nil }
func (m memoryFile) Size() (int64, error)             { return m.Reader.Size(), nil }

// exampleSegment is the worked example of docs/storage-engine.md: a header, and
// one group that keeps the body "Hi" as blob 1 and sets the key "k" to "v".
func exampleSegment() []byte {
	h := segmentHeader{format: 1, number: 1, firstSeq: 1, salt: 0x0123456789abcdef}
	b := h.encode()
	body := []byte("Hi")
	b = recordHeader{kind: kindBody, id: 1, length: 2, sum: checksum(body)}.append(b, h.seed())
	b = append(b, body...)
	var a arena
	entry := bodyEntry{segment: 1, offset: segmentHeaderSize, length: 2, sum: checksum(body), refs: 1}
	data := appendChange(nil, a.item(bodyKey(1), entry.encode(), itemValue))
	data = appendChange(data, a.item([]byte("k"), []byte("v"), itemValue))
	b = recordHeader{kind: kindCommit, id: 1, length: uint32(len(data)), bodies: 1, sum: checksum(data)}.append(b, h.seed())
	return append(b, data...)
}

// TestWorkedExample holds the document to the code.
func TestWorkedExample(t *testing.T) {
	t.Parallel()
	name := filepath.Join("..", "..", "..", "docs", "storage-engine.md")
	document, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(document), "<!-- example -->\n```\n")
	dump, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatalf("%s has no example", name)
	}
	var documented []byte
	for line := range strings.Lines(dump) {
		digits, _, _ := strings.Cut(line, ";")
		b, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		documented = append(documented, b...)
	}
	if want := exampleSegment(); !bytes.Equal(documented, want) {
		t.Errorf("the document's example is not what the engine writes:\n%s", hex.Dump(want))
	}
	h, err := parseSegmentHeader(documented)
	if err != nil {
		t.Fatal(err)
	}
	w := newWalker(memoryFile{bytes.NewReader(documented)}, name, h.seed(), segmentHeaderSize, int64(len(documented)))
	g, err := w.group(1)
	if err != nil || g.bodies != 1 || w.offset != int64(len(documented)) {
		t.Errorf("the example reads as %+v, %v", g, err)
	}
}

func TestBodyEntry(t *testing.T) {
	t.Parallel()
	for _, e := range []bodyEntry{
		{},
		{refs: 1, length: 5, sum: 0xdeadbeef},
		{codec: 3, segment: 1 << 40, offset: 1 << 50, length: 1 << 40, sum: 1, refs: 1 << 33},
	} {
		got, err := parseBodyEntry(e.encode())
		if err != nil || got != e {
			t.Errorf("%+v reads as %+v, %v", e, got, err)
		}
		if b, ok := blobOfKey(bodyKey(engine.Blob(e.refs))); !ok || uint64(b) != e.refs {
			t.Errorf("key of blob %d reads as %d", e.refs, b)
		}
	}
}

// FuzzRecords walks anything as if it were a segment: no octet of it may make
// the walk fail otherwise than by saying where it stopped, or read outside.
func FuzzRecords(f *testing.F) {
	f.Add(exampleSegment())
	f.Add(exampleSegment()[:100])
	f.Add(append(exampleSegment(), make([]byte, 100)...)) // written ahead
	f.Add([]byte(segmentMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseSegmentHeader(b)
		if err != nil {
			h = segmentHeader{number: 1, salt: 0x0123456789abcdef}
		}
		limit := int64(len(b))
		w := newWalker(memoryFile{bytes.NewReader(b)}, "fuzz", h.seed(), min(segmentHeaderSize, limit), limit)
		for seq := h.firstSeq; w.offset < limit; seq++ {
			at := w.offset
			g, err := w.group(seq)
			if err != nil {
				if !errors.Is(err, errNotWhole) {
					t.Fatalf("at %d: %v", at, err)
				}
				return
			}
			if w.offset <= at || w.offset > limit {
				t.Fatalf("went from %d to %d of %d", at, w.offset, limit)
			}
			_ = eachChange(g.changes, func(key, value []byte) error { return nil })
		}
	})
}

// FuzzChanges reads anything as a list of changes; what reads well must read
// the same after it is written again.
func FuzzChanges(f *testing.F) {
	var a arena
	list := appendChange(nil, a.item([]byte("key"), []byte("value"), itemValue))
	f.Add(appendChange(list, a.item([]byte("gone"), nil, itemDeleted)))
	f.Add([]byte{1, 'k', 1})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		var a arena
		err := eachChange(b, func(key, value []byte) error {
			kind := uint8(itemValue)
			if value == nil {
				kind = itemDeleted
			}
			again = appendChange(again, a.item(key, value, kind))
			return nil
		})
		if err == nil && len(again) > len(b) {
			t.Errorf("%x reads well but is written as %x", b, again)
		}
		if err != nil && !errors.Is(err, errChanges) {
			t.Errorf("%x: %v", b, err)
		}
	})
}

func FuzzBodyEntry(f *testing.F) {
	f.Add(bodyEntry{segment: 7, offset: 64, length: 1000, sum: 5, refs: 2}.encode())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseBodyEntry(b)
		if err != nil {
			return
		}
		if again, err := parseBodyEntry(e.encode()); err != nil || again != e {
			t.Errorf("%x reads as %+v and then as %+v, %v", b, e, again, err)
		}
		if e.offset < 0 || e.length < 0 {
			t.Errorf("%x reads as %+v", b, e)
		}
	})
}
