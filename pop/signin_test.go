package pop

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

// An independent client's SCRAM-SHA-256, with and without an initial response;
// the server proves itself too.
func TestSCRAM(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.auth.Cleartext = "never"
	for _, initial := range []bool{true, false} {
		c := w.client()
		if reply := c.scram("ann", annPassword, initial); reply != "+OK 0 messages (0 octets)" {
			t.Errorf("initial response %v: %s", initial, reply)
		}
		c.do("STAT")
	}
	c := w.client()
	for _, wrong := range [][2]string{{"ann", "wrong"}, {"nobody", annPassword}} {
		if reply := c.scram(wrong[0], wrong[1], true); !strings.HasPrefix(reply, "-ERR [AUTH] ") {
			t.Errorf("%s with password %s: %s", wrong[0], wrong[1], reply)
		}
	}
	if reply := c.scram("ann", annPassword, false); !strings.HasPrefix(reply, "+OK") {
		t.Errorf("after failures: %s", reply)
	}
}

// scram goes through an exchange and returns the reply that ends it.
func (c *popClient) scram(name, password string, initial bool) string {
	c.t.Helper()
	client, err := scram.SHA256.NewClient(name, password, "")
	must(c.t, err)
	talk := client.NewConversation()
	first, err := talk.Step("")
	must(c.t, err)
	command := "AUTH SCRAM-SHA-256"
	if initial {
		command += " " + base64.StdEncoding.EncodeToString([]byte(first))
	}
	reply := c.exchange(command)
	if !initial {
		if reply != "+ " {
			return reply
		}
		reply = c.exchange(base64.StdEncoding.EncodeToString([]byte(first)))
	}
	for strings.HasPrefix(reply, "+ ") {
		challenge, err := base64.StdEncoding.DecodeString(reply[2:])
		must(c.t, err)
		next, err := talk.Step(string(challenge))
		must(c.t, err)
		reply = c.exchange(base64.StdEncoding.EncodeToString([]byte(next)))
	}
	if strings.HasPrefix(reply, "+OK") && !talk.Valid() {
		c.t.Error("the server has not proved itself")
	}
	return reply
}

// exchange sends a line and returns the one that comes back, challenge or reply.
func (c *popClient) exchange(line string) string {
	c.t.Helper()
	_, err := c.nc.Write([]byte(line + "\r\n"))
	must(c.t, err)
	s, err := c.r.ReadString('\n')
	must(c.t, err)
	return strings.TrimSuffix(s, "\r\n")
}

// An AUTH line may be long where other lines may not (RFC 5034 section 4).
func TestLongAuthLines(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	c := w.client()
	long := strings.Repeat("A", 20<<10)
	for _, test := range []struct{ line, reply string }{
		{"AUTH PLAIN " + long[:12000], "-ERR malformed"},
		{"AUTH PLAIN " + long, "-ERR line too long"},
		{"USER " + long[:600], "-ERR line too long"},
		{"USER " + long[:500], "+OK"},
	} {
		if got := c.ask(test.line); !strings.HasPrefix(got, test.reply) {
			t.Errorf("%.20s... of %d octets: %s, want %s", test.line, len(test.line), got, test.reply)
		}
	}
	if got := c.exchange("AUTH PLAIN"); !strings.HasPrefix(got, "+ ") {
		t.Fatal(got)
	}
	if got := c.ask(long); got != "-ERR the response is too long" {
		t.Error(got)
	}
	c.do("USER ann")
	c.do("PASS " + annPassword)
}
