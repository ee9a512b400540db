package local

import (
	"errors"
	"fmt"
	"math"
	"os"

	"go.etcd.io/bbolt"
)

// indexState is the index file as of one commit. While tx is open no later
// commit writes to the pages of that one.
type indexState struct {
	tx       *bbolt.Tx
	file     *os.File
	root     uint64 // page of the bucket of buckets
	freeList uint64 // page of the free list
	pages    uint64 // all pages from here on are none
}

// pages checks the index file's own structure. Checkpoints go on meanwhile:
// Updates wait for them once the overlay is long.
func (c *checker) pages() error {
	s, err := c.indexNow()
	if err != nil {
		return err
	}
	defer s.close()
	c.result.DiskOctets += s.tx.Size()
	sound := true
	w := &pageWalk{
		ctx: c.ctx, file: s.file, pages: s.pages, used: newPageSet(s.pages),
		report: func(page uint64, text string) {
			sound = false
			c.fault(fmt.Sprintf("%s page %d", indexName, page), "%s", text)
		},
	}
	w.follow(s.root, 0, nil, nil)
	if err := c.ctx.Err(); err != nil || !sound {
		return err // what a faulty page leads to is not lost for sure
	}
	w.free(s.freeList)
	return c.ctx.Err()
}

// indexNow returns the index as it is. Only here no commit may come between:
// the second one would write over the page that tells where the others are.
func (c *checker) indexNow() (_ *indexState, err error) {
	c.e.checkpoints.mu.Lock()
	defer c.e.checkpoints.mu.Unlock()
	s := &indexState{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	x := c.e.index
	if s.file, err = os.Open(x.name); err != nil {
		return nil, err
	}
	if s.tx, err = x.db.Begin(false); err != nil {
		return nil, err
	}
	return s, s.readMeta()
}

func (s *indexState) close() {
	if s.tx != nil {
		// A read-only transaction has nothing to lose.
		_ = s.tx.Rollback()
	}
	if s.file != nil {
		s.file.Close()
	}
}

// readMeta reads the transaction's meta page: one of the first two, mostly in
// turn, but in a copy of the file always the first. Behind the page header it
// has: magic 4, version 4, page size 4, flags 4, root bucket 16, free list 8,
// pages 8, transaction 8, checksum 8.
func (s *indexState) readMeta() error {
	number := uint64(s.tx.ID())
	b := make([]byte, 2*pageSize)
	if _, err := s.file.ReadAt(b, 0); err != nil {
		return err
	}
	meta := b[pageHeaderSize:]
	if machineOrder.Uint64(meta[48:]) != number {
		meta = meta[pageSize:]
	}
	if machineOrder.Uint64(meta[48:]) != number {
		return damaged(indexName, 0, fmt.Sprintf("neither of the first pages is that of transaction %d", number))
	}
	s.root = machineOrder.Uint64(meta[16:])
	s.freeList = machineOrder.Uint64(meta[32:])
	s.pages = uint64(s.tx.Size()) / pageSize
	info, err := s.file.Stat()
	if err == nil && info.Size() < s.tx.Size() {
		err = damaged(indexName, info.Size(), fmt.Sprintf("file ends here, but has %d pages", s.pages))
	}
	return err
}

// noFreeList is the page number of a free list that was not written, as other
// programs leave it.
const noFreeList = math.MaxUint64

// free checks that every page which is not used is free, and no other.
func (w *pageWalk) free(page uint64) {
	if page == noFreeList {
		return
	}
	b, err := w.read(page)
	if err != nil {
		w.report(page, err.Error())
		return
	}
	ids, err := freeIDs(b)
	if err != nil {
		w.report(page, err.Error())
		return
	}
	free := newPageSet(w.pages)
	for ; len(ids) > 0; ids = ids[8:] {
		switch id := machineOrder.Uint64(ids); {
		case id < 2 || id >= w.pages:
			w.report(page, fmt.Sprintf("free page %d leads out of the file", id))
		case w.used.has(id):
			w.report(id, "is used and free")
		case !free.add(id):
			w.report(id, "is free twice")
		}
	}
	for id := uint64(2); id < w.pages; id++ {
		if !w.used.has(id) && !free.has(id) {
			w.report(id, "is neither used nor free")
		}
	}
}

// freeIDs returns the page numbers of a free list, eight octets each. From
// 65,535 on their count stands before the first.
func freeIDs(b []byte) ([]byte, error) {
	if flags := machineOrder.Uint16(b[8:]); flags != pageFreeList {
		return nil, fmt.Errorf("is not a free list: %#x", flags)
	}
	count, ids := uint64(machineOrder.Uint16(b[10:])), b[pageHeaderSize:]
	if count == math.MaxUint16 {
		count, ids = machineOrder.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids))/8 {
		return nil, errors.New("has no room for its free pages")
	}
	return ids[:count*8], nil
}
