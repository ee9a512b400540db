package main

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func TestCyrusSettings(t *testing.T) {
	c := &cyrus{dir: "/scratch"}
	got := c.settings("# comment\nconfigdirectory: /var/lib/cyrus\npopminpoll: 1\nduplicatesuppression: yes\n")
	for _, want := range []string{"# comment\nduplicatesuppression: yes\n", "configdirectory: /scratch/conf\n", "popminpoll: 0\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "/var/lib") || strings.Contains(got, "popminpoll: 1") {
		t.Errorf("a place of the machine is still there:\n%s", got)
	}
}

// TestAcceptPasswords asks as Cyrus SASL's saslauthd_verify_password does.
func TestAcceptPasswords(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "mux")
	ln, err := acceptPasswords(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, c := range []struct{ password, want string }{{password, "\x00\x02OK"}, {"another", "\x00\x02NO"}} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		request := ""
		for _, field := range []string{"user0", c.password, "imap", ""} {
			request += string([]byte{byte(len(field) >> 8), byte(len(field))}) + field
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || string(got) != c.want {
			t.Errorf("%q: %q, %v; want %q", c.password, got, err, c.want)
		}
	}
}
