package syslog

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

// at returns a clock that stands at a local time of January 2026.
func at(day, hour, minute int) *clock {
	return &clock{t: time.Date(2026, 1, day, hour, minute, 7, 349e6, time.Local)}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// open opens a log that the test closes at its end if it has not yet.
func open(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func content(t testing.TB, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("never: " + what)
		}
	}
}

// everything logs one record of each shape.
func everything(l *Log) {
	pop := l.Tag("POP").Session(netip.MustParseAddrPort("192.0.2.7:51022"))
	pop.Log(Protocol, "cmd: USER jsmith")
	pop.Logf(Major, "'%s' connected", "jsmith")
	l.Tag("POP").Session(netip.MustParseAddrPort("[2001:db8::7]:40000")).Log(Raw, "a\r\nb\x00")
	l.Tag("IMAP").Session(netip.MustParseAddrPort("[::ffff:192.0.2.8]:143")).Log(Problem, "mapped")
	l.Tag("LMTP").Session(netip.AddrPort{}).Log(Protocol, "from a Unix socket")
	l.Tag("QUEUE").Named("1134").Log(Major, "deleted", Field{"octets", 6910}, Field{"sender", "a@b.test"},
		Field{"took", 1500 * time.Millisecond}, Field{"to", []string{"c@d.test", "e\n@f.test"}}, Field{"last", true}, Field{"odd", struct{}{}}, Field{"none", nil})
	l.Tag("SYSTEM").Log(Crash, "store damaged")
}

func TestTextForm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, Options{Directory: dir, Level: Raw, Now: at(27, 9, 5).now})
	everything(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	want := `09:05:07.349 4 POP-000001([192.0.2.7]:51022) cmd: USER jsmith
09:05:07.349 2 POP-000001([192.0.2.7]:51022) 'jsmith' connected
09:05:07.349 5 POP-000002([2001:db8::7]:40000) a\r\nb\x00
09:05:07.349 3 IMAP-000001([192.0.2.8]:143) mapped
09:05:07.349 4 LMTP-000001 from a Unix socket
09:05:07.349 2 QUEUE([1134]) deleted
09:05:07.349 0 SYSTEM store damaged
`
	if got := content(t, dir, "2026-01-27.log"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestJSONForm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, Options{Directory: dir, Level: Raw, JSON: true, Now: at(27, 9, 5).now})
	everything(l)
	l.Close()
	stamp := at(27, 9, 5).t.Format(jsonTime)
	want := []string{
		`"level":4,"tag":"POP","session":"POP-000001","remote":"192.0.2.7:51022","text":"cmd: USER jsmith"}`,
		`"level":2,"tag":"POP","session":"POP-000001","remote":"192.0.2.7:51022","text":"'jsmith' connected"}`,
		`"level":5,"tag":"POP","session":"POP-000002","remote":"[2001:db8::7]:40000","text":"a\\r\\nb\\x00"}`,
		`"level":3,"tag":"IMAP","session":"IMAP-000001","remote":"192.0.2.8:143","text":"mapped"}`,
		`"level":4,"tag":"LMTP","session":"LMTP-000001","text":"from a Unix socket"}`,
		`"level":2,"tag":"QUEUE","name":"1134","text":"deleted","octets":6910,"sender":"a@b.test","took":1.5,"to":["c@d.test","e\\n@f.test"],"last":true,"odd":"(a struct {})","none":"(a <nil>)"}`,
		`"level":0,"tag":"SYSTEM","text":"store damaged"}`,
	}
	lines := strings.Split(strings.TrimSuffix(content(t, dir, "2026-01-27.log"), "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d records: %q", len(lines), lines)
	}
	for i, line := range lines {
		if line != `{"time":"`+stamp+`",`+want[i] || !json.Valid([]byte(line)) {
			t.Errorf("got  %s\nwant ... %s", line, want[i])
		}
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, Options{Directory: dir, Level: Major, Levels: map[string]Level{"POP": Protocol}, Now: at(27, 9, 5).now})
	pop, imap := l.Tag("POP").Session(netip.AddrPort{}), l.Tag("IMAP")
	log := func(what string) {
		for level := Crash; level <= Raw; level++ {
			pop.Log(level, what)
			imap.Log(level, what)
		}
	}
	log("first")
	if !pop.On(Protocol) || pop.On(Raw) || imap.On(Problem) {
		t.Error("On before the change")
	}
	l.SetLevels(Failure, map[string]Level{"IMAP": Problem})
	log("second")
	if pop.On(Major) || !imap.On(Problem) || l.Tag("SMTP").On(Major) {
		t.Error("On after the change")
	}
	l.Close()
	got := content(t, dir, "2026-01-27.log")
	for what, want := range map[string]int{"POP-000001 first": 5, "IMAP first": 3, "POP-000001 second": 2, "IMAP second": 4} {
		if n := strings.Count(got, what); n != want {
			t.Errorf("%s: %d records, want %d", what, n, want)
		}
	}
}

func TestParseLevel(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]Level{"0": Crash, "3": Problem, "raw": Raw, "Protocol": Protocol} {
		if got, err := ParseLevel(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "6", "-1", "03", "debug"} {
		if got, err := ParseLevel(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
	if s := Major.String() + " " + Level(9).String() + " " + off.String(); s != "major level(9) level(-1)" {
		t.Error(s)
	}
}

func TestSilentLoggers(t *testing.T) {
	t.Parallel()
	var none *Logger
	for _, g := range []*Logger{none, none.Session(netip.AddrPort{}), none.Named("x"), Discard().Tag("POP")} {
		g.Log(Crash, "nothing")
		g.Logf(Crash, "%d", 1)
		if g.On(Crash) || g.ID() != "" {
			t.Error("not silent")
		}
	}
	d := Discard()
	g := d.Tag("POP").Session(netip.AddrPort{})
	d.SetLevels(Raw, map[string]Level{"POP": Raw})
	if g.On(Crash) || g.ID() != "POP-000001" {
		t.Error("discard writes")
	}
	if err := errors.Join(d.Reopen(), d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
}

func TestLevelOffCostsNothing(t *testing.T) {
	g := Discard().Tag("POP")
	text, n := strings.Repeat("x", 10), 123456
	allocs := testing.AllocsPerRun(100, func() {
		g.Log(Raw, text, Field{"octets", n}, Field{"name", text})
		if g.On(Raw) {
			g.Logf(Raw, "%s %d", text, n)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestOneRecordIsOneLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain text":                            "plain text",
		"tab\tcr\rlf\nesc\x1b[2J\x7f":           `tab\tcr\rlf\nesc\x1b[2J\x7f`,
		"Gr\u00fc\u00dfe \u65e5\u672c":          "Gr\u00fc\u00dfe \u65e5\u672c",
		"latin1 \xfc\xff":                       `latin1 \xfc\xff`,
		"c1 \u0085 line \u2028 bidi \u202e end": `c1 \u{85} line \u{2028} bidi \u{202e} end`,
		`\Seen`:                                 `\Seen`,
	} {
		if got := escape(in, maxText); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if got := escape(strings.Repeat("x", 100), 10); got != "xxxxxxxxxx... (90 octets more)" {
		t.Errorf("cut: %q", got)
	}
	if got := escape(strings.Repeat("\r", 100), 10); got != `\r\r\r\r\r... (95 octets more)` {
		t.Errorf("cut: %q", got)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("\x1b\r\n\xff\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		got := escape(s, 100)
		if len(got) > 100+len("... (18446744073709551615 octets more)") {
			t.Errorf("%d octets", len(got))
		}
		for _, r := range got {
			if r < ' ' || r == 0x7f || r == 0xfffd && !strings.Contains(s, "\ufffd") {
				t.Errorf("%q left in %q", r, got)
			}
		}
	})
}

// A serious record is on its way to the disk when Log returns, for the process
// may end next.
func TestSeriousRecordsAreWrittenAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, Options{Directory: dir, Level: Raw, Now: at(27, 9, 5).now})
	l.queue.wait = time.Minute // the disk of a busy machine may be slow
	for i := range 20 {
		text := fmt.Sprintf("record %d", i)
		l.Tag("STORE").Log(Level(i%2), text)
		if !strings.Contains(content(t, dir, "2026-01-27.log"), text) {
			t.Fatalf("%s is not there", text)
		}
	}
}

func TestManySessions(t *testing.T) {
	t.Parallel()
	const sessions, records = 20, 500
	dir := t.TempDir()
	l := open(t, Options{Directory: dir, Level: Raw})
	var all sync.WaitGroup
	for range sessions {
		all.Go(func() {
			g := l.Tag("SMTPI").Session(netip.AddrPort{})
			for i := range records {
				g.Logf(Protocol, "%s says %d", g.ID(), i)
			}
		})
	}
	all.Wait()
	l.Close()
	next := make(map[string]int)
	clock := ""
	err := Read(t.Context(), dir, Filter{Level: Raw}, false, func(line string) error {
		var session, again string
		var level, n int
		var at string
		if _, err := fmt.Sscanf(line, "%s %d %s %s says %d", &at, &level, &session, &again, &n); err != nil || session != again {
			return fmt.Errorf("%q: %v", line, err)
		}
		if n != next[session] || at < clock && clock < "23:59" {
			return fmt.Errorf("out of order: %q after %s", line, clock)
		}
		next[session]++
		clock = at
		return nil
	})
	if err != nil || len(next) != sessions {
		t.Fatalf("%d sessions, %v", len(next), err)
	}
	for s, n := range next {
		if n != records {
			t.Errorf("%s: %d records", s, n)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	if _, err := Open(Options{Directory: filepath.Join(file, "logs")}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
	l := open(t, Options{Directory: filepath.Join(t.TempDir(), "a", "b"), Level: Raw})
	l.Close()
	l.Tag("POP").Log(Crash, "too late")
	if err := l.Reopen(); !errors.Is(err, ErrClosed) {
		t.Errorf("reopen: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("a second close: %v", err)
	}
}

func BenchmarkLog(b *testing.B) {
	for name, asJSON := range map[string]bool{"text": false, "json": true} {
		b.Run(name, func(b *testing.B) {
			l := open(b, Options{Directory: b.TempDir(), Level: Raw, JSON: asJSON})
			g := l.Tag("POP").Session(netip.MustParseAddrPort("192.0.2.7:51022"))
			b.ReportAllocs()
			for b.Loop() {
				g.Log(Protocol, "cmd: RETR 17", Field{"octets", 6910})
			}
		})
	}
}

func BenchmarkOff(b *testing.B) {
	g := Discard().Tag("POP")
	for b.Loop() {
		g.Log(Protocol, "cmd: RETR 17", Field{"octets", 6910})
	}
}
