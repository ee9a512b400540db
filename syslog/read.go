package syslog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// followEvery is how often a followed file is looked at for more.
	followEvery = 200 * time.Millisecond

	// maxRecord is the longest line the reader takes for a record. What is
	// longer, which this package does not write, is passed over.
	maxRecord = 1 << 20
)

// Filter says which records Read returns.
type Filter struct {
	Tag     string    // of this tag, in any case; empty: of all
	Session string    // of this session ("POP-000123") or named thing ("1134"), in any case; empty: of all
	Level   Level     // up to this level: Raw for all
	Since   time.Time // from then on; zero: from the first file on
}

func (f Filter) match(e entry) bool {
	return e.level <= f.Level &&
		(f.Tag == "" || strings.EqualFold(f.Tag, e.tag)) &&
		(f.Session == "" || strings.EqualFold(f.Session, e.session) || strings.EqualFold(f.Session, e.name)) &&
		!e.time.Before(f.Since)
}

// Read calls fn with each record in dir that the filter lets through, in order,
// in the form it was written in, without its line end. With follow it goes on
// with what is written later, from file to file, until ctx ends; that is then
// no error. It returns the first error of fn.
func Read(ctx context.Context, dir string, f Filter, follow bool, fn func(line string) error) error {
	r := &reader{dir: dir, filter: f, fn: fn}
	defer r.close()
	for {
		if err := r.readThrough(ctx); err != nil {
			return endOf(ctx, err, follow)
		}
		if !follow {
			return r.last()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

// endOf turns the end of ctx into the end of following.
func endOf(ctx context.Context, err error, follow bool) error {
	if follow && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// reader is a place in the log: everything before it was seen.
type reader struct {
	dir    string
	filter Filter
	fn     func(string) error

	at      logFile // the file that is being read; no name before the first
	file    *os.File
	in      *bufio.Reader
	partial []byte // of a line whose end is not written yet
	tooLong bool   // the line is past maxRecord
}

// readThrough reads what there is, up to the end of the newest file.
func (r *reader) readThrough(ctx context.Context) error {
	for {
		// Look for the next file before reading on in this one: when it is
		// there, nothing more is written here.
		next, more, err := r.next()
		if err != nil {
			return err
		}
		if r.file != nil {
			if err := r.readFile(ctx); err != nil {
				return err
			}
		}
		if !more {
			return r.replaced(ctx)
		}
		if err := r.last(); err != nil {
			return err
		}
		if err := r.open(next); err != nil {
			return err
		}
	}
}

// next returns the file that comes after the one at hand.
func (r *reader) next() (logFile, bool, error) {
	files, err := listFiles(r.dir)
	if err != nil {
		return logFile{}, false, err
	}
	for _, f := range files {
		if f.name > r.at.name && !f.end().Before(r.filter.Since) {
			return f, true, nil
		}
	}
	return logFile{}, false, nil
}

func (r *reader) open(f logFile) error {
	file, err := os.Open(filepath.Join(r.dir, f.name))
	if errors.Is(err, os.ErrNotExist) { // removed for its age since it was listed
		r.close()
		r.at = f
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	r.close()
	r.at, r.file, r.in = f, file, bufio.NewReaderSize(file, 64<<10)
	r.partial, r.tooLong = r.partial[:0], false
	return nil
}

func (r *reader) close() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}

// replaced reads from its begin a file that took the place of the one at hand,
// which somebody moved away.
func (r *reader) replaced(ctx context.Context) error {
	if r.file == nil {
		return nil
	}
	had, err := r.file.Stat()
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	has, err := os.Stat(filepath.Join(r.dir, r.at.name))
	if err != nil || os.SameFile(had, has) {
		return nil
	}
	if err := r.readFile(ctx); err != nil {
		return err
	}
	if err := r.open(r.at); err != nil {
		return err
	}
	return r.readFile(ctx)
}

// readFile reads on to the end of the file at hand. A line without an end is
// kept until it has one.
func (r *reader) readFile(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		piece, err := r.in.ReadSlice('\n')
		r.gather(piece)
		switch {
		case err == nil:
			if err := r.last(); err != nil {
				return err
			}
		case err == io.EOF:
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("read the log: %w", err)
		}
	}
}

func (r *reader) gather(piece []byte) {
	if r.tooLong = r.tooLong || len(r.partial)+len(piece) > maxRecord; !r.tooLong {
		r.partial = append(r.partial, piece...)
	}
}

// last passes on the line gathered so far, if it is a record that is wanted.
func (r *reader) last() error {
	line := string(bytes.TrimRight(r.partial, "\r\n"))
	tooLong := r.tooLong
	r.partial, r.tooLong = r.partial[:0], false
	if tooLong || line == "" {
		return nil
	}
	if e, ok := parseRecord(line, r.at.begin); !ok || !r.filter.match(e) {
		return nil
	}
	return r.fn(line)
}
