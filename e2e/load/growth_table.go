package main

import (
	"bytes"
	"fmt"
	"slices"
)

// growth is what the growth run saw: one column for each size of the store.
type growth struct {
	Stages []stage `json:"stages"`
	Rows   []grown `json:"rows"`
}

// stage is a size of the store.
type stage struct {
	Messages int `json:"messages"`
	Accounts int `json:"accounts"`
}

// grown is one figure at every stage. The less of it the better.
type grown struct {
	What   string    `json:"what"`
	Unit   string    `json:"unit"`
	Values []float64 `json:"values"`
	Factor float64   `json:"factor,omitempty"` // at most so often the first stage's; 0: not asked
	Most   float64   `json:"most,omitempty"`   // at most so much; 0: not asked
	UpTo   int       `json:"up_to,omitempty"`  // at stages of so many messages; 0: at all
}

// note adds what was seen at the newest stage.
func (g *growth) note(row grown, amount float64) {
	i := slices.IndexFunc(g.Rows, func(r grown) bool { return r.What == row.What })
	if i < 0 {
		i = len(g.Rows)
		g.Rows = append(g.Rows, row)
	}
	g.Rows[i].Values = append(g.Rows[i].Values, amount)
}

// factor returns how often the first stage's value the largest is.
func (r grown) factor() float64 {
	if r.Values[0] == 0 {
		return 0
	}
	return slices.Max(r.Values) / r.Values[0]
}

func (r grown) asked() string {
	switch {
	case r.Factor > 0:
		return fmt.Sprintf("within %g times", r.Factor)
	case r.Most > 0:
		words := "at most " + number(r.Most) + r.Unit
		if r.UpTo > 0 {
			words += " up to " + number(float64(r.UpTo)) + " messages"
		}
		return words
	}
	return ""
}

func (r grown) reached(stages []stage) string {
	most := 0.0
	for i, v := range r.Values {
		if r.UpTo == 0 || stages[i].Messages <= r.UpTo {
			most = max(most, v)
		}
	}
	switch {
	case r.Factor == 0 && r.Most == 0:
		return ""
	case r.Factor > 0 && r.factor() > r.Factor, r.Most > 0 && most > r.Most:
		return "**no**"
	}
	return "yes"
}

func (g *growth) table(b *bytes.Buffer) {
	columns := []string{"for each"}
	for _, s := range g.Stages {
		columns = append(columns, fmt.Sprintf("%s messages, %s accounts", number(float64(s.Messages)), number(float64(s.Accounts))))
	}
	columns = append(columns, "largest to first", "asked", "reached")
	row(b, columns...)
	row(b, slices.Repeat([]string{"---"}, len(columns))...)
	for _, r := range g.Rows {
		cells := []string{r.What}
		for _, v := range r.Values {
			cells = append(cells, number(v)+r.Unit)
		}
		row(b, append(cells, decimal(r.factor()), r.asked(), r.reached(g.Stages))...)
	}
	b.WriteByte('\n')
}
