package queue

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// spoolAt is how much of a message waits in memory, in octets; what exceeds it
// waits in a file.
const spoolAt = 128 << 10

// spool keeps a message until it is judged. Its file has no name, so that
// nothing is left of it after a crash.
type spool struct {
	dir  string // empty: the system's for temporary files
	head []byte
	file *os.File // what comes after head
	size int64
}

// Write takes the next octets.
func (s *spool) Write(p []byte) (int, error) {
	n := min(len(p), spoolAt-len(s.head))
	s.head = append(s.head, p[:n]...)
	if n < len(p) {
		if err := s.spill(p[n:]); err != nil {
			return n, err
		}
	}
	s.size += int64(len(p))
	return len(p), nil
}

func (s *spool) spill(p []byte) (err error) {
	if s.file == nil {
		if s.file, err = os.CreateTemp(s.dir, "spool-*"); err != nil {
			return fmt.Errorf("keep a message until it is judged: %w", err)
		}
		if err := os.Remove(s.file.Name()); err != nil {
			return fmt.Errorf("keep a message until it is judged: %w", err)
		}
	}
	if _, err = s.file.Write(p); err != nil {
		return fmt.Errorf("keep a message until it is judged: %w", err)
	}
	return nil
}

// ReadAt is [io.ReaderAt]; it may be called by several goroutines.
func (s *spool) ReadAt(p []byte, at int64) (n int, err error) {
	if at < 0 {
		return 0, errors.New("read before the begin of a message")
	}
	if at < int64(len(s.head)) {
		n = copy(p, s.head[at:])
	}
	if n == len(p) {
		return n, nil
	}
	if s.file == nil {
		return n, io.EOF
	}
	more, err := s.file.ReadAt(p[n:], at+int64(n)-int64(len(s.head)))
	return n + more, err
}

// close gives the space back.
func (s *spool) close() {
	if s != nil && s.file != nil {
		_ = s.file.Close() // it was only read, and has no name
		s.file = nil
	}
}
