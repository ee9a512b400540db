package imap

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"tripost/wire/wiretest"
)

// rawClient is a client that takes responses apart by the formal syntax of
// RFC 3501 and knows nothing else of the server.
type rawClient struct {
	t   testing.TB
	nc  net.Conn
	r   *bufio.Reader
	tag int
}

// connect signs a rawClient in.
func (w *world) connect(name string) *rawClient {
	w.t.Helper()
	c := &rawClient{t: w.t, nc: w.dial()}
	c.r = bufio.NewReaderSize(c.nc, 64<<10)
	w.t.Cleanup(func() { c.nc.Close() })
	c.read()
	c.do("LOGIN " + name + " " + password)
	return c
}

// response is one response: an untagged one has the tag "*".
type response struct {
	tag    string
	fields []value
}

// value is an atom, a string, NIL or a list.
type value struct {
	kind byte // 'a', 's', 'n', 'l'
	text string
	list []value
}

// word returns the text of the i-th field in upper case, "" if there is none.
func (r response) word(i int) string {
	if i >= len(r.fields) {
		return ""
	}
	return strings.ToUpper(r.fields[i].text)
}

// do sends a command and returns its responses; it must be answered OK.
func (c *rawClient) do(command string) []response {
	c.t.Helper()
	untagged, status := c.try(command)
	if status.word(0) != "OK" {
		c.t.Fatalf("%.200s: %s", command, status.fields)
	}
	return untagged
}

// try sends a command and returns its responses and its completion.
func (c *rawClient) try(command string) (untagged []response, completion response) {
	c.t.Helper()
	c.tag++
	tag := "t" + strconv.Itoa(c.tag)
	c.nc.SetDeadline(time.Now().Add(wiretest.Patience))
	if _, err := io.WriteString(c.nc, tag+" "+command+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	for {
		r := c.read()
		switch r.tag {
		case "*":
			untagged = append(untagged, r)
		case tag:
			return untagged, r
		case "+": // what it asks for has been sent with the command
		default:
			c.t.Fatalf("%.200s: unexpected response %v", command, r)
		}
	}
}

// read reads one response. Status responses are cut after their code.
func (c *rawClient) read() response {
	c.t.Helper()
	r := response{tag: c.atom(" ")}
	c.expect(' ')
	for {
		r.fields = append(r.fields, c.value())
		if c.isStatus(r) {
			c.status(&r)
			return r
		}
		b := c.octet()
		if b == '\r' {
			c.expect('\n')
			return r
		}
		if b != ' ' {
			c.t.Fatalf("octet %q after %v", b, r)
		}
	}
}

func (c *rawClient) isStatus(r response) bool {
	if len(r.fields) != 1 || r.fields[0].kind != 'a' {
		return false
	}
	switch r.fields[0].text {
	case "OK", "NO", "BAD", "BYE":
		return true
	}
	return false
}

// status reads the rest of a status response: its code becomes the second field.
func (c *rawClient) status(r *response) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	if code, found := strings.CutPrefix(line, " ["); found {
		code, _, _ = strings.Cut(code, "]")
		r.fields = append(r.fields, value{kind: 'a', text: code})
	}
}

func (c *rawClient) octet() byte {
	c.t.Helper()
	b, err := c.r.ReadByte()
	if err != nil {
		c.t.Fatalf("reading a response: %v", err)
	}
	return b
}

func (c *rawClient) expect(want byte) {
	c.t.Helper()
	if b := c.octet(); b != want {
		c.t.Fatalf("octet %q, want %q", b, want)
	}
}

// atom reads up to an octet of stop, brackets with what is in them included.
func (c *rawClient) atom(stop string) string {
	var b strings.Builder
	depth := 0
	for {
		o := c.octet()
		if depth == 0 && strings.IndexByte(stop, o) >= 0 {
			c.r.UnreadByte()
			return b.String()
		}
		switch o {
		case '[':
			depth++
		case ']':
			depth--
		case '\r', '\n':
			c.t.Fatalf("line end in the atom %q", b.String())
		}
		b.WriteByte(o)
	}
}

func (c *rawClient) value() value {
	c.t.Helper()
	switch b := c.octet(); b {
	case '(':
		return c.values()
	case '"':
		return value{kind: 's', text: c.quoted()}
	case '{':
		n, err := strconv.Atoi(c.atom("}"))
		if err != nil {
			c.t.Fatal(err)
		}
		for _, want := range "}\r\n" {
			c.expect(byte(want))
		}
		text := make([]byte, n)
		if _, err := io.ReadFull(c.r, text); err != nil {
			c.t.Fatal(err)
		}
		return value{kind: 's', text: string(text)}
	}
	c.r.UnreadByte()
	text := c.atom(" ()\r")
	if text == "NIL" {
		return value{kind: 'n'}
	}
	if text == "" {
		c.t.Fatal("an empty atom")
	}
	return value{kind: 'a', text: text}
}

// values reads the rest of a list. The grammar puts no space between the parts of
// a multipart and between addresses, a single one everywhere else.
func (c *rawClient) values() value {
	list := value{kind: 'l'}
	for {
		b := c.octet()
		if b == ')' {
			return list
		}
		if b != ' ' || len(list.list) == 0 {
			c.r.UnreadByte()
		}
		list.list = append(list.list, c.value())
	}
}

func (c *rawClient) quoted() string {
	var b strings.Builder
	for {
		switch o := c.octet(); {
		case o == '"':
			return b.String()
		case o == '\\':
			b.WriteByte(c.octet())
		case o == 0 || o == '\r' || o == '\n' || o >= 0x80:
			c.t.Fatalf("octet %#x in a quoted string", o)
		default:
			b.WriteByte(o)
		}
	}
}

// fetched returns the items of a FETCH response by name.
func fetched(t testing.TB, r response) map[string]value {
	t.Helper()
	if r.word(1) != "FETCH" && r.word(1) != "UIDFETCH" || len(r.fields) != 3 || len(r.fields[2].list)%2 != 0 {
		t.Fatalf("%v is no FETCH response", r)
	}
	items := make(map[string]value)
	for i, list := 0, r.fields[2].list; i < len(list); i += 2 {
		items[list[i].text] = list[i+1]
	}
	return items
}

func (v value) String() string {
	switch v.kind {
	case 'n':
		return "NIL"
	case 'l':
		return fmt.Sprint(v.list)
	}
	return v.text
}
