package router

import (
	"cmp"
	"context"
	"slices"
	"strings"
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

// compare routes names by both tables. What would be lost is told before
// anything else, for it is what nobody may have meant.
func (c *checker) compare(ctx context.Context, names []name, report *Report) error {
	var lost, others []Difference
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
		report.Changed++
		kind := &others
		if then.nowhere() && !now.nowhere() {
			report.Lost++
			kind = &lost
		}
		*kind = append(*kind, Difference{
			Address: n.addr, Login: n.purpose == ForLogin, Now: now.outcome(), Then: then.outcome(),
		})
	}
	inOrder(lost)
	inOrder(others)
	all := append(lost, others...)
	report.Differences = append(report.Differences, all[:min(len(all), maxDifferences)]...)
	return nil
}

func (r *Result) nowhere() bool { return r.Kind == Refused || r.Kind == Discard }

// inOrder sorts login names before addresses, and each by domain and name.
func inOrder(list []Difference) {
	slices.SortFunc(list, func(a, b Difference) int {
		if a.Login != b.Login {
			return map[bool]int{true: -1, false: 1}[a.Login]
		}
		localA, domainA := splitLast(a.Address)
		localB, domainB := splitLast(b.Address)
		return cmp.Or(cmp.Compare(domainA, domainB), cmp.Compare(localA, localB))
	})
}

// splitLast splits an address at its last @, if it has one.
func splitLast(addr string) (local, domain string) {
	i := strings.LastIndexByte(addr, '@')
	if i < 0 {
		return addr, ""
	}
	return addr[:i], addr[i+1:]
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
