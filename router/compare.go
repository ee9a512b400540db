package router

import (
	"cmp"
	"context"
	"slices"
)

// maxDifferences bounds the differences that a report names.
const maxDifferences = 200

// Difference is an address or login name that would lead elsewhere.
type Difference struct {
	Address string `json:"address"`
	Login   bool   `json:"login,omitempty"`
	Now     string `json:"now"`  // where it leads, in words
	Then    string `json:"then"` // where it would lead
}

// compare routes names by both tables.
func (c *checker) compare(ctx context.Context, names []name, report *Report) error {
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		q, ok := ask(n.addr, n.purpose)
		if !ok {
			continue
		}
		now, err := c.router.walk(c.names, c.now, q)
		if err != nil {
			return err
		}
		then, err := c.router.walk(c.names, c.next, q)
		if err != nil {
			return err
		}
		report.Tested++
		if now.same(&then) {
			continue
		}
		if report.Changed++; len(report.Differences) < maxDifferences {
			report.Differences = append(report.Differences, Difference{
				Address: n.addr, Login: n.purpose == ForLogin, Now: now.outcome(), Then: then.outcome(),
			})
		}
	}
	slices.SortFunc(report.Differences, func(a, b Difference) int { return cmp.Compare(a.Address, b.Address) })
	return nil
}

// same reports whether two results lead to the same place for the same people.
func (r *Result) same(o *Result) bool {
	return r.Kind == o.Kind && r.Relay == o.Relay && r.Trap == o.Trap && r.Code == o.Code && r.describe() == o.describe()
}

// outcome is describe with what strangers are told.
func (r *Result) outcome() string {
	switch {
	case r.Kind == Remote && !r.Relay:
		return r.describe() + ", also for strangers"
	case r.Trap:
		return "refuse the whole message (spam trap)"
	}
	return r.describe()
}
