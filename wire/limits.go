package wire

import (
	"net/netip"
	"sync"
)

// limits counts the connections of a server.
type limits struct {
	mu        sync.Mutex
	total     int
	byAddress map[netip.Addr]int
}

// enter counts one more connection, unless there are most already; 0 is none.
func (l *limits) enter(most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= most {
		return false
	}
	l.total++
	return true
}

func (l *limits) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
}

func (l *limits) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// enterAddress counts one more connection of a host, unless there are most
// already.
func (l *limits) enterAddress(host netip.Addr, most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byAddress[host] >= most {
		return false
	}
	if l.byAddress == nil {
		l.byAddress = make(map[netip.Addr]int)
	}
	l.byAddress[host]++
	return true
}

func (l *limits) leaveAddress(host netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byAddress[host]--; l.byAddress[host] == 0 {
		delete(l.byAddress, host)
	}
}

// hostOf returns what counts as one remote address: an IPv4 address, or the /64
// of an IPv6 address, since that is what one customer is given.
func hostOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().Addr()
	}
	return a
}
