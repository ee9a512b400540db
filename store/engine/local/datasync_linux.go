package local

import (
	"errors"
	"os"
	"syscall"
)

// datasync writes out the file's octets and its length, but not its times,
// which saves the file system a journal entry for each append.
func datasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
