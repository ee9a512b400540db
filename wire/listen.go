package wire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// keepAlive finds peers that went away without a word, without waking phones
// more often than their network's memory of the connection needs.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 2 * time.Minute, Interval: 30 * time.Second, Count: 4}

// socketMode lets the group use a Unix socket, as a mail transfer agent needs
// for LMTP.
const socketMode = 0o660

// Listen opens "host:port" or "unix:/path". A socket file that a process left
// behind is removed; one at which a process answers is an error.
func Listen(addr string) (net.Listener, error) {
	path, ok := strings.CutPrefix(addr, "unix:")
	if !ok {
		config := net.ListenConfig{KeepAliveConfig: keepAlive}
		ln, err := config.Listen(context.Background(), "tcp", addr)
		return ln, listenError(addr, err)
	}
	if err := removeStale(path); err != nil {
		return nil, listenError(addr, err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, listenError(addr, err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		ln.Close()
		return nil, listenError(addr, err)
	}
	return ln, nil
}

// listenError names the address once, with the reason alone behind it.
func listenError(addr string, err error) error {
	if err == nil {
		return nil
	}
	var number syscall.Errno
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		err = fmt.Errorf("another process is listening there: %w", syscall.EADDRINUSE)
	case errors.As(err, &number):
		err = number
	}
	return fmt.Errorf("listen on %q: %w", addr, err)
}

// removeStale removes a socket file at which nobody listens.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("there is a file that is no socket")
	}
	nc, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		nc.Close()
		return syscall.EADDRINUSE
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}
