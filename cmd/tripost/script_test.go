package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"tripost/smtp/queue"
	"tripost/syslog"
)

// A script is a txtar file in testdata. Its section "script" is replayed twice,
// with each command opening the store itself and with a server running, and
// must print the same; "alone" is replayed the first way only, "served" the
// second. Other sections are files put beside the configuration.
//
//	# a comment
//	$ domain list --json      a command; '...' and "..." quote, the second with escapes
//	stdin: secret             a line of its standard input; \xe9 is that octet
//	DOMAIN  MAIN              what it prints, standard output and error together
//	exit 1                    its exit code, when that is not 0
//	@ submit A B              puts a message from A, or <>, to B into the queue
//
// In what is printed "..." stands for any text, alone on a line for any lines;
// empty lines and the number of spaces do not count. $DIR is the directory of
// the configuration, $ID the queue id of the last @ submit.
func TestScripts(t *testing.T) {
	t.Parallel()
	for _, file := range scripts(t) {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			for _, how := range []string{"alone", "served"} {
				if f.Name != how && f.Name != "script" {
					continue
				}
				t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+how, func(t *testing.T) {
					t.Parallel()
					newScript(t, archive, how == "served").replay(string(f.Data))
				})
			}
		}
	}
}

// TestScriptsHaveEveryCommand keeps a new command from going without a script.
func TestScriptsHaveEveryCommand(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, file := range scripts(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				args, _, _ := new(environment).globalFlags(strings.Fields(command))
				if c, _ := find(args); c != nil {
					seen[c.name] = true
				}
			}
		}
	}
	for _, c := range commands {
		if !seen[c.name] {
			t.Errorf("no script in testdata runs %q", c.name)
		}
	}
}

func scripts(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no scripts (%v)", err)
	}
	return files
}

// script is a script being replayed.
type script struct {
	t      *testing.T
	dir    string
	config string
	server *server // nil: each command opens the store itself
	id     string  // of the last message submitted
}

func newScript(t *testing.T, archive *txtar.Archive, served bool) *script {
	t.Helper()
	s := &script{t: t, dir: newSite(t, "")}
	s.config = filepath.Join(s.dir, "tripost.toml")
	for _, f := range archive.Files {
		if f.Name == "script" || f.Name == "alone" || f.Name == "served" {
			continue
		}
		path := filepath.Join(s.dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if served {
		s.server = startServer(t, s.dir).server
	}
	return s
}

func (s *script) replay(text string) {
	s.t.Helper()
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); {
		n := i + 1
		for n < len(lines) && !begins(lines[n]) {
			n++
		}
		switch line := lines[i]; {
		case line == "$", strings.HasPrefix(line, "$ "):
			s.command(line[1:], lines[i+1:n])
		case strings.HasPrefix(line, "@ submit "):
			s.submit(strings.Fields(line[len("@ submit "):]))
		case line != "" && !strings.HasPrefix(line, "# "):
			s.t.Fatalf("%q is not a line of a script", line)
		}
		i = n
	}
}

// begins tells the lines that something new begins with.
func begins(line string) bool {
	return line == "$" || strings.HasPrefix(line, "$ ") || strings.HasPrefix(line, "@ ") || strings.HasPrefix(line, "# ")
}

// command runs one command and compares what it printed.
func (s *script) command(line string, block []string) {
	s.t.Helper()
	args, err := splitArgs(s.expand(line))
	if err != nil {
		s.t.Fatalf("$%s: %v", line, err)
	}
	var stdin strings.Builder
	var want []string
	wantCode := 0
	for _, l := range block {
		if text, ok := strings.CutPrefix(l, "stdin:"); ok {
			stdin.WriteString(strings.ReplaceAll(strings.TrimPrefix(text, " "), `\xe9`, "\xe9") + "\n")
		} else if text, ok := strings.CutPrefix(l, "exit "); ok {
			wantCode, _ = strconv.Atoi(text)
		} else if l = squeeze(s.expand(l)); l != "" {
			want = append(want, l)
		}
	}
	var out bytes.Buffer
	code := run(s.t.Context(), append([]string{"--config", s.config}, args...), strings.NewReader(stdin.String()), &out, &out)
	var got []string
	for l := range strings.Lines(out.String()) {
		if l = squeeze(l); l != "" {
			got = append(got, l)
		}
	}
	if code != wantCode || !matchLines(want, got) {
		s.t.Errorf("$%s\nprinted, with exit code %d:\n  %s\nwant, with %d:\n  %s",
			line, code, strings.Join(got, "\n  "), wantCode, strings.Join(want, "\n  "))
	}
}

func (s *script) expand(text string) string {
	return strings.NewReplacer("$DIR", s.dir, "$ID", s.id).Replace(text)
}

// submit puts a message into the queue as a session would.
func (s *script) submit(addresses []string) {
	s.t.Helper()
	put := func(q *queue.Queue) {
		env := queue.Envelope{
			From: strings.Trim(addresses[0], "<>"), Recipients: addresses[1:],
			Source: queue.Source{Protocol: "ESMTP", Module: "SMTP", Client: true, Log: syslog.Discard().Tag("TEST")},
		}
		receipt, err := q.Submit(s.t.Context(), env, strings.NewReader("Subject: a script\r\n\r\ntext\r\n"))
		if err != nil {
			s.t.Fatalf("submit: %v", err)
		}
		s.id = receipt.ID
	}
	if s.server != nil {
		put(s.server.queue)
		return
	}
	cfg, err := loadConfig(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := openRooms(context.Background(), cfg, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	put(r.queue)
	if err := r.close(); err != nil {
		s.t.Fatal(err)
	}
}

// argument is one word of a command line, quoted or not.
var argument = regexp.MustCompile(`'[^']*'|"(?:[^"\\]|\\.)*"|[^\s'"]+`)

func splitArgs(line string) ([]string, error) {
	var args []string
	for _, word := range argument.FindAllString(line, -1) {
		switch word[0] {
		case '\'':
			word = word[1 : len(word)-1]
		case '"':
			var err error
			if word, err = strconv.Unquote(word); err != nil {
				return nil, fmt.Errorf("%s: %w", word, err)
			}
		}
		args = append(args, word)
	}
	return args, nil
}

func squeeze(line string) string { return strings.Join(strings.Fields(line), " ") }

// matchLines compares with "..." for any lines.
func matchLines(want, got []string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	if want[0] == "..." {
		for skip := range len(got) + 1 {
			if matchLines(want[1:], got[skip:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && matchLine(want[0], got[0]) && matchLines(want[1:], got[1:])
}

// matchLine compares with "..." for any text.
func matchLine(want, got string) bool {
	parts := strings.Split(want, "...")
	if len(parts) == 1 {
		return want == got
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(got) < len(first)+len(last) || !strings.HasPrefix(got, first) || !strings.HasSuffix(got, last) {
		return false
	}
	got = got[len(first) : len(got)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(got, part)
		if !found {
			return false
		}
		got = after
	}
	return true
}
