package wire

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// block4 and block6 are the addresses 192.0.2.7:51022 and 198.51.100.1:110, and
// the like in IPv6, as version 2 writes them.
const (
	block4 = "\xc0\x00\x02\x07\xc6\x33\x64\x01\xc7\x4e\x00\x6e"
	block6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xc7\x4e\x00\x6e"
)

var proxyCases = []struct {
	name, header string
	remote       string // empty: the header is refused; "proxy": the proxy's own
	local        string
}{
	{"v1 TCP4", "PROXY TCP4 192.0.2.7 198.51.100.1 51022 110\r\n", "192.0.2.7:51022", "198.51.100.1:110"},
	{"v1 TCP6", "PROXY TCP6 2001:db8::7 2001:db8::1 51022 110\r\n", "[2001:db8::7]:51022", "[2001:db8::1]:110"},
	{"v1 unknown", "PROXY UNKNOWN\r\n", "proxy", ""},
	{"v1 unknown with addresses", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "proxy", ""},
	{"v1 family mismatch", "PROXY TCP4 2001:db8::7 2001:db8::1 51022 110\r\n", "", ""},
	{"v1 zone", "PROXY TCP6 fe80::7%eth0 2001:db8::1 51022 110\r\n", "", ""},
	{"v1 port too large", "PROXY TCP4 192.0.2.7 198.51.100.1 65536 110\r\n", "", ""},
	{"v1 words missing", "PROXY TCP4 192.0.2.7\r\n", "", ""},
	{"v1 without CR", "PROXY TCP4 192.0.2.7 198.51.100.1 51022 110\n", "", ""},
	{"v1 only a prefix", "PROXY \r\n        \r\n", "", ""},
	{"v1 too long", "PROXY TCP4 " + strings.Repeat("1", 200) + "\r\n", "", ""},
	{"v2 TCP4", proxySignature + "\x21\x11\x00\x0c" + block4, "192.0.2.7:51022", "198.51.100.1:110"},
	{"v2 TCP4 with extensions", proxySignature + "\x21\x11\x00\x13" + block4 + "\x04\x00\x04abcd", "192.0.2.7:51022", "198.51.100.1:110"},
	{"v2 TCP6", proxySignature + "\x21\x21\x00\x24" + block6, "[2001:db8::7]:51022", "[2001:db8::1]:110"},
	{"v2 local", proxySignature + "\x20\x00\x00\x00", "proxy", ""},
	{"v2 unspecified", proxySignature + "\x21\x00\x00\x00", "proxy", ""},
	{"v2 cut short", proxySignature + "\x21\x11\x00\x04\xc0\x00\x02\x07", "", ""},
	{"v2 other version", proxySignature + "\x31\x11\x00\x0c" + block4, "", ""},
	{"v2 too large", proxySignature + "\x21\x11\xff\xff" + block4, "", ""},
	{"none", "EHLO client.example.test\r\n", "", ""},
}

func TestProxyHeader(t *testing.T) {
	t.Parallel()
	own := proxied{remote: netip.MustParseAddrPort("10.0.0.1:4000"), local: netip.MustParseAddrPort("10.0.0.2:110")}
	for _, tc := range proxyCases {
		nc, peer := net.Pipe()
		send(peer, tc.header+"NEXT")
		got, err := readProxyHeader(nc, own, time.Minute)
		switch tc.remote {
		case "":
			if !errors.Is(err, ErrProxy) || got != own {
				t.Errorf("%s: %+v, %v", tc.name, got, err)
			}
			peer.Close()
			continue
		case "proxy":
			if err != nil || got != own {
				t.Errorf("%s: %+v, %v", tc.name, got, err)
			}
		default:
			if err != nil || got.remote.String() != tc.remote || got.local.String() != tc.local || got.by != own.remote {
				t.Errorf("%s: %+v, %v", tc.name, got, err)
			}
		}
		next := make([]byte, 4)
		if _, err := io.ReadFull(nc, next); string(next) != "NEXT" {
			t.Errorf("%s: then %q, %v", tc.name, next, err)
		}
		peer.Close()
	}
}

func FuzzProxyHeader(f *testing.F) {
	for _, tc := range proxyCases {
		f.Add([]byte(tc.header))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		nc := newScripted(header, 1)
		got, err := readProxyHeader(nc, proxied{}, time.Minute)
		if err != nil && got != (proxied{}) || got.remote.IsValid() != got.local.IsValid() {
			t.Fatalf("%+v, %v", got, err)
		}
		if used := len(header) - len(nc.input); used > proxyShortest+1+proxyMaxBlock {
			t.Fatalf("%d octets read", used)
		}
	})
}

// The address named by the proxy is the one that is limited, logged and seen
// by the session.
func TestServerBehindProxy(t *testing.T) {
	t.Parallel()
	r := run(t, false, func(s *Server) {
		s.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		s.PerAddress = 1
	})
	connect := func(header string) *client {
		c := dial(t, "tcp", r.addr)
		io.WriteString(c, header)
		return c
	}
	one := connect("PROXY TCP4 192.0.2.7 198.51.100.1 51022 110\r\n")
	one.expect("+OK 192.0.2.7")
	connect("PROXY TCP4 192.0.2.8 198.51.100.1 51022 110\r\n").expect("+OK 192.0.2.8")
	connect("PROXY TCP4 192.0.2.7 198.51.100.1 51023 110\r\n").expect("-ERR [SYS/TEMP] too many connections from your address")
	connect("HELO not.a.proxy.test\r\n").expectEnd()
	got := r.records()
	for _, want := range []string{
		"POP-000001([192.0.2.7]:51022) [198.51.100.1]:110 <- [192.0.2.7]:51022 incoming connection by way of [127.0.0.1]:" + port(one.LocalAddr()),
		"POP [127.0.0.1] is a proxy, but: malformed PROXY protocol header",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("log %q\nlacks %q", got, want)
		}
	}
}

// A header from an address that is not listed is what the client says, and changes
// nothing of who it is.
func TestProxyHeaderOfAStranger(t *testing.T) {
	t.Parallel()
	r := run(t, false, func(s *Server) {
		s.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	c := dial(t, "tcp", r.addr)
	io.WriteString(c, "PROXY TCP4 192.0.2.7 198.51.100.1 51022 110\r\n")
	c.expect("+OK 127.0.0.1")
}

func TestSilentProxy(t *testing.T) {
	t.Parallel()
	config := timeouts()
	config.Handshake = 20 * time.Millisecond
	r := run(t, false, func(s *Server) {
		s.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		s.Conn = func() Config { return config }
	})
	dial(t, "tcp", r.addr).expectEnd()
}

// The handshake may come in the same packet as the header.
func TestProxyBeforeTLS(t *testing.T) {
	t.Parallel()
	r := run(t, true, func(s *Server) {
		s.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	c := dial(t, "tcp", r.addr)
	first := &prefixing{Conn: c.Conn, prefix: proxySignature + "\x21\x11\x00\x0c" + block4}
	secure := tls.Client(first, &tls.Config{InsecureSkipVerify: true})
	got, err := bufio.NewReader(secure).ReadString('\n')
	if got != "+OK 192.0.2.7\r\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

// prefixing puts something before the first write.
type prefixing struct {
	net.Conn
	prefix string
}

func (p *prefixing) Write(b []byte) (int, error) {
	n := len(p.prefix)
	m, err := p.Conn.Write(append([]byte(p.prefix), b...))
	p.prefix = ""
	return max(m-n, 0), err
}
