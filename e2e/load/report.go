package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// report is what the runs saw, of this time and of earlier times: it is kept as
// JSON beside the page and the chart that are made of it, and a run that is
// repeated replaces what it saw before.
type report struct {
	Results map[string]*result `json:"results"` // by name of the run
	name    string             // of the run that is under way
	current *result
}

// result is what one run saw.
type result struct {
	Date     string   `json:"date"`
	Machine  string   `json:"machine"`
	Versions []string `json:"versions"`
	Seconds  float64  `json:"seconds"` // length of each timed run
	Load     string   `json:"load"`    // what else the machine did: its load averages before
	Figures  []figure `json:"figures,omitempty"`
	Growth   *growth  `json:"growth,omitempty"`
}

// figure is one thing that was measured.
type figure struct {
	What   string  `json:"what"`
	Unit   string  `json:"unit"`           // of the values' Amount
	Values []value `json:"values"`         // ours first
	Less   bool    `json:"less,omitempty"` // is better
}

// value is what one server did.
type value struct {
	Server string  `json:"server"`
	Amount float64 `json:"amount"`
	CPU    float64 `json:"cpu,omitempty"` // microseconds of the server for each; 0: not known
}

// readReport reads what earlier runs left beside the page, if anything.
func readReport(page string) (*report, error) {
	r := &report{Results: map[string]*result{}}
	if page == "" {
		return r, nil
	}
	b, err := os.ReadFile(beside(page, ".json"))
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", beside(page, ".json"), err)
	}
	return r, nil
}

// beside returns the name of a file that belongs to the page.
func beside(page, extension string) string {
	return strings.TrimSuffix(page, filepath.Ext(page)) + extension
}

// begin says which run is under way. What it saw earlier stays until it adds
// something new.
func (r *report) begin(name string, now time.Time, length time.Duration, versions []string) {
	r.name, r.current = name, &result{
		Date: now.UTC().Format("2006-01-02 15:04 UTC"), Machine: machine(),
		Versions: versions, Seconds: length.Seconds(), Load: loadBefore(),
	}
}

// add notes a figure of the run that is under way.
func (r *report) add(what, unit string, values ...value) {
	r.Results[r.name] = r.current
	r.current.Figures = append(r.current.Figures, figure{What: what, Unit: unit, Values: values})
}

// addLess notes a figure of which less is better.
func (r *report) addLess(what, unit string, values ...value) {
	r.add(what, unit, values...)
	r.current.Figures[len(r.current.Figures)-1].Less = true
}

// alone notes a figure that is ours alone.
func (r *report) alone(what, unit string, amount float64) {
	r.add(what, unit, value{Server: "tripost", Amount: amount})
}

// grown notes what the growth run has seen so far.
func (r *report) grown(g *growth) {
	r.current.Growth = g
	r.Results[r.name] = r.current
}

// write writes the page and the figures, and the chart where there is anything to
// compare.
func (r *report) write(page string) error {
	figures, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	chart := beside(page, ".svg")
	err = errors.Join(
		os.WriteFile(beside(page, ".json"), append(figures, '\n'), 0o644),
		os.WriteFile(page, r.page(filepath.Base(chart)), 0o644))
	if r.compared() {
		err = errors.Join(err, os.WriteFile(chart, r.chart(), 0o644))
	}
	return err
}

// best returns which of the other servers did best, nil where there are none.
func (f figure) best() *value {
	var best *value
	for i := range f.Values {
		if i > 0 && (best == nil || f.Values[i].Amount > best.Amount != f.Less) {
			best = &f.Values[i]
		}
	}
	return best
}

// ratio returns how often ours is the best of the others, and of what is better
// when it is less how often that is ours; 0 where there are none.
func (f figure) ratio() float64 {
	b := f.best()
	if b != nil && f.Less && f.Values[0].Amount > 0 {
		return b.Amount / f.Values[0].Amount
	}
	if b != nil && b.Amount > 0 {
		return f.Values[0].Amount / b.Amount
	}
	return 0
}

// ratioOfCPU returns our CPU time for each as a share of the least of the others',
// 0 where it is not known.
func (f figure) ratioOfCPU() float64 {
	least := 0.0
	for _, v := range f.Values[1:] {
		if v.CPU > 0 && (least == 0 || v.CPU < least) {
			least = v.CPU
		}
	}
	if least == 0 {
		return 0
	}
	return f.Values[0].CPU / least
}
