package syslog

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"
)

const (
	// maxWait is the longest that a caller waits for room in the queue or for a
	// serious record to be written.
	maxWait = 50 * time.Millisecond

	// closeWait is the longest that Close and Reopen wait for a disk that does
	// not answer.
	closeWait = 3 * time.Second

	defaultBuffer = 4 << 20
)

// Options say where and what to log.
type Options struct {
	Directory string           // of the files; made when missing; "-" is standard error
	Level     Level            // what is written when Levels has no entry for the tag
	Levels    map[string]Level // by tag
	JSON      bool             // JSON objects instead of text
	Keep      time.Duration    // files whose day ended longer ago are removed; 0 keeps them
	MaxSize   int64            // octets after which a file is followed by another of the same day; 0: no limit
	Buffer    int              // octets that may wait for the disk; 0: 4 MiB
	Now       func() time.Time // nil: time.Now
}

// Errors callers may test for with [errors.Is].
var (
	ErrClosed = errors.New("the log is closed")
	ErrStuck  = errors.New("the disk does not answer")
)

// Log is the System Log of one process.
type Log struct {
	json    bool
	discard bool // nothing is written, whatever the levels
	queue   *queue
	reopen  chan chan error
	stop    chan struct{} // closed by Close
	done    chan struct{} // closed when the writer has ended
	close   sync.Once

	mu      sync.Mutex // guards what follows
	sources map[string]*source
	level   Level
	levels  map[string]Level

	scratch sync.Pool
}

// Open opens the log and starts its writer, which runs until Close.
func Open(o Options) (*Log, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Buffer <= 0 {
		o.Buffer = defaultBuffer
	}
	out := &output{now: o.Now, dir: o.Directory, maxSize: o.MaxSize, keep: o.Keep}
	if err := out.start(); err != nil {
		return nil, err
	}
	l := newLog(o)
	w := &writer{queue: l.queue, out: out, json: o.JSON, complain: os.Stderr}
	go func() {
		defer close(l.done)
		w.run(l.reopen, l.stop)
	}()
	return l, nil
}

func newLog(o Options) *Log {
	l := &Log{
		json:    o.JSON,
		queue:   newQueue(o.Now, o.Buffer, o.JSON),
		reopen:  make(chan chan error),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
		sources: make(map[string]*source),
		level:   o.Level,
		levels:  maps.Clone(o.Levels),
	}
	l.scratch.New = func() any { return new(scratch) }
	return l
}

// Discard returns a log that writes nothing, for tests. It needs no Close.
func Discard() *Log {
	l := newLog(Options{Now: time.Now})
	l.discard = true
	close(l.done)
	return l
}

// Tag returns the logger for records of a module as a whole. Serial numbers of
// sessions go on from one call to the next.
func (l *Log) Tag(tag string) *Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sources[tag]
	if s == nil {
		s = &source{tag: tag}
		l.sources[tag] = s
		l.setLevel(s)
	}
	return &Logger{log: l, source: s, prefix: tag + " "}
}

// SetLevels changes what is written from now on: def, or what by says for a
// tag. Sessions under way follow.
func (l *Log) SetLevels(def Level, by map[string]Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.level, l.levels = def, maps.Clone(by)
	for _, s := range l.sources {
		l.setLevel(s)
	}
}

// setLevel brings one source up to date. The caller holds l.mu.
func (l *Log) setLevel(s *source) {
	level, ok := l.levels[s.tag]
	if !ok {
		level = l.level
	}
	if l.discard {
		level = off
	}
	s.level.Store(int32(level))
}

// record formats one record outside all locks and queues it.
func (l *Log) record(g *Logger, level Level, text string, fields []Field) {
	s := l.scratch.Get().(*scratch)
	if l.json {
		s.json(g, level, text, fields)
	} else {
		s.text(g, level, text)
	}
	l.queue.put(s.b, level)
	if cap(s.b) <= 2*maxText {
		l.scratch.Put(s)
	}
}

// Reopen closes the file and opens the file of the day by name, for the case
// that it was moved away (SIGHUP). Records logged before are in the old file.
func (l *Log) Reopen() error {
	if l.discard {
		return nil
	}
	timeout := time.NewTimer(closeWait)
	defer timeout.Stop()
	answer := make(chan error, 1)
	select {
	case l.reopen <- answer:
	case <-l.done:
		return fmt.Errorf("reopen the log: %w", ErrClosed)
	case <-timeout.C:
		return fmt.Errorf("reopen the log: %w", ErrStuck)
	}
	select {
	case err := <-answer:
		return err
	case <-timeout.C:
		return fmt.Errorf("reopen the log: %w", ErrStuck)
	}
}

// Close writes what is queued and closes the file. Later records are lost. It
// waits a few seconds for a disk that does not answer, then returns ErrStuck.
func (l *Log) Close() error {
	l.close.Do(func() {
		l.queue.close()
		close(l.stop)
	})
	select {
	case <-l.done:
		return nil
	case <-time.After(closeWait):
		return fmt.Errorf("close the log: %w", ErrStuck)
	}
}
