package smtp

import (
	"net/netip"
	"strings"
	"testing"
)

func TestClients(t *testing.T) {
	t.Parallel()
	c, err := ParseClients([]string{
		"192.0.2.1", " 192.0.2.10 - 192.0.2.20 ", "198.51.100.0/24", "!198.51.100.7", "! 192.0.2.15-192.0.2.16",
		"2001:db8::/32", "!2001:db8:bad::/48", "10.0.0.0/8 ; the office", "; nothing", "", "::ffff:203.0.113.5",
	})
	must(t, err)
	for addr, want := range map[string]bool{
		"192.0.2.1": true, "192.0.2.2": false, "192.0.2.9": false, "192.0.2.10": true, "192.0.2.14": true, "192.0.2.15": false,
		"192.0.2.16": false, "192.0.2.17": true, "192.0.2.20": true, "192.0.2.21": false,
		"198.51.100.0": true, "198.51.100.7": false, "198.51.100.255": true, "198.51.101.0": false,
		"2001:db8::1": true, "2001:db8:bad::1": false, "2001:db9::1": false, "::": false, "::1": false,
		"10.255.255.255": true, "11.0.0.0": false, "::ffff:192.0.2.1": true, "203.0.113.5": true, "0.0.0.0": false,
	} {
		if got := c.Match(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
	if c.Match(netip.Addr{}) {
		t.Error("no address matches")
	}
	var none *Clients
	if none.Match(netip.MustParseAddr("127.0.0.1")) {
		t.Error("nobody matches")
	}
}

// No list that loads makes an open relay, and what is no list says so.
func TestClientsRefused(t *testing.T) {
	t.Parallel()
	for _, list := range [][]string{
		{"0.0.0.0/0"}, {"::/0"}, {"0.0.0.0/1", "128.0.0.0/1"}, {"0.0.0.0 - 255.255.255.255"}, {":: - ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"0.0.0.0/0", "!192.0.2.1"}, {"2000::/3"}, {"::ffff:0:0/96"}, {"0.0.0.0 - 127.255.255.255"},
		{"1.0.0.0/8", "2.0.0.0/8", "3.0.0.0/8", "4.0.0.0/8", "5.0.0.0/8"},
	} {
		if _, err := ParseClients(list); err == nil {
			t.Errorf("%q was taken", list)
		}
	}
	for _, entry := range []string{"x", "192.0.2", "192.0.2.0/33", "192.0.2.9 - 192.0.2.1", "192.0.2.1 - ::1", "192.0.2.1 -", "!", "192.0.2.1/24/8", "localhost"} {
		if _, err := ParseClients([]string{entry}); err == nil || !strings.Contains(err.Error(), entry) {
			t.Errorf("%q: %v, want an error that names it", entry, err)
		}
	}
}
