package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"tripost/store/engine"
)

// index is the bbolt file: every key as of the last checkpoint, and in a
// bucket beside them how far in the journal that was.
type index struct {
	db   *bbolt.DB
	name string
}

var (
	bucketKeys = []byte("keys")
	bucketMeta = []byte("meta")

	metaFormat     = []byte("format")
	metaCheckpoint = []byte("checkpoint")
)

// position is a place in the journal: everything up to it, and nothing after.
type position struct {
	segment uint64
	offset  int64
	seq     uint64 // of the last group before it
}

func (p position) String() string {
	return fmt.Sprintf("%s offset %d", segmentName(p.segment), p.offset)
}

// checkpoint is what the index file knows about the journal.
type checkpoint struct {
	position
	nextBlob uint64 // no blob number from here on was given out before it
}

func (c checkpoint) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, c.segment)
	b = binary.BigEndian.AppendUint64(b, uint64(c.offset))
	b = binary.BigEndian.AppendUint64(b, c.seq)
	return binary.BigEndian.AppendUint64(b, c.nextBlob)
}

func parseCheckpoint(b []byte) (checkpoint, error) {
	if len(b) != 32 {
		return checkpoint{}, fmt.Errorf("%w: checkpoint of %d octets", engine.ErrDamaged, len(b))
	}
	return checkpoint{
		position: position{
			segment: binary.BigEndian.Uint64(b),
			offset:  int64(binary.BigEndian.Uint64(b[8:])),
			seq:     binary.BigEndian.Uint64(b[16:]),
		},
		nextBlob: binary.BigEndian.Uint64(b[24:]),
	}, nil
}

// openBolt opens or creates a bbolt file. It asks for as much address space as
// the options say, and for less where the system refuses.
func openBolt(name string, o Options) (*bbolt.DB, error) {
	bo := *bbolt.DefaultOptions
	bo.Timeout = max(o.LockTimeout, 1)
	bo.FreelistType = bbolt.FreelistMapType
	bo.NoFreelistSync = false
	bo.PageSize = 4096
	bo.NoStatistics = true
	sizes := []int64{o.IndexMap, 1 << 30, 0}
	var err error
	for _, size := range sizes {
		if size > o.IndexMap || int64(int(size)) != size {
			continue
		}
		bo.InitialMmapSize = int(size)
		var db *bbolt.DB
		if db, err = bbolt.Open(name, 0o600, &bo); err == nil {
			db.AllocSize = o.IndexGrow
			return db, nil
		}
		if !errors.Is(err, syscall.ENOMEM) && !errors.Is(err, syscall.EINVAL) {
			break
		}
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%w: another process has %q", engine.ErrInUse, name)
	}
	return nil, fmt.Errorf("opening index %q: %w", name, err)
}

// createIndex makes an index file with nothing in it, whole or not at all.
func createIndex(name string, o Options) error {
	fresh := name + ".new"
	if err := o.FS.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := openBolt(fresh, o)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucket(bucketKeys); err != nil {
			return err
		}
		meta, err := tx.CreateBucket(bucketMeta)
		if err != nil {
			return err
		}
		if err := meta.Put(metaFormat, binary.BigEndian.AppendUint32(nil, formatVersion)); err != nil {
			return err
		}
		if err := meta.Put(metaTally, (&tally{}).encode()); err != nil {
			return err
		}
		return meta.Put(metaCheckpoint, checkpoint{nextBlob: 1}.encode())
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("creating index %q: %w", name, err)
	}
	return o.FS.Rename(fresh, name)
}

func openIndex(name string, o Options) (*index, error) {
	if _, err := os.Stat(name); err != nil {
		return nil, fmt.Errorf("%w: index: %w", engine.ErrDamaged, err)
	}
	var x *index
	err := guarded(name, func() error {
		db, err := openBolt(name, o)
		if err == nil {
			x = &index{db: db, name: name}
		}
		return err
	})
	return x, err
}

// load reads the format version and the checkpoint.
func (x *index) load() (format uint32, cp checkpoint, err error) {
	err = x.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil || tx.Bucket(bucketKeys) == nil {
			return fmt.Errorf("%w: index %q has no buckets", engine.ErrDamaged, x.name)
		}
		b := meta.Get(metaFormat)
		if len(b) != 4 {
			return fmt.Errorf("%w: index %q has no format", engine.ErrDamaged, x.name)
		}
		format = binary.BigEndian.Uint32(b)
		cp, err = parseCheckpoint(meta.Get(metaCheckpoint))
		return err
	})
	return format, cp, err
}

// write puts an overlay, the position it reaches to and the tally there into the
// index, in one transaction.
func (x *index) write(fs FS, f *frozen) error {
	return fs.CommitIndex(x.name, func() error {
		return guarded(indexName, func() error {
			return x.db.Update(func(tx *bbolt.Tx) error { return fill(tx, f) })
		})
	})
}

func fill(tx *bbolt.Tx, f *frozen) error {
	keys := tx.Bucket(bucketKeys)
	// Most keys ascend within their mailbox; full pages then stay full.
	keys.FillPercent = 0.9
	var it treeIter
	for it.seek(f.root, nil); it.item() != nil; it.next() {
		if err := applyItem(keys, it.item()); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	if f.tally == nil {
		if err := meta.Delete(metaTally); err != nil {
			return err
		}
	} else if err := meta.Put(metaTally, f.tally.encode()); err != nil {
		return err
	}
	return meta.Put(metaCheckpoint, f.upTo.encode())
}

func applyItem(keys *bbolt.Bucket, it *item) error {
	if it.kind == itemDeleted {
		return keys.Delete(it.key)
	}
	return keys.Put(it.key, it.value)
}

// copyTo writes a consistent copy of the index file, durable when it returns.
func (x *index) copyTo(fs FS, name string) (checkpoint, error) {
	var cp checkpoint
	f, err := fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return cp, err
	}
	err = x.db.View(func(tx *bbolt.Tx) error {
		if cp, err = parseCheckpoint(tx.Bucket(bucketMeta).Get(metaCheckpoint)); err != nil {
			return err
		}
		return writeIndex(tx, &offsetWriter{w: f})
	})
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return cp, fmt.Errorf("copying index to %q: %w", name, err)
	}
	return cp, nil
}

// writeIndex writes the file that tx sees.
func writeIndex(tx *bbolt.Tx, w *offsetWriter) error {
	if _, err := tx.WriteTo(w); err != nil {
		return errors.Join(w.err, err) // bbolt's error only quotes the cause
	}
	return nil
}

// offsetWriter writes one piece behind the other, and remembers what failed.
type offsetWriter struct {
	w   File
	off int64
	err error
}

func (o *offsetWriter) Write(b []byte) (int, error) {
	n, err := o.w.WriteAt(b, o.off)
	o.off += int64(n)
	o.err = err
	return n, err
}
