package router

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func BenchmarkRoute(b *testing.B) {
	for _, size := range []int{10, 10_000} {
		b.Run(fmt.Sprint(size, " accounts"), func(b *testing.B) {
			if size > 10 && testing.Short() {
				b.Skip("making them takes a while")
			}
			benchmarkRoute(b, size)
		})
	}
}

func benchmarkRoute(b *testing.B, size int) {
	r := openRouter(b, testOptions())
	var wg sync.WaitGroup
	for first := range 100 { // at once, to share the syncs
		wg.Go(func() {
			for i := first; i < size; i += 100 {
				if _, err := r.directory.AddAccount(b.Context(), fmt.Sprint("user", i), ""); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	setTable(b, r, largeTable(size)...)
	for _, addr := range []string{
		"user7@company.test", "ann@client1.test", "jim@elsewhere.test", "nobody@company.test", "postmaster",
		"name7", "x@dom7.test", "x@a.wild7.test", "list7-x@company.test",
		"user8@company.test", // once more, when the store has come to rest
	} {
		b.Run(addr, func(b *testing.B) {
			b.ReportAllocs()
			start := processTime(b)
			for b.Loop() {
				if _, err := r.Route(b.Context(), addr, ForMail, false); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(processTime(b)-start)/float64(b.N), "cpu-ns/op")
		})
	}
}

// processTime is what the process has used of the processors: unlike the time on
// the clock it does not grow when others use them too.
func processTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// largeTable has records of each form.
func largeTable(size int) []string {
	records := []string{"* = smart.provider.test._via"}
	for i := range size / 4 {
		records = append(records,
			fmt.Sprintf("<name%d> = user%d", i, i%10),
			fmt.Sprintf("dom%d.test = dom%d.example", i, i),
			fmt.Sprintf("*.wild%d.test = gate%d.test._via", i, i),
			fmt.Sprintf("<list%d-*> = null", i))
	}
	return records
}

func BenchmarkParseTable(b *testing.B) {
	text := strings.Join(largeTable(10_000), "\n")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, problems := parseTable(text); problems != nil {
			b.Fatal(problems)
		}
	}
}

func BenchmarkPreview(b *testing.B) {
	r := openRouter(b, testOptions())
	text := strings.Join(largeTable(10_000), "\n")
	for b.Loop() {
		if _, err := r.Preview(b.Context(), Replace(text)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFind measures what the table adds to each round of an address.
func BenchmarkFind(b *testing.B) {
	table, problems := parseTable(strings.Join(largeTable(10_000), "\n"))
	if problems != nil {
		b.Fatal(problems)
	}
	f := &table.mail.first
	for _, a := range []address{{local: "user7"}, {"jim", "elsewhere.test"}, {local: "name7"}, {"x", "a.wild7.test"}} {
		b.Run(a.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.find(a, "company.test")
			}
		})
	}
}
