package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Sizes of the PROXY protocol, versions 1 and 2.
const (
	proxyShortest = 15      // "PROXY UNKNOWN\r\n"
	proxyLongest  = 107     // of version 1, with CRLF
	proxyMaxBlock = 4 << 10 // of version 2 behind its header: addresses and extensions
)

// proxySignature is how a version 2 header begins.
const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

// proxied is where a connection comes from and where it leads.
type proxied struct {
	remote, local netip.AddrPort
	by            netip.AddrPort // the proxy, if there is one between
}

// isProxy reports whether a PROXY protocol header is due from an address.
func (s *Server) isProxy(a netip.Addr) bool {
	for _, p := range s.Proxies {
		if a.IsValid() && p.Contains(a) {
			return true
		}
	}
	return false
}

// readProxyHeader reads the header and not one octet more, for a TLS handshake
// may follow it. The header may say that the proxy speaks for itself (a health
// check), or that it does not know: then from stays as it is.
func readProxyHeader(nc net.Conn, from proxied, timeout time.Duration) (proxied, error) {
	nc.SetDeadline(time.Now().Add(timeout))
	defer nc.SetDeadline(time.Time{})
	head := make([]byte, proxyShortest, proxyLongest)
	if _, err := io.ReadFull(nc, head); err != nil {
		return from, fmt.Errorf("read the PROXY protocol header: %w", err)
	}
	var src, dst netip.AddrPort
	var err error
	switch {
	case bytes.HasPrefix(head, []byte(proxySignature)):
		src, dst, err = readProxyBinary(nc, head)
	case bytes.HasPrefix(head, []byte("PROXY ")):
		src, dst, err = readProxyText(nc, head)
	default:
		err = fmt.Errorf("%w: it does not begin like one", ErrProxy)
	}
	if err != nil || !src.IsValid() {
		return from, err
	}
	return proxied{remote: src, local: dst, by: from.remote}, nil
}

// readProxyText reads the rest of a version 1 header, octet by octet because
// its length is not known.
func readProxyText(nc net.Conn, head []byte) (src, dst netip.AddrPort, err error) {
	for head[len(head)-1] != '\n' {
		if len(head) == proxyLongest {
			return src, dst, fmt.Errorf("%w: more than %d octets", ErrProxy, proxyLongest)
		}
		n := len(head)
		head = head[:n+1]
		if _, err := io.ReadFull(nc, head[n:]); err != nil {
			return src, dst, fmt.Errorf("read the PROXY protocol header: %w", err)
		}
	}
	return parseProxyText(string(head))
}

// parseProxyText reads "PROXY TCP4 source destination sport dport\r\n".
func parseProxyText(line string) (src, dst netip.AddrPort, err error) {
	line, ok := strings.CutSuffix(line, "\r\n")
	words := strings.Split(line, " ")
	if ok && words[1] == "UNKNOWN" {
		return src, dst, nil
	}
	if !ok || len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return src, dst, fmt.Errorf("%w: %q", ErrProxy, line)
	}
	src, srcErr := parseProxyAddr(words[2], words[4], words[1] == "TCP4")
	dst, dstErr := parseProxyAddr(words[3], words[5], words[1] == "TCP4")
	if srcErr != nil || dstErr != nil {
		return netip.AddrPort{}, netip.AddrPort{}, fmt.Errorf("%w: %q", ErrProxy, line)
	}
	return src, dst, nil
}

func parseProxyAddr(host, port string, want4 bool) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(host)
	if err != nil || a.Is4() != want4 || a.Zone() != "" {
		return netip.AddrPort{}, ErrProxy
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), nil
}

// readProxyBinary reads the rest of a version 2 header: version and command,
// family, length, addresses, extensions.
func readProxyBinary(nc net.Conn, head []byte) (src, dst netip.AddrPort, err error) {
	head = head[:proxyShortest+1]
	if _, err := io.ReadFull(nc, head[proxyShortest:]); err != nil {
		return src, dst, fmt.Errorf("read the PROXY protocol header: %w", err)
	}
	command, family := head[12], head[13]
	length := int(binary.BigEndian.Uint16(head[14:]))
	if command != 0x20 && command != 0x21 || length > proxyMaxBlock {
		return src, dst, fmt.Errorf("%w: command %#x, %d octets", ErrProxy, command, length)
	}
	block := make([]byte, length)
	if _, err := io.ReadFull(nc, block); err != nil {
		return src, dst, fmt.Errorf("read the PROXY protocol header: %w", err)
	}
	if command == 0x20 { // LOCAL
		return src, dst, nil
	}
	return parseProxyBlock(family, block)
}

// parseProxyBlock reads the addresses. Of families other than TCP over IPv4 and
// IPv6 it knows nothing.
func parseProxyBlock(family byte, block []byte) (src, dst netip.AddrPort, err error) {
	size := 0
	switch family {
	case 0x11:
		size = 4
	case 0x21:
		size = 16
	default:
		return src, dst, nil
	}
	if len(block) < 2*size+4 {
		return src, dst, fmt.Errorf("%w: addresses cut short", ErrProxy)
	}
	a, _ := netip.AddrFromSlice(block[:size])
	b, _ := netip.AddrFromSlice(block[size : 2*size])
	ports := block[2*size:]
	src = netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(ports))
	dst = netip.AddrPortFrom(b.Unmap(), binary.BigEndian.Uint16(ports[2:]))
	return src, dst, nil
}
