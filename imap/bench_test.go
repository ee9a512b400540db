package imap

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tripost/store"
)

// The figures of FETCH are those of the server alone: the client is a child
// process that reads and drops what it gets, and CPU time is that of this process.

const benchMessages = 50_000

// fill appends n messages of about 4 KB.
func (w *world) fill(tb testing.TB, box string, n int) {
	tb.Helper()
	ref := w.mailbox(box)
	body := strings.Repeat("All work and no play makes Jack a dull boy, said the other one.\r\n", 56)
	done := make(chan error, 8)
	for worker := range cap(done) {
		go func() {
			for i := worker; i < n; i += cap(done) {
				text := fmt.Sprintf("Date: Sun, 1 Mar 2026 09:%02d:%02d +0000\r\nFrom: \"Jack T\" <jack%d@example.test>\r\n"+
					"To: Ann <ann@example.test>, Boss <boss@example.test>\r\nCc: team@example.test\r\nSubject: Message number %d of the day\r\n"+
					"Message-ID: <%d.jack@example.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s", i/60%60, i%60, i%100, i, i, body)
				d, err := w.store.Draft(w.ctx, int64(len(text)))
				if err == nil {
					d.Write([]byte(text))
					d.Finish()
					_, err = w.store.Append(w.ctx, store.System(), ref, d, store.FlagSet{}, epoch)
					d.Close()
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range cap(done) {
		must(tb, <-done)
	}
}

// TestMain also runs the clients of the benchmarks.
func TestMain(m *testing.M) {
	var err error
	if addr := os.Getenv("IMAP_BENCH_READER"); addr != "" {
		err = benchReader(addr)
	} else if addr := os.Getenv("IMAP_BENCH_IDLERS"); addr != "" {
		err = benchIdlers(addr)
	} else {
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// reader is the client in a process of its own.
type reader struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.Reader
}

// startReader signs a reader in and opens INBOX.
func (w *world) startReader(tb testing.TB) *reader {
	tb.Helper()
	w.run()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "IMAP_BENCH_READER="+w.addr)
	in, err := cmd.StdinPipe()
	must(tb, err)
	out, err := cmd.StdoutPipe()
	must(tb, err)
	cmd.Stderr = os.Stderr
	must(tb, cmd.Start())
	r := &reader{cmd, in, out}
	tb.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	r.do(tb, "LOGIN ann "+password)
	r.do(tb, "SELECT INBOX")
	return r
}

// do has the reader send a command and waits until it has read the completion.
// It returns the number of octets read.
func (r *reader) do(tb testing.TB, command string) int {
	tb.Helper()
	if _, err := io.WriteString(r.in, command+"\n"); err != nil {
		tb.Fatal(err)
	}
	var n int
	var status string
	if _, err := fmt.Fscanln(r.out, &n, &status); err != nil || status != "OK" {
		tb.Fatalf("%s: %s %v", command, status, err)
	}
	return n
}

// benchReader is the child: for each line of its input it sends a command, reads
// up to the completion and prints the octets read and the status.
func benchReader(addr string) error {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	var line [1]byte
	for tag := 1; ; tag++ {
		command := []byte("b" + strconv.Itoa(tag) + " ")
		for {
			if _, err := os.Stdin.Read(line[:]); err != nil {
				return nil
			}
			if line[0] == '\n' {
				break
			}
			command = append(command, line[0])
		}
		if _, err := nc.Write(append(command, "\r\n"...)); err != nil {
			return err
		}
		total, tail := 0, []byte(nil)
		mark := []byte("\r\nb" + strconv.Itoa(tag) + " ")
		for {
			n, err := nc.Read(buf)
			if err != nil {
				return err
			}
			total += n
			tail = append(tail, buf[max(0, n-4096):n]...)
			if i := bytes.LastIndex(tail, mark); i >= 0 && bytes.HasSuffix(tail, []byte("\r\n")) {
				fmt.Println(total, strings.Fields(string(tail[i:]))[1])
				break
			}
			tail = append(tail[:0], tail[max(0, len(tail)-4096):]...)
		}
	}
}

func BenchmarkFetch(b *testing.B) {
	w := newWorld(b, false)
	w.fill(b, "ann/INBOX", benchMessages)
	r := w.startReader(b)
	for _, bench := range []struct{ name, items string }{
		{"flags", "(UID FLAGS)"},
		{"envelope", "(ENVELOPE)"},
		{"bodystructure", "(BODYSTRUCTURE)"},
		{"overview", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT)])"},
		{"body", "(BODY.PEEK[])"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r.do(b, "FETCH 1:* "+bench.items) // warm
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			cpu, octets := cpuTime(), 0
			b.ResetTimer()
			for range b.N {
				octets += r.do(b, "FETCH 1:* "+bench.items)
			}
			b.StopTimer()
			used := cpuTime() - cpu
			runtime.ReadMemStats(&after)
			lines := float64(b.N * benchMessages)
			b.ReportMetric(lines/used.Seconds(), "lines/cpu-s")
			b.ReportMetric(lines/b.Elapsed().Seconds(), "lines/s")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/lines, "allocs/line")
			b.ReportMetric(float64(octets)/lines, "octets/line")
		})
	}
}

func BenchmarkSearch(b *testing.B) {
	w := newWorld(b, false)
	w.fill(b, "ann/INBOX", 10_000)
	r := w.startReader(b)
	for _, command := range []string{
		"SEARCH UNSEEN", "SEARCH FROM jack7", "SEARCH HEADER X-Nothing x", "SEARCH HEADER MIME-Version x", "SEARCH BODY nowhere",
		"SORT (SUBJECT) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL",
	} {
		b.Run(strings.ReplaceAll(command, " ", "_"), func(b *testing.B) {
			r.do(b, command)
			cpu := cpuTime()
			for b.Loop() {
				r.do(b, command)
			}
			b.ReportMetric(float64(b.N*10_000)/(cpuTime()-cpu).Seconds(), "messages/cpu-s")
		})
	}
}

func BenchmarkSelect(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			w := newWorld(b, false)
			w.fill(b, "ann/INBOX", n)
			r := w.startReader(b)
			for b.Loop() {
				r.do(b, "SELECT INBOX")
			}
		})
	}
}

func BenchmarkStatus(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			w := newWorld(b, false)
			w.fill(b, "ann/INBOX", n)
			r := w.startReader(b)
			for b.Loop() {
				r.do(b, "STATUS INBOX (MESSAGES UNSEEN UIDNEXT)")
			}
		})
	}
}

// BenchmarkIdle tells the memory of a session in IDLE, the view included.
func BenchmarkIdle(b *testing.B) {
	w := newWorld(b, false)
	w.deliver("ann/INBOX", "Subject: one\r\n\r\n")
	w.run()
	const n = 1000
	for b.Loop() {
		idle := benchIdle(b, w.addr, n)
		b.ReportMetric(idle/1024, "KiB/session")
	}
}

// benchIdle opens n sessions that idle on INBOX, from a child process, and returns
// the octets of memory that each costs here.
func benchIdle(b *testing.B, addr string, n int) float64 {
	b.Helper()
	before := residentSet()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "IMAP_BENCH_IDLERS="+addr)
	in, err := cmd.StdinPipe()
	must(b, err)
	out, err := cmd.StdoutPipe()
	must(b, err)
	must(b, cmd.Start())
	fmt.Fprintln(in, n)
	var ready int
	if _, err := fmt.Fscanln(out, &ready); err != nil || ready != n {
		b.Fatalf("%d sessions idle: %v", ready, err)
	}
	after := residentSet()
	in.Close()
	must(b, cmd.Wait())
	return float64(after-before) / float64(n)
}

// residentSet is the memory of this process after a collection, in octets: heap
// and stacks.
func residentSet() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// benchIdlers is the child of benchIdle.
func benchIdlers(addr string) error {
	var n int
	if _, err := fmt.Scanln(&n); err != nil {
		return err
	}
	for range n {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		fmt.Fprintf(nc, "a LOGIN ann %s\r\nb SELECT INBOX\r\nc IDLE\r\n", password)
		r := bufio.NewReader(nc)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return err
			}
			if strings.HasPrefix(line, "+ ") {
				break
			}
		}
	}
	fmt.Println(n)
	io.ReadAll(os.Stdin)
	return nil
}

// BenchmarkPush tells how long it takes from the durable commit of a flag change
// until a session in IDLE has read it.
func BenchmarkPush(b *testing.B) {
	w := newWorld(b, false)
	w.deliver("ann/INBOX", "Subject: one\r\n\r\n")
	c := w.connect("ann")
	c.do("SELECT INBOX")
	fmt.Fprint(c.nc, "x IDLE\r\n")
	c.read()
	v := w.open("ann/INBOX")
	c.nc.SetDeadline(time.Now().Add(10 * time.Minute))
	var all []time.Duration
	ops := []store.FlagOp{store.FlagsAdd, store.FlagsRemove}
	for i := 0; b.Loop(); i++ {
		_, _, err := v.SetFlags(w.ctx, uids(b, "1"), ops[i%2], store.FlagSet{System: store.FlagSeen}, 0)
		must(b, err)
		committed := time.Now()
		c.read()
		all = append(all, time.Since(committed))
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "us-median")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "us-p99")
}

// BenchmarkResync tells how long a client needs that comes back to a mailbox in
// which ten messages have changed, four have gone and two have come.
func BenchmarkResync(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			w := newWorld(b, false)
			w.fill(b, "ann/INBOX", n)
			v := w.open("ann/INBOX")
			before := v.State()
			for i := range 10 {
				_, _, err := v.SetFlags(w.ctx, uids(b, strconv.Itoa(i*n/10+1)), store.FlagsAdd, store.FlagSet{System: store.FlagFlagged}, 0)
				must(b, err)
			}
			_, err := v.Expunge(w.ctx, uids(b, "2", "3", strconv.Itoa(n/2), strconv.Itoa(n)), true)
			must(b, err)
			w.deliver("ann/INBOX", "Subject: new\r\n\r\n")
			w.deliver("ann/INBOX", "Subject: new\r\n\r\n")
			r := w.startReader(b)
			r.do(b, "ENABLE QRESYNC")
			command := fmt.Sprintf("SELECT INBOX (QRESYNC (%d %d))", before.UIDValidity, before.HighestModSeq)
			for b.Loop() {
				r.do(b, command)
			}
		})
	}
}
