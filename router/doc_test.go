package router

import (
	"os"
	"strings"
	"testing"

	"tripost/accounts"
	"tripost/store/storetest"
)

// TestDocumentation runs the examples of docs/router.md: in each block the
// lines without '>' are the table, the others what it is to do.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/router.md")
	if err != nil {
		t.Fatal(err)
	}
	r := documentedRouter(t)
	tried := 0
	for i, block := range strings.Split(string(text), "```\n") {
		if i%2 == 0 || !strings.Contains(block, "\n> ") {
			continue
		}
		table, questions, _ := strings.Cut(block, "\n> ")
		setTable(t, r, table)
		relaying := strings.Contains(block, strangers)
		for question := range strings.SplitSeq(strings.TrimSpace(questions), "\n> ") {
			tried++
			tryDocumented(t, r, question, relaying)
		}
	}
	if all := strings.Count(string(text), "\n> "); tried != all || all < 30 {
		t.Errorf("%d of %d examples tried", tried, all)
	}
	initial := strings.SplitN(initialTable, "\n", 2)[1]
	if !strings.Contains(string(text), "```\n"+initial+"> ") {
		t.Error("docs/router.md does not show the initial table")
	}
}

// documentedRouter has the domains and accounts that the examples speak of.
func documentedRouter(t *testing.T) *Router {
	t.Helper()
	d := accounts.New(storetest.New(t), accounts.Options{})
	for _, name := range []string{"company.test", "sec.test"} {
		if _, err := d.AddDomain(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for _, addr := range []string{"ann", "bob", "cl1", "dept@sec.test"} {
		if _, err := d.AddAccount(t.Context(), addr, ""); err != nil {
			t.Fatal(err)
		}
	}
	return New(d, testOptions())
}

// strangers follows where a result lets them send. An example that is not about
// relaying leaves it away.
const strangers = ", also for strangers"

// tryDocumented routes "ADDRESS = where it leads".
func tryDocumented(t *testing.T, r *Router, question string, relaying bool) {
	t.Helper()
	addr, want, ok := strings.Cut(question, " = ")
	purpose := ForMail
	if rest, login := strings.CutPrefix(addr, "login: "); login {
		addr, purpose = rest, ForLogin
	}
	res, err := r.Route(t.Context(), addr, purpose, true)
	if err != nil || !ok {
		t.Fatalf("%q: %v", question, err)
	}
	where, open := strings.CutSuffix(want, strangers)
	if where != res.describe() || relaying && open != (res.Kind == Remote && !res.Relay) {
		t.Errorf("%s: %s", question, res.outcome())
	}
}
