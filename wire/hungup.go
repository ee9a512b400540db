package wire

import "syscall"

// HungUp reports whether the peer has closed its side of the connection, without
// waiting and without taking input. It does not see that behind input that has
// arrived and was not read yet, nor where the connection is no socket. A peer may
// have closed its side and still wait for an answer: what is written to one that
// has gone altogether fails, the second time at the latest.
func (c *Conn) HungUp() bool {
	sc, ok := c.raw.(syscall.Conn)
	if !ok || c.Buffered() > 0 {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		var octet [1]byte
		n, _, err := syscall.Recvfrom(int(fd), octet[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err != nil && err != syscall.EAGAIN && err != syscall.EINTR
	})
	return gone || err != nil
}
