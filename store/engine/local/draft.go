package local

import (
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"

	"tripost/store/engine"
)

// draft collects a new body: in memory, or in a file of its own once it is
// large. Between Update's call and its return the committer uses it, else its
// owner does.
type draft struct {
	e      *Engine
	size   int64
	sum    uint32 // CRC32C so far
	memory []byte
	large  bool // it was said to be large: nothing of it stays in memory
	file   File // of a large one
	name   string
	blob   engine.Blob // once it has a number; running the function again gives the same
	err    error       // of a write or sync: the draft is lost

	synced    bool // file and its name are durable
	kept      bool // in the group being built, or committed
	committed bool
	doubtful  bool // in a group that was refused but may be on disk
	closed    bool
}

// Draft makes room for a new body; see [engine.Engine].
func (e *Engine) Draft(ctx context.Context, size int64) (engine.Draft, error) {
	if err := e.running.enter(); err != nil {
		return nil, err
	}
	defer e.running.leave()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := e.readOnly(); err != nil {
		return nil, err
	}
	d := &draft{e: e, large: size >= int64(e.o.LargeBody)}
	if !d.large {
		d.memory = takeBuffer(int(max(size, 0)))
	}
	return d, nil
}

// Size returns the octets written so far.
func (d *draft) Size() int64 { return d.size }

// Write adds octets.
func (d *draft) Write(b []byte) (int, error) {
	switch {
	case d.closed:
		return 0, fmt.Errorf("%w: it is closed", errDraft)
	case d.kept:
		return 0, fmt.Errorf("%w: written to after it was kept", errDraft)
	case d.err != nil:
		return 0, d.err
	}
	if d.file == nil && !d.large && d.size+int64(len(b)) < int64(d.e.o.LargeBody) {
		d.memory = growBuffer(d.memory, len(b))
		d.memory = append(d.memory, b...)
	} else if err := d.writeFile(b); err != nil {
		d.err = err
		return 0, err
	}
	d.size += int64(len(b))
	d.sum = crc32.Update(d.sum, castagnoli, b)
	return len(b), nil
}

func (d *draft) writeFile(b []byte) error {
	if err := d.e.running.enter(); err != nil {
		return err
	}
	defer d.e.running.leave()
	if err := d.e.readOnly(); err != nil {
		return err
	}
	if d.file == nil {
		if err := d.spill(); err != nil {
			return d.e.failLarge(fmt.Errorf("creating %q: %w", d.name, err))
		}
	}
	if _, err := d.file.WriteAt(b, d.size); err != nil {
		return d.e.failLarge(fmt.Errorf("writing to %q: %w", d.name, err))
	}
	d.synced = false
	return nil
}

// spill moves what is in memory to a file of its own.
func (d *draft) spill() error {
	d.blob = d.e.newBlob()
	d.name = d.e.largePath(d.blob)
	d.e.drafting(d.blob)
	f, err := d.e.o.FS.OpenFile(d.name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	d.file = f
	if len(d.memory) > 0 {
		if _, err := f.WriteAt(d.memory, 0); err != nil {
			return err
		}
	}
	giveBuffer(d.memory)
	d.memory = nil
	return nil
}

// sync makes a large draft durable, before any commit can name it.
func (d *draft) sync() error {
	if d.err != nil || d.synced {
		return d.err
	}
	d.e.syncs.Add(2)
	err := d.file.Sync()
	if err == nil {
		err = d.e.o.FS.SyncDir(filepath.Dir(d.name))
	}
	if err != nil {
		d.err = d.e.failLarge(fmt.Errorf("syncing %q: %w", d.name, err))
		return d.err
	}
	d.synced = true
	return nil
}

// keepable reports why the draft cannot become a blob, if so.
func (d *draft) keepable() error {
	switch {
	case d.err != nil:
		return d.err
	case d.kept:
		return fmt.Errorf("%w: it was kept already", errDraft)
	case d.closed:
		return fmt.Errorf("%w: it is closed", errDraft)
	}
	return nil
}

// commit notes that the blob is durable.
func (d *draft) commit() { d.committed = true }

// doubt notes that the draft's group was refused. Until the journal goes on
// elsewhere, a crash might still bring that group back: a file that it names
// must be there.
func (d *draft) doubt() {
	d.kept = false
	d.doubtful = d.file != nil
}

// Close discards the octets unless they are a blob now. After the engine's
// Close the files are another's, who may have given the number to another body:
// the file stays, and the next opening finds that no blob has it.
func (d *draft) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	giveBuffer(d.memory)
	d.memory = nil
	if d.name == "" {
		return nil
	}
	if d.file != nil {
		// What counts was synced; what was not is discarded.
		_ = d.file.Close()
	}
	if d.e.running.enter() != nil {
		return nil
	}
	defer d.e.running.leave()
	if d.committed {
		d.e.settled(d.blob)
	} else {
		d.e.discard(d.blob, d.doubtful)
	}
	return nil
}

// Buffers for bodies, by size class, so that many small drafts do not each
// hold room for a large one.
var bufferClasses = [...]struct {
	size int
	pool *sync.Pool
}{
	{8 << 10, &sync.Pool{}},
	{64 << 10, &sync.Pool{}},
	{256 << 10, &sync.Pool{}},
}

func takeBuffer(size int) []byte {
	for _, c := range bufferClasses {
		if size <= c.size {
			if b, ok := c.pool.Get().(*[]byte); ok {
				return (*b)[:0]
			}
			return make([]byte, 0, c.size)
		}
	}
	return make([]byte, 0, size)
}

func giveBuffer(b []byte) {
	for _, c := range bufferClasses {
		if cap(b) == c.size {
			c.pool.Put(&b)
		}
	}
}

// growBuffer returns b with room for n more octets.
func growBuffer(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	bigger := append(takeBuffer(max(len(b)+n, 2*cap(b))), b...)
	giveBuffer(b)
	return bigger
}
