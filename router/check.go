package router

import (
	"context"
	"fmt"
	"strings"

	"tripost/accounts"
)

// Report is what there is to say of a table before it is put in force: what is
// wrong with it, and which addresses and login names of recent days would lead
// elsewhere.
type Report struct {
	Revision    uint64       `json:"revision"` // of the table in force
	Records     int          `json:"records"`
	Problems    []Problem    `json:"problems"`
	Tested      int          `json:"tested"`      // addresses and login names of recent days
	Changed     int          `json:"changed"`     // those of them that would lead elsewhere
	Lost        int          `json:"lost"`        // those of these that lead somewhere now, and would be refused or thrown away
	Differences []Difference `json:"differences"` // up to 200 of them: first what would be lost, login names before addresses
}

// refusal returns a [*TableError] for a table that cannot be put in force.
func (rep *Report) refusal() error {
	for _, p := range rep.Problems {
		if !p.Warning {
			return &TableError{rep.Problems}
		}
	}
	return nil
}

// examine checks a table that is to follow old.
func (r *Router) examine(ctx context.Context, old Stored, text string) (Report, error) {
	report := Report{Revision: old.Revision, Problems: []Problem{}, Differences: []Difference{}}
	next, problems := parseTable(text)
	if problems != nil {
		report.Problems = problems
		return report, nil
	}
	report.Records = len(next.records)
	now, problems := parseTable(old.Text)
	if problems != nil {
		now, _ = parseTable("") // of a later version, maybe: everything is new
	}
	names, err := r.recentNames(ctx)
	if err != nil {
		return report, err
	}
	err = r.directory.View(ctx, func(n *accounts.Names) error {
		c := checker{router: r, names: n, now: now, next: next}
		if err := c.records(); err != nil {
			return err
		}
		report.Problems = append(report.Problems, c.problems...)
		return c.compare(ctx, names, &report)
	})
	return report, err
}

// checker looks at a table as a whole, against one state of the directory.
type checker struct {
	router    *Router
	names     *accounts.Names
	now, next *table
	problems  []Problem
	before    map[string]bool // records of now
}

// records looks at each record in the company of the others.
func (c *checker) records() error {
	c.before = make(map[string]bool, len(c.now.records))
	for i := range c.now.records {
		c.before[c.now.records[i].String()] = true
	}
	for i := range c.next.records {
		r := &c.next.records[i]
		if len(c.problems) >= maxProblems {
			c.problems = append(c.problems, Problem{Text: "there may be more that is wrong", Warning: true})
			break
		}
		switch reached, err := c.reached(r, i); {
		case err != nil:
			return err
		case !reached:
		default:
			if err := c.dryRun(r); err != nil {
				return err
			}
		}
		if r.relay != relayNone && r.relay != relayDefault && r.broad() {
			c.warn(r, prefixes, "strangers may send to domains of many owners by this record")
		}
	}
	return nil
}

func (c *checker) warn(r *record, field, text string) {
	c.problems = append(c.problems, Problem{Line: r.line, Field: field, Text: text, Warning: true})
}

// reached warns of records that no address comes to.
func (c *checker) reached(r *record, index int) (bool, error) {
	main, err := c.names.Main()
	if err != nil {
		return false, err
	}
	if !r.left.account && r.left.domain == main && main != "" {
		c.warn(r, leftSide, "never reached: "+main+" is the Main Domain, whose name is cut off before; write <*> for its addresses")
		return false, nil
	}
	earlier := none
	for _, p := range r.purposes() {
		by := c.shadow(r, p, main)
		if by >= index {
			return true, c.hidesDomain(r)
		}
		earlier = min(earlier, by)
	}
	by := &c.next.records[earlier]
	c.warn(r, leftSide, fmt.Sprintf("never reached: line %d takes everything before it (%s)", by.line, by))
	return false, nil
}

// hidesDomain warns of a record that keeps a domain of ours from its addresses.
func (c *checker) hidesDomain(r *record) error {
	if r.left.account || strings.Contains(r.left.domain, "*") {
		return nil
	}
	dom, err := c.names.Domain(r.left.domain)
	switch {
	case absent(err):
		return nil
	case err == nil && dom.Name == r.left.domain && r.right.String() != dom.Name:
		c.warn(r, leftSide, dom.Name+" is a domain of this server: its accounts are not reached by their names")
	}
	return err
}

func (r *record) purposes() []Purpose {
	switch {
	case !r.login:
		return []Purpose{ForMail}
	case !r.mail:
		return []Purpose{ForLogin}
	}
	return []Purpose{ForMail, ForLogin}
}

// shadow returns the first record that takes all that r is for; r itself if no
// other one does.
func (c *checker) shadow(r *record, p Purpose, main string) int {
	f := c.next.stages(p).finder(r)
	if !r.left.account {
		return f.domains.covering(r.left.domain)
	}
	by := f.accounts.covering(r.left.text())
	if r.left.domain == "" {
		if main != "" {
			by = min(by, f.accounts.covering(r.left.text()+main))
		}
		return by
	}
	if r.left.domain == main {
		return min(by, f.accounts.covering(r.left.local+"@"))
	}
	return min(by, f.domains.covering(r.left.domain))
}

// dryRun routes an address that the record is for, and tells when that goes
// round in a circle or leads nowhere.
func (c *checker) dryRun(r *record) error {
	for _, p := range r.purposes() {
		res, err := c.router.walk(c.names, c.next, question{addr: sample(r.left), purpose: p, simple: true})
		if err != nil {
			return err
		}
		switch {
		case res.Rule == loopRule:
			// One that was there before may have come with a change of domains; it
			// must not stand in the way of mending another.
			c.problems = append(c.problems, Problem{
				Line: r.line, Field: rightSide, Warning: c.before[r.String()],
				Text: fmt.Sprintf("%s leads in a circle", sample(r.left)),
			})
			return nil
		case p == ForMail && res.Kind == Refused && r.right.act != failAs && r.right.act != trapAs && !res.Temporary &&
			stars(r.right.local, r.right.domain) == 0 && r.right.local != "":
			c.warn(r, rightSide, fmt.Sprintf("%s is refused: %s", sample(r.left), res.Reason))
		}
	}
	return nil
}

// sample returns an address that the pattern fits.
func sample(p pattern) address {
	if !p.account {
		p.local = "x"
	}
	return address{local: fill(p.local, "x"), domain: fill(p.domain, "x")}
}
