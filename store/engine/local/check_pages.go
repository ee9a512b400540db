package local

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// pageWalk follows the pages of a bbolt file as they lie on disk, as of one
// commit: every number and length must stay inside, keys must ascend, and every
// page must be used once or be free. bbolt's own check does not do here: it ends
// the process where a number leads out of the file, and no commit may run beside
// it. This one may run while the transaction that it looks at is open.
//
// A page is a header (number 8, flags 2, count 2, pages that follow it 4) and
// as many elements of 16 octets. A branch element is the position of its key
// from the element 4, its length 4, and a page 8; a leaf element is flags 4,
// position 4, key length 4, value length 4, the value behind the key. A bucket
// is a leaf element with flag 1, whose value begins with its root page 8 and a
// counter 8; with root 0 its only page lies behind them. The integers have the
// machine's order.
type pageWalk struct {
	ctx    context.Context
	file   io.ReaderAt
	pages  uint64 // how many the commit has
	used   pageSet
	report func(page uint64, text string)
}

const (
	pageSize       = 4096
	pageHeaderSize = 16
	pageElement    = 16
	pageBranch     = 0x01
	pageLeaf       = 0x02
	pageFreeList   = 0x10
	pageDepth      = 64
	bucketFlag     = 0x01
	bucketHeader   = 16
)

var machineOrder = binary.NativeEndian

// pageSet is a set of page numbers: a bit for each, since an index of 10 GiB
// has millions.
type pageSet []uint64

func newPageSet(pages uint64) pageSet { return make(pageSet, (pages+63)/64) }

func (s pageSet) has(page uint64) bool { return s[page/64]&(1<<(page%64)) != 0 }

// add reports false when the page was there already.
func (s pageSet) add(page uint64) bool {
	if s.has(page) {
		return false
	}
	s[page/64] |= 1 << (page % 64)
	return true
}

// follow reads a page and those below it. Its keys are from lo on and below hi;
// nil is no bound.
func (w *pageWalk) follow(page uint64, depth int, lo, hi []byte) {
	if w.ctx.Err() != nil {
		return
	}
	if depth > pageDepth {
		w.report(page, "pages are nested too deeply")
		return
	}
	b, err := w.read(page)
	if err != nil {
		w.report(page, err.Error())
		return
	}
	w.elements(page, b, depth, lo, hi)
}

// read returns a page with those that continue it, and notes that they are
// used.
func (w *pageWalk) read(page uint64) ([]byte, error) {
	if page < 2 || page >= w.pages {
		return nil, errors.New("page number leads out of the file")
	}
	header := make([]byte, pageHeaderSize)
	if _, err := w.file.ReadAt(header, int64(page)*pageSize); err != nil {
		return nil, err
	}
	if id := machineOrder.Uint64(header); id != page {
		return nil, fmt.Errorf("says that it is page %d", id)
	}
	following := uint64(machineOrder.Uint32(header[12:]))
	if following >= w.pages-page {
		return nil, errors.New("continues behind the end of the file")
	}
	for p := page; p <= page+following; p++ {
		if !w.used.add(p) {
			return nil, fmt.Errorf("page %d is used twice", p)
		}
	}
	b := make([]byte, (1+following)*pageSize)
	_, err := w.file.ReadAt(b, int64(page)*pageSize)
	return b, err
}

// elements checks a page's table, and follows what it names.
func (w *pageWalk) elements(page uint64, b []byte, depth int, lo, hi []byte) {
	flags, count := machineOrder.Uint16(b[8:]), int(machineOrder.Uint16(b[10:]))
	switch {
	case flags != pageBranch && flags != pageLeaf:
		w.report(page, fmt.Sprintf("is neither branch nor leaf: %#x", flags))
		return
	case pageHeaderSize+count*pageElement > len(b):
		w.report(page, fmt.Sprintf("has no room for its %d elements", count))
		return
	case flags == pageBranch && count == 0:
		w.report(page, "is a branch to nowhere")
		return
	}
	keys := make([][]byte, count)
	for i := range keys {
		var ok bool
		if keys[i], ok = elementKey(b, flags, i); !ok {
			w.report(page, "a key or value leads out of the page")
			return
		}
	}
	w.order(page, keys, lo, hi)
	for i, key := range keys {
		if flags == pageLeaf {
			w.bucket(page, b, i, key, depth)
			continue
		}
		below := hi
		if i+1 < count {
			below = keys[i+1]
		}
		w.follow(machineOrder.Uint64(b[pageHeaderSize+i*pageElement+8:]), depth+1, key, below)
	}
}

// elementKey returns the key of element i, and false where it, or the value of
// a leaf's element behind it, is not in the page.
func elementKey(b []byte, flags uint16, i int) ([]byte, bool) {
	at := uint64(pageHeaderSize + i*pageElement)
	position, length, value := machineOrder.Uint32(b[at:]), machineOrder.Uint32(b[at+4:]), uint32(0)
	if flags == pageLeaf {
		position, length, value = machineOrder.Uint32(b[at+4:]), machineOrder.Uint32(b[at+8:]), machineOrder.Uint32(b[at+12:])
	}
	from := at + uint64(position)
	if from+uint64(length)+uint64(value) > uint64(len(b)) {
		return nil, false
	}
	return b[from : from+uint64(length)], true
}

// order checks that keys ascend, and are where their page's parent leads to.
func (w *pageWalk) order(page uint64, keys [][]byte, lo, hi []byte) {
	for i, key := range keys {
		if i > 0 && bytes.Compare(keys[i-1], key) >= 0 {
			w.report(page, fmt.Sprintf("key %x is not above the one before", key))
			return
		}
	}
	if n := len(keys); n > 0 && (bytes.Compare(keys[0], lo) < 0 || hi != nil && bytes.Compare(keys[n-1], hi) >= 0) {
		w.report(page, fmt.Sprintf("key %x or %x belongs to another page", keys[0], keys[n-1]))
	}
}

// bucket follows a leaf's element if it is a bucket.
func (w *pageWalk) bucket(page uint64, b []byte, i int, key []byte, depth int) {
	element := b[pageHeaderSize+i*pageElement:]
	if machineOrder.Uint32(element)&bucketFlag == 0 {
		return
	}
	from := uint64(machineOrder.Uint32(element[4:])) + uint64(len(key))
	bucket := element[from : from+uint64(machineOrder.Uint32(element[12:]))]
	switch {
	case len(bucket) < bucketHeader:
		w.report(page, "a bucket is too short")
	case machineOrder.Uint64(bucket) != 0:
		w.follow(machineOrder.Uint64(bucket), depth+1, nil, nil)
	case len(bucket) < bucketHeader+pageHeaderSize:
		w.report(page, "a bucket's page is too short")
	case depth > pageDepth:
		w.report(page, "pages are nested too deeply")
	default:
		w.elements(page, bucket[bucketHeader:], depth+1, nil, nil)
	}
}
