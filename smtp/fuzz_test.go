package smtp

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/tools/txtar"

	"tripost/accounts"
	"tripost/router"
	"tripost/smtp/queue"
	"tripost/store"
	"tripost/store/engine/local"
	"tripost/wire"
	"tripost/wire/wiretest"
)

// pathText is what every accepted path must look like: nothing that could end
// it where it is written down again.
var pathText = regexp.MustCompile(`^(?i:postmaster)$|^(?:"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])+"|[^\s"<>@,:;\\()\[\]\x00-\x1f\x7f]+)@(?:[A-Za-z0-9_.\x{80}-\x{10ffff}-]+|\[[A-Za-z0-9.:]+\])$`)

// FuzzPath: a path that is accepted is one, and is read the same again.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"<a@b>", "<>", "<postmaster>", `<"a b\""@c.test> SIZE=1`, "<@x,@y:a@[IPv6:::1]>", "<a@[1.2.3.4]>", "<a@b>x", "<a@b", "<é@b>", "<a\x00@b>", `<"a> SIZE=1 b"@c>`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		path, rest, err := parseForwardPath(s)
		if err != nil {
			if c := err.code(); c != 501 && c != 553 || err.Error() == "" || err.enhanced(sender)[0] != '5' {
				t.Errorf("%q: error %d %s %v", s, c, err.enhanced(sender), err)
			}
			return
		}
		if !pathText.MatchString(path) || !utf8.ValidString(path) || len(path) > maxPath {
			t.Errorf("%q gives the path %q", s, path)
		}
		if !strings.HasSuffix(s, path+">"+rest) {
			t.Errorf("%q gives the path %q and the rest %q", s, path, rest)
		}
		again, left, err := parseForwardPath("<" + path + ">")
		if err != nil || again != path || left != "" {
			t.Errorf("%q, again: %q, %q, %v", path, again, left, err)
		}
		if params, err := parseParams(rest); err == nil {
			for _, p := range params {
				if p.key == "" || strings.ContainsAny(p.key+p.value, " \t\r\n=") {
					t.Errorf("%q gives the parameter %+v", rest, p)
				}
			}
		}
	})
}

// fuzzServer is a server with a store that lasts for all runs of a fuzz worker.
func fuzzServer(f *testing.F) (byMode map[Mode]*Server, st *store.Store, id store.AccountID) {
	f.Helper()
	ctx := context.Background()
	e, err := local.Open(f.TempDir(), local.Options{})
	must(f, err)
	st, err = store.New(ctx, e, store.Options{})
	must(f, err)
	f.Cleanup(func() { st.Close() })
	dir := accounts.New(st, accounts.Options{Password: accounts.PasswordParams{Memory: 64, Time: 1, Lanes: 1, ScramRounds: 4096}})
	_, err = dir.AddDomain(ctx, "example.test")
	must(f, err)
	ann, err := dir.AddAccount(ctx, "ann@example.test", password)
	must(f, err)
	r := router.New(dir, router.Options{DirectMailbox: true, Subaddress: "+"})
	c := Config{
		Hostname: "mail.example.test",
		Limits:   Limits{MessageSize: 100_000, Errors: 1000},
		Timeouts: Timeouts{Greeting: -1},
		Queue:    queue.New(st, r, dir, queue.Options{Hostname: "mail.example.test", MaxSize: 100_000}),
		Auth:     accounts.NewAuthenticator(dir, r, accounts.AuthOptions{Cleartext: "always", Exempt: func(netip.Addr) bool { return true }}),
	}
	byMode = make(map[Mode]*Server)
	for _, m := range []Mode{MX, LMTP} {
		c.Mode = m
		byMode[m] = New(c)
	}
	return byMode, st, ann.ID
}

// mailboxes is how many a new account has: each may get a copy of one message.
const mailboxes = 5

// FuzzSession plays whatever input against a session. What it must hold:
// replies are well-formed, there is one for each command, as counted by a model
// that knows nothing but where mail data begins and ends, and nothing is
// delivered that the model did not see end as data. So no octet of a message was
// a command, nor part of another message.
func FuzzSession(f *testing.F) {
	for _, input := range seeds(f) {
		f.Add([]byte(input), strings.HasPrefix(input, "LHLO"))
	}
	servers, st, ann := fuzzServer(f)
	f.Fuzz(func(t *testing.T, input []byte, lmtp bool) {
		if len(input) > 64<<10 {
			return
		}
		before := count(t, st, ann)
		mode := MX
		if lmtp {
			mode = LMTP
		}
		replies := parseReplies(t, converse(t, servers[mode], input))
		taken := model(t, input, replies, lmtp)
		if got := count(t, st, ann) - before; got > taken*mailboxes {
			t.Fatalf("%d copies delivered of %d messages: %q", got, taken, input)
		}
	})
}

// seeds are the conversations of the dialogues, as one would pipeline them.
func seeds(f *testing.F) []string {
	f.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	must(f, err)
	var all []string
	for _, file := range files {
		b, err := os.ReadFile(file)
		must(f, err)
		for _, part := range txtar.Parse(b).Files {
			var in strings.Builder
			hello := "EHLO"
			if strings.HasPrefix(filepath.Base(file), "lmtp") {
				hello = "LHLO"
			}
			in.WriteString(hello + " x\r\n")
			for line := range strings.Lines(string(part.Data)) {
				mark, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
				switch mark {
				case "C:":
					in.WriteString(rest + "\r\n")
				case "C+":
					if text, err := strconv.Unquote(rest); err == nil {
						in.WriteString(text)
					}
				}
			}
			if in.Len() < 8<<10 {
				all = append(all, in.String())
			}
		}
	}
	return all
}

// converse sends the input at once, with what ends the session whatever state it
// is in: the end of data, of a sign-in, QUIT, and the end of the connection. It
// returns all output.
func converse(t *testing.T, s *Server, input []byte) []byte {
	t.Helper()
	client, server := socketPair(t)
	must(t, client.SetDeadline(time.Now().Add(wiretest.Patience)))
	var wait sync.WaitGroup
	wait.Go(func() {
		c := wire.NewConn(server, wire.Config{Read: time.Minute, Write: time.Minute})
		s.Serve(context.Background(), c)
		c.Close()
	})
	wait.Go(func() {
		_, _ = client.Write(append(append([]byte(nil), input...), ending...)) // fails when the session is over already
		_ = client.CloseWrite()
	})
	b, _ := io.ReadAll(client) // likewise
	client.Close()
	wait.Wait()
	return b
}

// socketPair returns a connection of which one direction can be closed.
func socketPair(t *testing.T) (client *net.UnixConn, server net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(t, err)
	var ends [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "")
		ends[i], err = net.FileConn(file)
		must(t, err)
		must(t, file.Close())
	}
	return ends[0].(*net.UnixConn), ends[1]
}

const ending = "\r\n.\r\n*\r\nQUIT\r\nQUIT\r\n"

// parseReplies checks the form of all replies and returns their codes.
func parseReplies(t *testing.T, out []byte) []int {
	t.Helper()
	var codes []int
	for len(out) > 0 {
		line, rest, found := bytes.Cut(out, []byte("\r\n"))
		out = rest
		if !found || len(line) < 4 || len(line) > 510 || bytes.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("reply line %q", line)
		}
		code, err := strconv.Atoi(string(line[:3]))
		if err != nil || code < 200 || code > 599 || line[3] != ' ' && line[3] != '-' {
			t.Fatalf("reply line %q", line)
		}
		if line[3] == ' ' {
			codes = append(codes, code)
		}
	}
	return codes
}

// model walks over the input with the replies at hand. It knows that a line gets
// one reply, that after 354 comes data up to CRLF.CRLF, that so many octets
// follow BDAT, and that 334 asks for a line; in LMTP also that a message has as
// many replies as RCPT were taken. It returns how many messages were accepted.
func model(t *testing.T, input []byte, replies []int, lmtp bool) (taken int) {
	t.Helper()
	next := func() (int, bool) {
		if len(replies) == 0 {
			return 0, false
		}
		code := replies[0]
		replies = replies[1:]
		return code, true
	}
	if code, ok := next(); !ok || code != 220 {
		t.Fatalf("no greeting")
	}
	in := append(append([]byte(nil), input...), ending...)
	code, ok := 0, false
	recipients := 1
	others := func() { // replies to a message but the first one
		for lmtp && recipients > 1 {
			if more, ok := next(); ok && more == 250 {
				code = more
			}
			recipients--
		}
	}
	for {
		i := bytes.IndexByte(in, '\n')
		if i < 0 {
			break
		}
		line := in[:i]
		in = in[i+1:]
		size, last, chunk := chunkLine(line)
		chunk = chunk && code != 334
		if chunk && size > len(in) && len(replies) == 0 {
			return taken // the chunk never ended
		}
		if code, ok = next(); !ok {
			t.Fatalf("no reply to a line before %q", in)
		}
		switch {
		case code == 221 || code == 421:
			if len(replies) > 0 {
				t.Fatalf("replies %v after the end", replies)
			}
			return taken
		case code == 220:
			t.Fatal("TLS was started without a certificate")
		case code == 354:
			in = skipData(in)
			if code, ok = next(); !ok {
				return taken // the data never ended
			}
			others()
			if code == 250 {
				taken++
			}
		case chunk:
			in = in[min(size, len(in)):]
			if last && code != 503 {
				others()
			}
			if code == 250 && last {
				taken++
			}
		}
		switch verb := strings.ToUpper(string(line[:min(len(line), 5)])); {
		case code != 250:
		case verb == "RCPT ":
			recipients++
		case verb == "MAIL ":
			recipients = 0
		}
		if len(replies) == 1 && replies[0] == 421 {
			return taken // too many errors, or data sent ahead
		}
	}
	if len(replies) > 0 {
		t.Fatalf("replies %v to nothing", replies)
	}
	return taken
}

var chunkForm = regexp.MustCompile(`^(?i:BDAT) ([0-9]+)(?i:( LAST))? *\r?$`)

// chunkLine reads a BDAT command.
func chunkLine(line []byte) (size int, last, ok bool) {
	m := chunkForm.FindSubmatch(line)
	if m == nil || len(line) > 12000 {
		return 0, false, false
	}
	size, err := strconv.Atoi(string(m[1]))
	return size, m[2] != nil, err == nil
}

// skipData returns what follows the end of mail data.
func skipData(in []byte) []byte {
	if bytes.HasPrefix(in, []byte(".\r\n")) {
		return in[3:]
	}
	if i := bytes.Index(in, []byte("\r\n.\r\n")); i >= 0 {
		return in[i+5:]
	}
	return nil
}

// count returns how many messages an account has.
func count(t *testing.T, st *store.Store, id store.AccountID) int {
	t.Helper()
	u, err := st.Usage(context.Background(), id)
	must(t, err)
	return int(u.Messages)
}
