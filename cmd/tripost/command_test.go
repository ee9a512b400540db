package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// TestHostileArguments runs every command with arguments that no sane person
// gives: each ends with an error that is short and cannot steer a terminal, and
// nothing is changed.
func TestHostileArguments(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "")
	startServer(t, dir)
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "", "account", "add", "ann")
	before := mustRun(t, dir, "", "store", "check")
	hostile := []string{
		"\x1b[2J\x07", "a\r\nb", "\x00", "", " ", "\xff\xfe", "../../etc/passwd", "$(reboot)", "%s%n", "\u202e\u0085", "=", "@", "#@",
		strings.Repeat("x", 100_000), strings.Repeat("a/", 50_000), strings.Repeat("é@", 10_000),
	}
	for _, c := range commands {
		switch {
		case c.name == "serve", c.args == "":
			continue
		case c.name == "route test": // explains any address, and changes nothing
			continue
		case c.name == "store backup", c.name == "store rescue": // make what they are told to: see TestDirectories
			continue
		}
		for _, h := range hostile {
			args := append(strings.Fields(c.name), fill(c.args, h)...)
			code, out := tripost(t, dir, "", args...)
			if code == exitDone && h == "" { // no name of a domain: the Main Domain, or all
				continue
			}
			if code != exitFailed && code != exitUsage {
				t.Errorf("%s with %.40q: exit code %d: %.200s", c.name, h, code, out)
			}
			if len(out) > 2000 {
				t.Errorf("%s with %.40q: %d octets of error", c.name, h, len(out))
			}
			if i := strings.IndexFunc(out, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }); i >= 0 {
				t.Errorf("%s with %.40q prints %.200q", c.name, h, out[i:])
			}
		}
	}
	if after := mustRun(t, dir, "", "store", "check"); !sameCounts(before, after) {
		t.Errorf("the store was changed:\n%s%s", before, after)
	}
}

// TestSettingsHelp holds the help for settings to what the server takes.
func TestSettingsHelp(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "")
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "", "account", "add", "ann")
	for _, args := range [][]string{{"domain", "set", "company.test"}, {"account", "set", "ann"}} {
		c, _ := find(args)
		if _, out := tripost(t, dir, "", append(args, "nonsense=1")...); !strings.Contains(out, "("+c.help+")") {
			t.Errorf("the help for %s is %q, the server says %s", c.name, c.help, out)
		}
	}
}

// fill makes arguments as a usage line asks for, all of them h.
func fill(usage, h string) []string {
	var args []string
	for _, word := range strings.Fields(usage) {
		switch {
		case word == "...", strings.HasPrefix(word, "[--"):
		case word == "KEY=VALUE":
			args = append(args, h+"="+h)
		default:
			args = append(args, h)
		}
	}
	return args
}

// sameCounts compares what a check counted, up to the octets on disk.
func sameCounts(a, b string) bool {
	a, _, _ = strings.Cut(a, ";")
	b, _, _ = strings.Cut(b, ";")
	return a == b
}

// TestFindConfig follows the order in which a configuration is looked for.
func TestFindConfig(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("TRIPOST_CONFIG", "")
	if got := findConfig(""); got != "/etc/tripost/tripost.toml" {
		t.Errorf("with nothing else it is %q", got)
	}
	writeFile(t, "tripost.toml", "hostname = \"here.test\"\n")
	if got := findConfig(""); got != "tripost.toml" {
		t.Errorf("with a file here it is %q", got)
	}
	t.Setenv("TRIPOST_CONFIG", "other.toml")
	if got := findConfig(""); got != "other.toml" {
		t.Errorf("with $TRIPOST_CONFIG it is %q", got)
	}
	writeFile(t, "flag.toml", "hostname = \"flag.test\"\n")
	for _, args := range [][]string{
		{"--config", "flag.toml", "config", "show"}, {"config", "--config=flag.toml", "show"}, {"config", "show", "--config", "flag.toml"},
	} {
		var out bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &out, &out); code != exitDone || !strings.Contains(out.String(), "flag.test") {
			t.Errorf("%q: exit code %d: %s", args, code, &out)
		}
	}
}

// TestFollowLog follows the log until the command is interrupted.
func TestFollowLog(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "log.level = 4\n")
	r := startServer(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	var out lockedBuffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"log", "--follow", "--tag", "POP", "--config", filepath.Join(dir, "tripost.toml")}, strings.NewReader(""), &out, &out)
	}()
	r.dial("IMAP", "* OK").say("a NOOP of another tag")
	r.dial("POP", "+OK").say("NOOP of this tag")
	eventually(t, "the record is followed", func() bool { return strings.Contains(out.String(), "NOOP of this tag") })
	cancel()
	if c := <-code; c != exitDone {
		t.Errorf("exit code %d: %s", c, out.String())
	}
	if strings.Contains(out.String(), "another tag") {
		t.Errorf("another tag is followed too: %s", out.String())
	}
}

// TestInterrupt ends a command that waits for its standard input.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"alone", "served"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := newSite(t, "")
			if how == "served" {
				startServer(t, dir)
			}
			mustRun(t, dir, "", "domain", "add", "company.test")
			mustRun(t, dir, "", "account", "add", "ann")
			stdin, feed, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer feed.Close()
			ctx, cancel := context.WithCancel(t.Context())
			var out lockedBuffer
			code := make(chan int, 1)
			go func() {
				code <- run(ctx, []string{"message", "import", "ann", "INBOX", "-", "--config", filepath.Join(dir, "tripost.toml")}, stdin, &out, &out)
			}()
			// More than a pipe holds: when it is written, the command reads.
			if _, err := io.WriteString(feed, "From x\n\nwhole\n\nFrom y\n\n"+strings.Repeat("half\n", 100_000)); err != nil {
				t.Fatal(err)
			}
			cancel()
			if c := <-code; c != exitFailed || !strings.Contains(out.String(), "interrupted") {
				t.Errorf("exit code %d: %s", c, out.String())
			}
			eventually(t, "only what came whole is kept", func() bool {
				return strings.Contains(mustRun(t, dir, "", "store", "check"), " 1 messages, 0 removed ones kept")
			})
			if out := mustRun(t, dir, "", "message", "export", "ann", "INBOX", "-"); !strings.Contains(out, "\nwhole\n") {
				t.Errorf("exported: %.200s", out)
			}
		})
	}
}
