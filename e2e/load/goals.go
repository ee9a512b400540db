package main

import "regexp"

// goal is what is asked of a figure.
type goal struct {
	run   string // name of the run
	what  *regexp.Regexp
	times float64 // at least so often the best of the others; 0: nothing of this kind
	most  float64 // at most so much, in the figure's unit; 0: nothing of this kind
	least float64 // at least so much; 0: nothing of this kind
	cpu   float64 // at most this share of the others' CPU time; 0: nothing of this kind
}

// goals returns what is asked, the first that fits a figure being its goal.
func goals() []goal {
	re := regexp.MustCompile
	return []goal{
		{run: "pop", what: re("^RETR of 4 KB.*one by one"), times: 1.5, cpu: 0.34},
		{run: "pop", what: re("^RETR of 4 KB.*pipelined"), times: 3, cpu: 0.34},
		{run: "pop", what: re("plain copy$"), least: 80},
		{run: "pop", what: re("."), times: 1},
		{run: "imap", what: re("^FETCH |^SEARCH |^APPEND.* 20 "), times: 3},
		{run: "imap", what: re("."), times: 1},
		{run: "receive", what: re("alone$"), times: 1},
		{run: "receive", what: re("1 MB|1024 KB"), times: 2},
		{run: "receive", what: re("50 recipients"), times: 10},
		{run: "receive", what: re("."), times: 5},
		{run: "send", what: re("^messages sent"), times: 3},
		{run: "idle", what: re("plain"), most: 10},
		{run: "push", what: re("from its answer, 99th"), most: 20},
	}
}

// goalOf returns what is asked of a figure, and whether anything is.
func goalOf(run, what string) (goal, bool) {
	for _, g := range goals() {
		if g.run == run && g.what.MatchString(what) {
			return g, true
		}
	}
	return goal{}, false
}

// reached reports whether a figure is what its goal asks.
func (g goal) reached(f figure) bool {
	ratio, cpu := f.ratio(), f.ratioOfCPU()
	return (g.times == 0 || ratio == 0 || ratio >= g.times) &&
		(g.most == 0 || f.Values[0].Amount <= g.most) &&
		(g.least == 0 || f.Values[0].Amount >= g.least) &&
		(g.cpu == 0 || cpu == 0 || cpu <= g.cpu)
}
