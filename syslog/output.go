package syslog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// output is the file of the day. Only the writer goroutine uses it once the log
// is open.
type output struct {
	now     func() time.Time
	dir     string
	maxSize int64
	keep    time.Duration

	file *os.File
	name string // of file, without directory
	day  string // that file belongs to
	size int64
	torn bool // the file ends within a line: a write failed, or the process was killed
}

func (o *output) standardError() bool { return o.dir == "-" }

// start makes the directory and opens the file of today, so that a wrong
// directory is an error at once.
func (o *output) start() error {
	if o.standardError() {
		o.file = os.Stderr
		return nil
	}
	if err := os.MkdirAll(o.dir, 0o750); err != nil {
		return fmt.Errorf("make the log directory: %w", err)
	}
	return o.open(o.now())
}

// write appends records of the day of t.
func (o *output) write(t time.Time, b []byte) error {
	if !o.standardError() {
		if err := o.ready(t, len(b)); err != nil {
			return err
		}
	}
	if o.torn {
		b = append([]byte("\n"), b...)
	}
	n, err := o.file.Write(b)
	o.size += int64(n)
	if n > 0 {
		o.torn = b[n-1] != '\n'
	}
	if err != nil && !o.standardError() {
		o.close() // the next batch opens anew: the file may be gone, the disk may be mended
	}
	return err
}

// ready opens the file that n octets of the day of t belong to, if it is not
// open yet.
func (o *output) ready(t time.Time, n int) error {
	switch {
	case o.file == nil || o.day != fileDay(t):
		return o.open(t)
	case o.maxSize > 0 && o.size > 0 && o.size+int64(n) > o.maxSize && extraName(t) > o.name:
		return o.openName(t, extraName(t))
	}
	return nil
}

// open opens the newest file of the day of t.
func (o *output) open(t time.Time) error {
	name := firstName(t)
	files, err := listFiles(o.dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.day == fileDay(t) && f.name > name {
			name = f.name
		}
	}
	return o.openName(t, name)
}

// openName opens a file and removes those that are too old.
func (o *output) openName(t time.Time, name string) error {
	f, err := os.OpenFile(filepath.Join(o.dir, name), os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("open the log file: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("open the log file: %w", err)
	}
	o.close()
	o.file, o.name, o.day, o.size = f, name, fileDay(t), info.Size()
	o.torn = endsTorn(f, o.size)
	o.removeOld(t)
	return nil
}

// endsTorn reports whether a file ends within a line.
func endsTorn(f *os.File, size int64) bool {
	var last [1]byte
	_, err := f.ReadAt(last[:], size-1) // fails for an empty file
	return err == nil && last[0] != '\n'
}

// removeOld removes the files whose day ended longer ago than keep. What cannot
// be removed is tried again with the next file.
func (o *output) removeOld(t time.Time) {
	if o.keep <= 0 {
		return
	}
	files, err := listFiles(o.dir)
	if err != nil {
		return
	}
	for _, f := range files {
		if f.end().Before(t.Add(-o.keep)) && f.name != o.name {
			os.Remove(filepath.Join(o.dir, f.name))
		}
	}
}

func (o *output) reopen() error {
	if o.standardError() {
		return nil
	}
	o.close()
	return o.open(o.now())
}

// sync asks the disk to keep what was written. A terminal or a pipe cannot be
// synced, which is no failure.
func (o *output) sync() error {
	err := o.file.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

func (o *output) close() {
	if o.file != nil && !o.standardError() {
		o.file.Close()
		o.file = nil
	}
}
