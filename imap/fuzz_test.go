package imap

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"tripost/wire/wiretest"
)

// scriptCommands returns what the clients in the dialogues send, without tags.
func scriptCommands(tb testing.TB) []string {
	files, err := filepath.Glob("testdata/*.txtar")
	must(tb, err)
	var commands []string
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		must(tb, err)
		for _, f := range archive.Files {
			for line := range strings.Lines(string(f.Data)) {
				if text, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "C: "); found && len(text) < 500 {
					_, command, _ := strings.Cut(text, " ")
					commands = append(commands, command)
				}
			}
		}
	}
	return commands
}

// FuzzCommand holds every branch of the grammar against any octets: parsing ends,
// stays within the command, and what was taken is within the limits.
func FuzzCommand(f *testing.F) {
	for _, c := range scriptCommands(f) {
		_, args, _ := strings.Cut(c, " ")
		f.Add([]byte(args))
	}
	f.Add([]byte("{5}\r\nab\"c\\ {3+}\r\n\x00\xff("))
	f.Fuzz(func(t *testing.T, args []byte) {
		limits := Limits{SetRanges: 50, SearchKeys: 50, SearchDepth: 10, FetchItems: 50}.withDefaults()
		branches := []func(p *parser){
			func(p *parser) { p.astring() },
			func(p *parser) { p.nstring() },
			func(p *parser) { p.statusItems() },
			func(p *parser) { p.storeModifiers() },
			func(p *parser) { p.fetchModifiers(&fetchModifiers{}) },
			func(p *parser) {
				params := selectParams{ranges: limits.SetRanges}
				if p.selectParams(&params); p.err == nil && params.resync != nil && params.resync.seqs.Count() != params.resync.uids.Count() {
					t.Fatal("as many UIDs as sequence numbers are needed")
				}
			},
			func(p *parser) {
				if r := p.listRequest(limits.Pattern); p.err == nil && !r.extended && len(r.patterns) != 1 {
					t.Fatalf("%d patterns in the basic form", len(r.patterns))
				}
			},
			func(p *parser) { p.listMailbox() },
			func(p *parser) { checkName(t, p.mailbox()) },
			func(p *parser) {
				if set := p.set(limits.SetRanges); p.err == nil && !isSaved(set) {
					checkSet(t, set)
				}
			},
			func(p *parser) { checkPlan(t, p.fetchPlan(limits.FetchItems), limits) },
			func(p *parser) { p.searchProgram(searchTerms{limits: limits}) },
			func(p *parser) { p.charsetProgram(searchTerms{limits: limits}) },
			func(p *parser) { p.returns() },
			func(p *parser) { p.sortCriteria() },
			func(p *parser) { p.sources() },
			func(p *parser) { p.flagList() },
			func(p *parser) { p.storeItem() },
			func(p *parser) { p.storeFlags() },
			func(p *parser) { p.createUses() },
			func(p *parser) { p.idFields() },
			func(p *parser) { p.dateTime() },
			func(p *parser) { p.date() },
			func(p *parser) { p.base64() },
			func(p *parser) { p.modRights() },
			func(p *parser) { p.entryNames(limits.FetchItems) },
			func(p *parser) { p.metadataOptions(new(metadataWant)) },
			func(p *parser) { p.notifyGroups(limits.FetchItems) },
			func(p *parser) { p.value() },
		}
		for i, branch := range branches {
			p := parser{b: args}
			branch(&p)
			if p.i < 0 || p.i > len(args) {
				t.Fatalf("branch %d read to %d of %d", i, p.i, len(args))
			}
			p.end()
		}
		if lit, at, ok := literalTail(args); ok && (at < 0 || lit.size < 0 || args[len(args)-1] != '}') {
			t.Fatalf("literal %v at %d of %q", lit, at, args)
		}
	})
}

func checkName(t *testing.T, name string) {
	back, err := decodeUTF7(appendUTF7(nil, name))
	if err != nil || back != name {
		t.Fatalf("name %q comes back as %q, %v", name, back, err)
	}
}

func checkSet(t *testing.T, set []numRange) {
	for _, n := range []int{0, 1, 7, 100_000} {
		q, err := resolveSeqs(set, n, false)
		must(t, err)
		last := 0
		for _, r := range q {
			if r.lo <= last || r.hi < r.lo || r.hi > n {
				t.Fatalf("set %v in a mailbox of %d gives %v", set, n, q)
			}
			last = r.hi
		}
	}
}

func checkPlan(t *testing.T, plan fetchPlan, l Limits) {
	if len(plan.sections) > l.FetchItems {
		t.Fatalf("%d sections", len(plan.sections))
	}
	for _, s := range plan.sections {
		if bytes.ContainsAny(s.label, "\r\n") && !bytes.Contains(s.label, []byte("{")) {
			t.Fatalf("label %q", s.label)
		}
	}
}

// FuzzPattern compares LIST matching with the definition of the wildcards.
func FuzzPattern(f *testing.F) {
	f.Add("*a*a*b", "aaaaaaaa")
	f.Add("%/%", "a/b")
	f.Add("in*", "INBOX/x")
	f.Add("%*%", "")
	f.Add(strings.Repeat("x", 70)+"%", strings.Repeat("x", 80))
	f.Fuzz(func(t *testing.T, text, name string) {
		if len(text) > 100 || len(name) > 100 || strings.HasPrefix(name, "INBOX") {
			return
		}
		if got, want := newPattern(text).match(name), naiveMatch(text, name, make(map[[2]int]bool)); got != want {
			t.Fatalf("pattern %q, name %q: %v, want %v", text, name, got, want)
		}
	})
}

// naiveMatch is the definition, with what has failed already remembered.
func naiveMatch(text, name string, failed map[[2]int]bool) bool {
	key := [2]int{len(text), len(name)}
	switch {
	case failed[key]:
		return false
	case text == "":
		return name == ""
	case text[0] == '*' || text[0] == '%':
		if naiveMatch(text[1:], name, failed) ||
			name != "" && (text[0] == '*' || name[0] != '/') && naiveMatch(text, name[1:], failed) {
			return true
		}
	case name != "" && name[0] == text[0] && naiveMatch(text[1:], name[1:], failed):
		return true
	}
	failed[key] = true
	return false
}

// FuzzSession sends lines as commands with tags of their own: each gets exactly
// one tagged response, or the session ends with BYE.
func FuzzSession(f *testing.F) {
	commands := scriptCommands(f)
	for i := 0; i+5 < len(commands); i += 5 {
		f.Add(strings.Join(commands[i:i+5], "\n"))
	}
	f.Add("APPEND INBOX {3}\nSELECT INBOX\nFETCH 1:* (ENVELOPE BODY[]<0.9>)\nSTORE 1 +FLAGS (x)\nIDLE\nCLOSE")
	w := newWorld(f, false)
	w.setLimit("bad", 1<<30)
	w.setLimit("failures", 1<<30)
	w.deliver("ann/INBOX", "Subject: one\r\n\r\nbody\r\n")
	w.run()
	f.Fuzz(func(t *testing.T, script string) {
		nc, err := net.Dial("tcp", w.addr) // w belongs to f, which must not be used in here
		must(t, err)
		s := newFuzzSession(t, nc)
		defer s.nc.Close()
		s.command("LOGIN ann " + password)
		for i, line := range strings.Split(script, "\n") {
			if i == 20 || s.ended || strings.Contains(line, "\r") {
				break
			}
			s.command(line)
		}
	})
}

type fuzzSession struct {
	t     *testing.T
	nc    net.Conn
	r     *bufio.Reader
	tag   int
	ended bool
}

func newFuzzSession(t *testing.T, nc net.Conn) *fuzzSession {
	s := &fuzzSession{t: t, nc: nc, r: bufio.NewReader(nc)}
	s.line()
	return s
}

// line reads one line; "" at the end of the connection.
func (s *fuzzSession) line() string {
	s.nc.SetReadDeadline(time.Now().Add(wiretest.Patience))
	line, err := s.r.ReadString('\n')
	if err != nil && err != io.EOF {
		s.t.Fatalf("waiting for a response: %v", err)
	}
	return line
}

// command sends a line with what its literals announce, answers every request for
// more, and waits for the tagged response.
func (s *fuzzSession) command(text string) {
	s.tag++
	tag := "tag" + strconv.Itoa(s.tag)
	s.send(tag + " " + text)
	for {
		line := s.line()
		switch {
		case line == "" || strings.HasPrefix(line, "* BYE"):
			s.ended = true
			return
		case strings.HasPrefix(line, "+ "):
			s.send(continuation(text))
		case strings.HasPrefix(line, tag+" "):
			s.ended = strings.HasPrefix(line, tag+" OK Compression") // what follows would have to be compressed
			return
		case strings.HasPrefix(line, "tag"):
			s.t.Fatalf("%q is a second response to an earlier command, before that to %q", line, text)
		case strings.HasPrefix(line, "* BAD"): // the line was too long for its tag to be seen
			return
		}
	}
}

// continuation is what a client says after "+": the literal, or the end of IDLE.
func continuation(text string) string {
	if lit, _, ok := literalTail([]byte(text)); ok {
		return strings.Repeat("x", int(min(lit.size, 1<<20)))
	}
	return "DONE"
}

func (s *fuzzSession) send(text string) {
	if lit, _, ok := literalTail([]byte(text)); ok && lit.plus && lit.size < 1<<20 {
		text += "\r\n" + strings.Repeat("x", int(lit.size))
	}
	s.nc.SetWriteDeadline(time.Now().Add(wiretest.Patience))
	fmt.Fprintf(s.nc, "%s\r\n", text)
}
