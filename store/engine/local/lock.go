package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tripost/store/engine"
)

// lockFile holds the store for this process. The kernel lets go of it when the
// process ends, however it ends; the number in it is for people.
type lockFile struct{ f *os.File }

// lockStore takes the lock, waiting up to timeout for another process.
func lockStore(name string, timeout time.Duration) (*lockFile, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(timeout)
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		busy := errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR)
		if !busy {
			f.Close()
			return nil, fmt.Errorf("locking %q: %w", name, err)
		}
		if !time.Now().Before(deadline) {
			defer f.Close()
			return nil, inUse(f, name)
		}
		time.Sleep(20 * time.Millisecond)
	}
	// What the file says is only told to people, and a full disk must not keep
	// anybody from reading mail: errors here do not matter.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return &lockFile{f}, nil
}

func inUse(f *os.File, name string) error {
	b, _ := io.ReadAll(io.NewSectionReader(f, 0, 32))
	if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
		return fmt.Errorf("%w: process %d has the store (lock %q)", engine.ErrInUse, pid, name)
	}
	return fmt.Errorf("%w: another process has the store (lock %q)", engine.ErrInUse, name)
}

func (l *lockFile) release() error { return l.f.Close() }
