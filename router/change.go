package router

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tripost/store"
	"tripost/syslog"
)

// Errors of changing the table, beside [*TableError].
var (
	// ErrRevision is returned where a change was made for another table than
	// the one in force.
	ErrRevision = errors.New("the router table has been changed meanwhile")
	// ErrNoRecord is returned where a record is not in the table, or is there
	// several times.
	ErrNoRecord = errors.New("no such record in the router table")
)

// TableError refuses a table. It says all that is wrong, a line each.
type TableError struct{ Problems []Problem }

func (e *TableError) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		if !p.Warning {
			lines = append(lines, p.String())
		}
	}
	return strings.Join(lines, "\n")
}

// Change puts another table in force, as one transaction: the one that edit
// makes of the one that is. edit may be called more than once. The report is
// that of [Router.Preview], with the new revision; a table with errors is refused with a [*TableError].
// When Change returns, every address is routed by the new table.
func (r *Router) Change(ctx context.Context, edit func(Stored) (string, error)) (Report, error) {
	for {
		report, err := r.tryChange(ctx, edit)
		if !errors.Is(err, errMoved) {
			if err != nil {
				return report, fmt.Errorf("changing the router table: %w", err)
			}
			r.options.Log.Logf(syslog.Major, "the table has been changed: revision %d, %d records", report.Revision, report.Records)
			return report, nil
		}
	}
}

// Preview says what [Router.Change] would, and changes nothing. A table with
// errors is in the report like any other.
func (r *Router) Preview(ctx context.Context, edit func(Stored) (string, error)) (Report, error) {
	old, err := r.Table(ctx)
	if err != nil {
		return Report{}, err
	}
	text, err := edit(old)
	var report Report
	if err == nil {
		report, err = r.examine(ctx, old, text)
	}
	if err != nil {
		return report, fmt.Errorf("checking a router table: %w", err)
	}
	return report, nil
}

// errMoved says that another change came first.
var errMoved = errors.New("another change came first")

func (r *Router) tryChange(ctx context.Context, edit func(Stored) (string, error)) (Report, error) {
	old, err := r.Table(ctx)
	if err != nil {
		return Report{}, err
	}
	text, err := edit(old)
	if err != nil {
		return Report{}, err
	}
	report, err := r.examine(ctx, old, text)
	if err != nil {
		return report, err
	}
	if refusal := report.refusal(); refusal != nil {
		return report, refusal
	}
	report.Revision = old.Revision + 1
	err = r.store().Update(ctx, func(tx *store.Tx) error {
		now, err := readTable(&tx.Snapshot)
		if err != nil {
			return err
		}
		if now.Revision != old.Revision {
			return errMoved
		}
		writeTable(tx, Stored{Text: text, Revision: report.Revision})
		return nil
	})
	return report, err
}

// At returns an edit that is only made to the table with this revision.
func At(revision uint64, edit func(Stored) (string, error)) func(Stored) (string, error) {
	return func(old Stored) (string, error) {
		if revision != old.Revision {
			return "", ErrRevision
		}
		return edit(old)
	}
}

// Replace returns an edit that puts text in the place of any table.
func Replace(text string) func(Stored) (string, error) {
	return func(Stored) (string, error) { return text, nil }
}

// Insert returns an edit that adds a record before the line with this number
// (from 1), or with 0 at the end.
func Insert(text string, line int) func(Stored) (string, error) {
	return func(old Stored) (string, error) {
		if strings.ContainsAny(text, "\r\n") {
			return "", &TableError{[]Problem{{Field: wholeLine, Text: "expected one record on one line"}}}
		}
		if _, ok, err := parseRecord(text); err != nil || !ok {
			return "", notRecord(err)
		}
		lines := splitLines(old.Text)
		if line < 0 || line > len(lines)+1 {
			return "", fmt.Errorf("line %d: %w: it has %d lines", line, ErrNoRecord, len(lines))
		}
		if line == 0 {
			line = len(lines) + 1
		}
		lines = append(lines[:line-1:line-1], append([]string{text}, lines[line-1:]...)...)
		return joinLines(lines), nil
	}
}

func notRecord(err error) error {
	p := Problem{Field: wholeLine, Text: "there is no record; expected LEFT = RIGHT"}
	var f *fault
	if errors.As(err, &f) {
		p.Field, p.Text = f.field, f.text
	}
	return &TableError{[]Problem{p}}
}

// Remove returns an edit that removes one record, given whole or by its left
// side alone.
func Remove(which string) func(Stored) (string, error) {
	return func(old Stored) (string, error) {
		same, err := sameRecord(which)
		if err != nil {
			return "", err
		}
		lines := splitLines(old.Text)
		at := -1
		for i, line := range lines {
			r, ok, err := parseRecord(line)
			if err != nil || !ok || !same(&r) {
				continue
			}
			if at >= 0 {
				return "", fmt.Errorf("%q: %w: it could be line %d or line %d; give the whole record", printable(which), ErrNoRecord, at+1, i+1)
			}
			at = i
		}
		if at < 0 {
			return "", fmt.Errorf("%q: %w", printable(which), ErrNoRecord)
		}
		return joinLines(append(lines[:at:at], lines[at+1:]...)), nil
	}
}

// sameRecord recognises the record that the text means.
func sameRecord(which string) (func(*record) bool, error) {
	if whole, ok, err := parseRecord(which); err == nil && ok {
		return func(r *record) bool { return r.String() == whole.String() }, nil
	}
	left, ok, err := parseRecord(which + " = null")
	if err != nil || !ok {
		return nil, notRecord(err)
	}
	return func(r *record) bool { return r.left == left.left }, nil
}

// splitLines returns the lines of a table without their ends.
func splitLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimRight(line, "\r\n"))
	}
	return lines
}

func joinLines(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}
