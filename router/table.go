package router

import (
	"errors"
	"fmt"
	"strings"
)

// The bounds of a table. Its text is one value of the store.
const (
	maxTable    = 1_000_000 // octets
	maxRecords  = 50_000
	maxProblems = 100 // told of one table
)

// initialTable is in force until another one is.
const initialTable = `; Where addresses lead that are no accounts. The first record that fits counts.
<root> = postmaster
<mailer-daemon> = postmaster
<blacklist-admin*@blacklisted> = postmaster
localhost =
`

// Problem is something that is wrong with a table.
type Problem struct {
	Line    int    `json:"line"`  // from 1; 0 for the table as a whole
	Field   string `json:"field"` // "line", "prefix", "left side" or "right side"
	Text    string `json:"text"`
	Warning bool   `json:"warning,omitempty"` // the table can be put in force all the same
}

func (p Problem) String() string {
	s := p.Text
	if p.Field != "" {
		s = p.Field + ": " + s
	}
	if p.Line > 0 {
		s = fmt.Sprintf("line %d, %s", p.Line, s)
	}
	if p.Warning {
		s = "warning: " + s
	}
	return s
}

// table is a table in the form in which it is used. It does not change.
type table struct {
	records []record
	mail    *stages // the records for recipients
	login   *stages // the records for login names
}

// stages are the records for one purpose.
type stages struct {
	first    finder // before the directory is asked
	fallback finder // default records: for what nothing else has taken
}

// parseTable reads a table. The problems are those that a line has on its own;
// with any of them the table cannot be used.
func parseTable(text string) (*table, []Problem) {
	if len(text) > maxTable {
		return nil, []Problem{{Text: fmt.Sprintf("the table is longer than %d octets", maxTable)}}
	}
	t := &table{}
	var problems []Problem
	line := 0
	for s := range strings.Lines(text) {
		line++
		r, ok, err := parseRecord(strings.TrimRight(s, "\r\n"))
		var f *fault
		if errors.As(err, &f) {
			problems = append(problems, Problem{Line: line, Field: f.field, Text: f.text})
		}
		if ok {
			r.line = line
			t.records = append(t.records, r)
		}
		if len(problems) == maxProblems {
			return nil, append(problems, Problem{Text: "there may be more that is wrong"})
		}
		if len(t.records) > maxRecords {
			return nil, append(problems, Problem{Text: fmt.Sprintf("the table has more than %d records", maxRecords)})
		}
	}
	if problems != nil {
		return nil, problems
	}
	t.index()
	return t, nil
}

// index makes the finders. Where no record is for one purpose alone, both
// purposes share them.
func (t *table) index() {
	t.mail, t.login = &stages{}, &stages{}
	separate := false
	for i := range t.records {
		r := &t.records[i]
		r.name = fmt.Sprintf("line %d: %s", r.line, r)
		separate = separate || r.mail != r.login
	}
	if !separate {
		t.login = t.mail
	}
	for i := range t.records {
		r := &t.records[i]
		if r.mail {
			t.mail.add(r, i)
		}
		if r.login && separate {
			t.login.add(r, i)
		}
	}
}

// stages returns the records for a purpose.
func (t *table) stages(p Purpose) *stages {
	if p == ForLogin {
		return t.login
	}
	return t.mail
}

func (s *stages) add(r *record, index int) {
	f := s.finder(r)
	if r.left.account {
		f.accounts.add(r.left.text(), index)
	} else {
		f.domains.add(r.left.text(), index)
	}
}

// finder returns the one that has the record.
func (s *stages) finder(r *record) *finder {
	if r.fallback {
		return &s.fallback
	}
	return &s.first
}
