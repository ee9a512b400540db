// Package engine is the contract between the mail store and the thing that
// keeps its bytes: an ordered key space with serialisable transactions, and
// immutable blobs beside it. Nothing above this package knows which engine
// runs. The suite in enginetest holds for every one of them.
//
// # Promises
//
//   - When [Engine.Update] returns nil, all that its function did is on stable
//     storage; when it returns an error, none of it is visible, now or later.
//   - A [Engine.View] sees one state in which each Update is whole or absent,
//     and only states that are on stable storage.
//   - A blob's octets never change. They can be read while at least one
//     reference to it exists, and through a [Body] opened before the last one
//     went.
//   - After a write or sync that failed, the engine takes no more updates
//     ([ErrReadOnly]) until it knows that writing works again. Reads go on.
package engine

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Errors that callers may test for with [errors.Is].
var (
	// ErrReadOnly is returned by Update and by writes to a Draft while the
	// engine refuses to write. It wraps the failure that made it so.
	ErrReadOnly = errors.New("store is read-only")
	// ErrClosed is returned by every operation after Close.
	ErrClosed = errors.New("store is closed")
	// ErrNoBlob is returned for a blob that does not exist, or no longer.
	ErrNoBlob = errors.New("no such blob")
	// ErrDamaged is returned where stored octets fail their checksum.
	ErrDamaged = errors.New("stored data is damaged")
	// ErrInUse is returned on opening a store that another process holds.
	ErrInUse = errors.New("store is in use by another process")
	// ErrNewerFormat is returned on opening a store written by a later version.
	ErrNewerFormat = errors.New("store was written by a newer version")
)

// Item is one key and its value, read-only, valid until the function that the
// Reader was passed to returns.
type Item struct{ Key, Value []byte }

// Blob names immutable octets. The engine maps it to a place, so that the
// octets can move. Zero names none.
type Blob uint64

// Reader reads one state of the key space. It is not for concurrent use, and
// is valid only inside the function it was passed to.
type Reader interface {
	// Get returns the value of key, nil when there is none. An empty value is
	// returned as empty, not as nil.
	Get(key []byte) ([]byte, error)
	// Range yields the items with lo <= key < hi in ascending order; hi nil
	// means no upper bound. An error ends the sequence.
	Range(lo, hi []byte) iter.Seq2[Item, error]
	// Reverse yields the same items in descending order.
	Reverse(lo, hi []byte) iter.Seq2[Item, error]
	// References returns how many references the blob has in this state, 0 when
	// there is no such blob.
	References(b Blob) (int64, error)
}

// Tx is a Reader that sees its own writes. Slices passed in are kept until the
// commit: the caller must not change them afterwards. Keys of Range and Reverse
// loops may be put or deleted only after the loop has ended.
//
// Keys that begin with a zero octet belong to the engine: they cannot be put,
// and no Reader shows them.
type Tx interface {
	Reader
	// Put sets the value of key. What cannot be stored, such as an empty key or
	// one that is too long, fails the whole Update. Keys of up to 1,024 octets
	// and values of up to 1 MiB can always be stored; what is longer is a
	// blob's business.
	Put(key, value []byte)
	// Delete removes key, whether or not it is there.
	Delete(key []byte)
	// Keep makes the draft a blob with one reference. The draft stays the
	// caller's until the Update has returned nil; keeping one draft in two
	// Updates that both commit is an error of the second.
	Keep(d Draft) (Blob, error)
	// Share adds one reference to a blob that has at least one.
	Share(b Blob) error
	// Drop takes one reference away, and tells whether it was the last one,
	// which frees the octets some time after the commit.
	Drop(b Blob) (last bool, err error)
	// BlobSize returns the blob's length in octets.
	BlobSize(b Blob) (int64, error)
}

// Engine is safe for concurrent use.
type Engine interface {
	// View runs fn once on a state that is on stable storage. It blocks nobody
	// and is blocked by nobody. fn must not wait for the network: it collects,
	// returns, and the caller sends.
	View(ctx context.Context, fn func(Reader) error) error

	// Update runs fn as one atomic, isolated change and returns once it is
	// durable. fn may run more than once, so it must depend only on tx and on
	// constants, and must assign results rather than add them up. It must not
	// block, call Update, or end its goroutine. Its error undoes fn alone and is
	// returned as it is, unless what fn saw could not be written: then the error
	// is ErrReadOnly. A panic in fn becomes such an error. Many Updates may share
	// one sync.
	//
	// On an engine with several writers, isolation is serialisable between any
	// two Updates that write a common key. Hence the rule of the schema:
	// whoever changes anything in a mailbox or an account writes its state
	// record.
	//
	// A ctx that ends before fn has run withdraws the request; later the
	// outcome is awaited, so that the caller always knows it.
	Update(ctx context.Context, fn func(Tx) error) error

	// Draft makes room for new octets, outside any transaction. size is a hint
	// in octets, 0 when it is not known. A draft of which much is announced is
	// not held in memory.
	Draft(ctx context.Context, size int64) (Draft, error)

	// Open opens a blob for reading, as it is in the durable state. ErrNoBlob
	// when it has no reference there.
	Open(ctx context.Context, b Blob) (Body, error)

	// OpenAll opens several blobs with one look at the durable state. It calls fn
	// with each in turn, with a Body or the error that Open would give; the bodies
	// are the caller's to close. Its own error means that nothing could be looked
	// at: fn was not called.
	OpenAll(ctx context.Context, blobs []Blob, fn func(i int, b Body, err error)) error

	// Watch calls wake after each durable commit, by any process, that may have
	// changed key. Calls may be merged or come without need, but are never
	// lost. For a commit by this process they come before its Update returns,
	// so that whoever acts on the answer is not ahead of those who watch. wake
	// must not block. After stop has returned, wake is not called again.
	Watch(key []byte, wake func()) (stop func())

	// Check reads everything, reports each fault that it finds, and returns
	// what it counted. It changes nothing. An error means that the check itself
	// could not be done.
	Check(ctx context.Context, report func(Fault)) (CheckResult, error)

	// Compact gives the space of dropped blobs back, as far as that is worth
	// the work now, and returns the octets freed. ErrDamaged when damage makes
	// it unknown what is still needed.
	Compact(ctx context.Context) (int64, error)

	// Backup writes a copy of the store as it is at one moment into dir, which
	// must be empty or not there yet. The same kind of engine opens the copy.
	// Updates go on meanwhile. before names an earlier copy of this store, or
	// is empty: what is still the same there need not be written again.
	Backup(ctx context.Context, dir, before string) error

	// Status tells how the engine is.
	Status() Status

	// Close waits for running Updates, writes down what makes the next opening
	// quick, and releases everything.
	Close() error
}

// Draft collects the octets of a new blob. It is not for concurrent use. Close
// without a committed Keep discards the octets; after one it does nothing.
type Draft interface {
	io.WriteCloser
	// Size returns the octets written so far.
	Size() int64
}

// Body is an open blob. It stays readable until Close even when the last
// reference to it goes meanwhile. ReadAt may be called concurrently.
type Body interface {
	io.ReaderAt
	// WriteTo writes the whole blob and verifies its checksum as it goes; on a
	// mismatch it returns ErrDamaged, if need be after the octets have gone out.
	io.WriterTo
	io.Closer
	Size() int64
}

// Fault is one thing that Check found wrong.
type Fault struct {
	Place string // file and offset, or key
	Text  string
}

// CheckResult is what Check counted.
type CheckResult struct {
	Keys       int64
	Blobs      int64
	BlobOctets int64
	DiskOctets int64
}

// Status is a moment's picture of an engine.
type Status struct {
	Engine     string // "local", ...
	Format     int    // version of the format on disk
	ReadOnly   error  // why updates are refused; nil when they are not
	Commits    uint64 // commit groups since opening
	Updates    uint64 // Updates committed since opening
	Syncs      uint64 // syncs issued since opening
	DiskOctets int64  // on disk, index and bodies
	LiveOctets int64  // of blobs with a reference
	Opened     time.Time
	Recovered  string // what opening had to mend, in a sentence; empty after a clean stop
}
