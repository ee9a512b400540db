package local

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"tripost/store/engine"
)

// Backup writes a copy of the store into dir, which must be empty or not there
// yet. The copy is the state at one moment, and opens like any store; updates
// go on meanwhile. Files that never change again are shared by hard links where
// the file system can: with the store, or else with before, an earlier copy.
func (e *Engine) Backup(ctx context.Context, dir, before string) error {
	if err := e.running.enter(); err != nil {
		return err
	}
	defer e.running.leave()
	e.segments.pin()
	defer e.segments.unpin()
	b := &backup{ctx: ctx, e: e, fs: e.o.FS, dir: dir, before: before}
	if err := guarded(indexName, b.run); err != nil {
		return fmt.Errorf("backup to %q: %w", dir, err)
	}
	return nil
}

// backup is one run of Backup. Until it is done no file of the store goes away.
type backup struct {
	ctx    context.Context
	e      *Engine
	fs     FS
	dir    string
	before string // an earlier copy; empty: none

	layers layers // the moment, with the index as it was
	end    position
	notes  map[uint64]segmentNote
}

func (b *backup) run() error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.layers.tx.Rollback()
	for _, part := range []func() error{b.index, b.segments, b.large} {
		if err := part(); err != nil {
			return err
		}
	}
	for _, sub := range []string{journalDir, largeDir} {
		if err := b.fs.SyncDir(filepath.Join(b.dir, sub)); err != nil {
			return err
		}
	}
	// Last, as when a store is created: without it the copy is none.
	return writeFormat(b.dir, formatVersion, b.fs)
}

// begin takes the moment, between two groups.
func (b *backup) begin() error {
	for _, sub := range []string{"", journalDir, largeDir} {
		if err := b.fs.MkdirAll(filepath.Join(b.dir, sub), 0o700); err != nil {
			return err
		}
	}
	for sub, allowed := range map[string]int{"": 2, journalDir: 0, largeDir: 0} {
		entries, err := b.fs.ReadDir(filepath.Join(b.dir, sub))
		if err != nil {
			return err
		}
		if len(entries) > allowed {
			return fmt.Errorf("directory is not empty: %w", os.ErrExist)
		}
	}
	var err error
	stopped := b.e.onCommitter(func() {
		b.layers, err = b.e.layersNow()
		b.notes = b.e.segments.notes()
		b.end = b.e.committer.journal.end
	})
	return errors.Join(stopped, err)
}

// index copies the index as of the moment, which reaches at most to its end of
// the journal.
func (b *backup) index() error {
	return b.write(indexName, func(w *offsetWriter) error { return writeIndex(b.layers.tx, w) })
}

func (b *backup) segments() error {
	for number, note := range b.notes {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		name := filepath.Join(journalDir, segmentName(number))
		if number != b.end.segment && (b.link(name) == nil || b.sameSegment(name, number, note.size)) {
			continue
		}
		if err := b.segment(name, number, note.size); err != nil {
			return err
		}
	}
	return nil
}

func (b *backup) segment(name string, number uint64, size int64) error {
	seg, err := b.e.segments.acquire(number)
	if err != nil {
		return err
	}
	defer b.e.segments.release(seg)
	return b.write(name, func(w *offsetWriter) error {
		_, err := io.Copy(w, io.NewSectionReader(seg.file, 0, size))
		return err
	})
}

// large copies the bodies with files of their own.
func (b *backup) large() error {
	if b.e.segments.doubted() {
		return b.allFiles()
	}
	for it, err := range b.layers.forward(bodyFirst, bodyEnd) {
		if err != nil {
			return err
		}
		blob, ok := blobOfKey(it.Key)
		entry, err := parseBodyEntry(it.Value)
		if !ok || err != nil || entry.segment != 0 {
			continue
		}
		if err := b.ctx.Err(); err != nil {
			return err
		}
		if err := b.largeFile(blob, entry); err != nil {
			return err
		}
	}
	return nil
}

func (b *backup) largeFile(blob engine.Blob, entry bodyEntry) error {
	name := filepath.Join(largeDir, largeName(blob))
	if b.link(name) == nil || b.sameLarge(name, entry) {
		return nil
	}
	opened, err := b.e.openEntry(blob, entry)
	if err != nil {
		return err
	}
	defer opened.Close()
	return b.write(name, func(w *offsetWriter) error {
		_, err := opened.WriteTo(w)
		return err
	})
}

// allFiles copies the body files without asking the body map, which is damaged,
// except for those that it need not know.
func (b *backup) allFiles() error {
	files, err := b.e.largeOnDisk()
	if err != nil {
		return err
	}
	for blob := range files {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		if _, err := b.layers.entry(blob); errors.Is(err, engine.ErrNoBlob) && b.e.large.expects(blob) {
			continue
		}
		if err := b.wholeFile(blob); err != nil {
			return err
		}
	}
	return nil
}

func (b *backup) wholeFile(blob engine.Blob) error {
	name := filepath.Join(largeDir, largeName(blob))
	if b.link(name) == nil {
		return nil
	}
	f, err := b.fs.OpenFile(b.e.largePath(blob), os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return err
	}
	return b.write(name, func(w *offsetWriter) error {
		_, err := io.Copy(w, io.NewSectionReader(f, 0, size))
		return err
	})
}

// link shares a file with the store. Where that fails, it is copied.
func (b *backup) link(name string) error {
	return b.fs.Link(filepath.Join(b.e.dir, name), filepath.Join(b.dir, name))
}

// sameSegment shares a segment with the earlier copy when it is the same there:
// the salt in the header is the segment's own, and what follows never changes
// once it is written.
func (b *backup) sameSegment(name string, number uint64, size int64) bool {
	return b.same(name, size, func(earlier File) bool {
		seg, err := b.e.segments.acquire(number)
		if err != nil {
			return false
		}
		defer b.e.segments.release(seg)
		var there, here [segmentHeaderSize]byte
		_, err = earlier.ReadAt(there[:], 0)
		_, err2 := seg.file.ReadAt(here[:], 0)
		return err == nil && err2 == nil && there == here
	})
}

// sameLarge shares a body's file with the earlier copy when the octets there
// have the same checksum.
func (b *backup) sameLarge(name string, entry bodyEntry) bool {
	return b.same(name, entry.length, func(earlier File) bool {
		sum := crc32.New(castagnoli)
		_, err := io.Copy(sum, io.NewSectionReader(earlier, 0, entry.length))
		return err == nil && sum.Sum32() == entry.sum
	})
}

// same links a file of the earlier copy when it has this size and passes the
// comparison.
func (b *backup) same(name string, size int64, compare func(File) bool) bool {
	if b.before == "" {
		return false
	}
	f, err := b.fs.OpenFile(filepath.Join(b.before, name), os.O_RDONLY, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	if n, err := f.Size(); err != nil || n != size || !compare(f) {
		return false
	}
	return b.fs.Link(filepath.Join(b.before, name), filepath.Join(b.dir, name)) == nil
}

// write makes one file of the copy, durable when it returns.
func (b *backup) write(name string, content func(*offsetWriter) error) error {
	return writeDurably(b.fs, filepath.Join(b.dir, name), content)
}

// writeDurably makes a file that is on disk when it returns.
func writeDurably(fs FS, name string, content func(*offsetWriter) error) error {
	f, err := fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = content(&offsetWriter{w: f})
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
