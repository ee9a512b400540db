package main

import (
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sample is a report with a figure of each kind.
func sample(t *testing.T, page string) *report {
	t.Helper()
	r, err := readReport(page)
	if err != nil {
		t.Fatal(err)
	}
	begin := func(name string) {
		r.begin(name, time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC), 2*time.Second, []string{"tripost 0.1.0", "Dovecot 2.3"})
	}
	begin("pop")
	r.add("RETR of 4 KB, 1 connection, pipelined", "/s",
		value{"tripost", 180_000, 4}, value{"dovecot, maildir", 23_000, 18}, value{"dovecot, sdbox", 59_000, 16})
	r.add("RETR of 4 KB, 1 connection, one by one", "/s", value{"tripost", 10_000, 20}, value{"dovecot, sdbox", 9000, 25})
	r.alone("RETR of 1 MB, 1 connection, of a plain copy", " %", 75)
	begin("imap")
	r.add("STORE one flag on 10,000", "/s", value{Server: "tripost", Amount: 50}, value{Server: "dovecot, sdbox", Amount: 100})
	begin("memory")
	r.alone("after start, with 200 accounts", " MiB", 21.25)
	begin("idle")
	r.alone("POP, plain, of 5000", " KiB", 12)
	return r
}

// TestPage looks for what a reader would: values, ratios, what is asked, and whether
// it is reached.
func TestPage(t *testing.T) {
	page := string(sample(t, "").page("performance.svg"))
	for _, want := range []string{
		"| what | tripost | dovecot, maildir | dovecot, sdbox | ratio | CPU | asked | reached |",
		"| RETR of 4 KB, 1 connection, pipelined | 180,000/s | 23,000/s | 59,000/s | 3.1 | 0.25 | 3 times, a third of the CPU | yes |",
		"| RETR of 4 KB, 1 connection, one by one | 10,000/s |  | 9,000/s | 1.1 | 0.8 | 1.5 times, a third of the CPU | **no** |",
		"| RETR of 1 MB, 1 connection, of a plain copy | 75 % |  |  |  |  | at least 80 % | **no** |",
		"| STORE one flag on 10,000 | 50/s | 100/s | 0.5 |  | ahead | **no** |",
		"| after start, with 200 accounts | 21.2 MiB |  |  |",
		"| POP, plain, of 5000 | 12 KiB | at most 10 KiB | **no** |",
		"2026-01-05 10:00 UTC; ", "tripost 0.1.0, Dovecot 2.3; each figure over 2 s; load averages",
		"](performance.svg)",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q:\n%s", want, page)
		}
	}
}

// TestReportIsKept: a run that is repeated replaces its figures, and the others stay.
func TestReportIsKept(t *testing.T) {
	page := filepath.Join(t.TempDir(), "performance.md")
	if err := sample(t, page).write(page); err != nil {
		t.Fatal(err)
	}
	r, err := readReport(page)
	if err != nil {
		t.Fatal(err)
	}
	r.begin("idle", time.Now(), time.Second, nil)
	if len(r.Results["idle"].Figures) != 1 {
		t.Error("a run that has seen nothing yet has taken away what was there")
	}
	r.alone("POP, plain, of 5000", " KiB", 5)
	r.alone("POP, TLS, of 5000", " KiB", 9)
	if err := r.write(page); err != nil {
		t.Fatal(err)
	}
	again, err := readReport(page)
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Results) != 4 || len(again.Results["idle"].Figures) != 2 || len(again.Results["pop"].Figures) != 3 {
		t.Errorf("kept: %+v", again.Results)
	}
}

// TestChart: well-formed, and a bar for each figure that has a ratio.
func TestChart(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(string(sample(t, "").chart())))
	bars := map[string]int{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			for _, a := range e.Attr {
				if a.Name.Local == "class" {
					bars[a.Value]++
				}
			}
		}
	}
	if bars["ahead"] != 2 || bars["behind"] != 1 {
		t.Errorf("bars: %v", bars)
	}
}

// TestGoals: every figure of the runs beside others has a goal.
func TestGoals(t *testing.T) {
	for _, m := range popMeasures("") {
		if _, ok := goalOf("pop", m.name); !ok {
			t.Errorf("nothing is asked of %q", m.name)
		}
	}
	for _, m := range imapMeasures("") {
		g, _ := goalOf("imap", m.name)
		want := 1.0
		for _, begin := range []string{"FETCH ", "SEARCH ", "APPEND of 4 KB, 20"} {
			if strings.HasPrefix(m.name, begin) {
				want = 3
			}
		}
		if g.times != want {
			t.Errorf("%q: asked is %v times, want %v", m.name, g.times, want)
		}
	}
}

// TestGrowthTable: columns for the stages, and whether the largest stays near the
// first.
func TestGrowthTable(t *testing.T) {
	r, err := readReport("")
	if err != nil {
		t.Fatal(err)
	}
	r.begin("growth", time.Now(), time.Second, nil)
	r.grown(&growth{Stages: []stage{{10_000, 10}, {1_000_000, 10_000}}})
	for _, stage := range [][3]float64{{40, 100, 0.2}, {80, 120, 0.4}} {
		r.current.Growth.note(grown{What: "LIST", Unit: " us", Factor: 1.5}, stage[0])
		r.current.Growth.note(grown{What: "RETR", Unit: " us", Factor: 1.5}, stage[1])
		r.current.Growth.note(grown{What: "start after a clean stop", Unit: " s", Most: 1}, stage[2])
		r.current.Growth.note(grown{What: "start after a kill", Unit: " s", Most: 1, UpTo: 100_000}, stage[0]/50)
	}
	page := string(r.page("performance.svg"))
	for _, want := range []string{
		"| for each | 10,000 messages, 10 accounts | 1,000,000 messages, 10,000 accounts | largest to first | asked | reached |",
		"| LIST | 40 us | 80 us | 2 | within 1.5 times | **no** |",
		"| RETR | 100 us | 120 us | 1.2 | within 1.5 times | yes |",
		"| start after a clean stop | 0.2 s | 0.4 s | 2 | at most 1 s | yes |",
		"| start after a kill | 0.8 s | 1.6 s | 2 | at most 1 s up to 100,000 messages | yes |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q:\n%s", want, page)
		}
	}
}

func TestLessIsBetter(t *testing.T) {
	f := figure{Less: true, Values: []value{{Server: "tripost", Amount: 0.5}, {Server: "one", Amount: 10}, {Server: "another", Amount: 2}}}
	if best, ratio := f.best(), f.ratio(); best.Server != "another" || ratio != 4 {
		t.Errorf("best %v, ratio %v; want another, 4", best, ratio)
	}
}

// TestMissed has a server fail in a figure: that of another leaves a cell empty,
// ours ends the run.
func TestMissed(t *testing.T) {
	r := &report{Results: map[string]*result{}}
	a := asked{length: 1, report: r}
	r.begin("imap", time.Now(), 1, nil)
	one := func(name string) *popServer { return &popServer{name: name} }
	m := imapMeasure{"FETCH", 0, func(s *popServer, _ int, _ time.Duration) (popResult, error) {
		if s.name == "broken" {
			return popResult{}, errors.New("it broke")
		}
		return popResult{done: 10, took: time.Second}, nil
	}}
	if err := compareIMAP(m, []*popServer{one("tripost"), one("broken"), one("another")}, a); err != nil {
		t.Fatal(err)
	}
	if v := r.current.Figures[0].Values; len(v) != 2 || v[1].Server != "another" {
		t.Errorf("%+v", v)
	}
	if err := compareIMAP(m, []*popServer{one("broken"), one("another")}, a); err == nil {
		t.Error("ours failed, and the figure stands")
	}
}
