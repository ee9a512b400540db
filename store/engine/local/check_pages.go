package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// pageWalk follows the pages of a bbolt file, as it lies on disk, and looks
// whether every number and length in them stays inside. bbolt's own check
// compares more, but ends the process where one leads out of the file: it runs
// after this one.
//
// A page is a header (number 8, flags 2, count 2, pages that follow it 4) and
// as many elements of 16 octets. A branch element is the position of its key
// from the element 4, its length 4, and a page 8; a leaf element is flags 4,
// position 4, key length 4, value length 4, the value behind the key. A bucket
// is a leaf element with flag 1, whose value begins with its root page 8 and a
// counter 8; with root 0 its only page lies behind them. The integers have the
// machine's order.
type pageWalk struct {
	file   io.ReaderAt
	pages  uint64 // in the file
	seen   map[uint64]bool
	report func(page uint64, text string)
}

const (
	pageSize       = 4096
	pageHeaderSize = 16
	pageElement    = 16
	pageBranch     = 0x01
	pageLeaf       = 0x02
	pageDepth      = 64
	bucketFlag     = 0x01
	bucketHeader   = 16
)

var machineOrder = binary.NativeEndian

// follow reads a page and those below it.
func (w *pageWalk) follow(page uint64, depth int) {
	switch {
	case page < 2 || page >= w.pages:
		w.report(page, "page number leads out of the file")
		return
	case w.seen[page]:
		w.report(page, "page is used twice")
		return
	case depth > pageDepth:
		w.report(page, "pages are nested too deeply")
		return
	}
	w.seen[page] = true
	b, err := w.read(page)
	if err != nil {
		w.report(page, err.Error())
		return
	}
	w.elements(page, b, depth)
}

// read returns a page with those that continue it.
func (w *pageWalk) read(page uint64) ([]byte, error) {
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
	b := make([]byte, (1+following)*pageSize)
	_, err := w.file.ReadAt(b, int64(page)*pageSize)
	return b, err
}

// elements checks a page's table, and follows what it names.
func (w *pageWalk) elements(page uint64, b []byte, depth int) {
	flags, count := machineOrder.Uint16(b[8:]), int(machineOrder.Uint16(b[10:]))
	if flags != pageBranch && flags != pageLeaf {
		w.report(page, fmt.Sprintf("is neither branch nor leaf: %#x", flags))
		return
	}
	if pageHeaderSize+count*pageElement > len(b) {
		w.report(page, fmt.Sprintf("has no room for its %d elements", count))
		return
	}
	for i := range count {
		at := pageHeaderSize + i*pageElement
		if flags == pageBranch {
			w.branch(page, b, at, depth)
		} else {
			w.leaf(page, b, at, depth)
		}
	}
}

func (w *pageWalk) branch(page uint64, b []byte, at, depth int) {
	position, length := machineOrder.Uint32(b[at:]), machineOrder.Uint32(b[at+4:])
	if !inside(b, at, uint64(position), uint64(length)) {
		w.report(page, "a key leads out of the page")
		return
	}
	w.follow(machineOrder.Uint64(b[at+8:]), depth+1)
}

func (w *pageWalk) leaf(page uint64, b []byte, at, depth int) {
	flags, position := machineOrder.Uint32(b[at:]), uint64(machineOrder.Uint32(b[at+4:]))
	key, value := uint64(machineOrder.Uint32(b[at+8:])), uint64(machineOrder.Uint32(b[at+12:]))
	if !inside(b, at, position, key+value) {
		w.report(page, "a key or value leads out of the page")
		return
	}
	if flags&bucketFlag == 0 {
		return
	}
	from := uint64(at) + position + key
	bucket := b[from : from+value]
	switch {
	case len(bucket) < bucketHeader:
		w.report(page, "a bucket is too short")
	case machineOrder.Uint64(bucket) != 0:
		w.follow(machineOrder.Uint64(bucket), depth+1)
	case len(bucket) < bucketHeader+pageHeaderSize:
		w.report(page, "a bucket's page is too short")
	default:
		w.elements(page, bucket[bucketHeader:], depth+1)
	}
}

// inside reports whether length octets, position behind the element at, are in
// the page.
func inside(b []byte, at int, position, length uint64) bool {
	return uint64(at)+position+length <= uint64(len(b))
}
