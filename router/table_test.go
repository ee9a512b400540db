package router

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"tripost/accounts"
)

// TestBadRecords holds each refused line to what is said of it.
func TestBadRecords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for line, want := range map[string]string{
		"nothing":                    "line: expected LEFT = RIGHT",
		"<jim@a.test>":               "line: expected '=' after <jim@a.test>",
		"<jim@a.test> b.test":        "line: expected '=' after <jim@a.test>",
		"<jim@a.test = bob":          "left side: expected '>' after the address",
		`<"jim@a.test> = bob`:        "line: a quotation mark is not closed",
		"a\x00.test = b.test":        "line: it has a control character",
		"a\u0085.test = b.test":      "line: it has a control character",
		"a.test = b\xff.test":        "line: it is not UTF-8",
		"<" + long + "> = bob":       "left side: the local part is longer than 255 octets",
		strings.Repeat("; ", 2000):   "line: it is longer than 2048 octets",
		"Rely: a.test = b.test":      `prefix: "Rely:" is none; expected Relay:, NoRelay:, RelayAll:, Mail:, Access: or Default:`,
		": a.test = b.test":          `prefix: ":" is none`,
		"Signal: a.test = b.test":    "prefix: Signal: is for calls and instant messages, which this server does not carry",
		"Relay: NoRelay: a.t = b.t":  "prefix: expected only one of Relay:, NoRelay: and RelayAll:",
		"Relay: * = gate.test._via":  "prefix: strangers could send to all the world",
		"RelayAll: *.a.test = *":     "prefix: strangers could send to all the world",
		"Relay: <*@a.test> = x@*":    "prefix: strangers could send to all the world",
		"= b.test":                   `left side: "" is not a domain or an IP address in brackets`,
		"jim@a.test = bob":           `left side: "jim@a.test" is not a domain; an address stands in angle brackets: <jim@a.test>`,
		"a..test = b.test":           `left side: "a..test" is not a domain`,
		"a b.test = b.test":          `left side: "a b.test" is not a domain`,
		"*.a.*.test = b.test":        `left side: "*.a.*.test" has several asterisks; expected one at most`,
		"[10.0.0.*] = b.test":        `left side: "[10.0.0.*]" is not a domain with an asterisk`,
		"[10.0.0.300] = b.test":      `left side: "[10.0.0.300]" is not a domain`,
		"bü*.test = b.test":          `left side: "bü*.test" is not a domain with an asterisk`,
		"<> = bob":                   `left side: "" has nothing before the '@'`,
		"<@a.test> = bob":            `left side: "@a.test" has nothing before the '@'`,
		"<jim@> = bob":               `left side: "" is not a domain`,
		"<j im@a.test> = bob":        `left side: "j im@a.test" is not an address; expected NAME or NAME@DOMAIN`,
		"<*-*@a.test> = bob":         `left side: "<*-*@a.test>" has several asterisks; expected one at most`,
		"<*@*.test> = bob":           "left side: \"<*@*.test>\" has several asterisks",
		"<jim> =":                    "right side: expected an address, error, null or spamtrap",
		"<jim> = @a.test":            `right side: "@a.test" has nothing before the '@'`,
		"<jim> = a b":                `right side: "a b" is not an address`,
		"<jim> = *@a.test":           `right side: "*@a.test" has an asterisk, and there is none on the left side`,
		"<j*> = *@*.test":            `right side: "*@*.test" has several asterisks; expected one at most`,
		"a.test = *.b.test":          `right side: "*.b.test" has an asterisk, and there is none on the left side`,
		"a.test = bob@b.test":        `right side: "bob@b.test" is not a domain; to give all of a domain one address write <*@a.test> = bob@b.test`,
		"a.test = -b.test":           `right side: "-b.test" is not a domain that mail could be sent to`,
		"a.test = 10.0.0.1":          `right side: "10.0.0.1" is not a domain that mail could be sent to`,
		"a.test = g.test.70000._via": `right side: "g.test.70000._via": expected HOST._via or HOST.PORT._via with a port from 1 to 65535`,
		"a.test = ._via":             `right side: "._via" is not a domain`,
		"a.test = -.local":           "",
		"a.test = x..local":          `right side: "x..local" is not a domain`,
		"a.test = b.test = c.test":   `right side: "b.test = c.test" is not a domain`,
	} {
		_, problems := parseTable("; first\n" + line + "\n")
		if want == "" {
			if problems != nil {
				t.Errorf("%q: %v", line, problems)
			}
			continue
		}
		if len(problems) != 1 || problems[0].Line != 2 || !strings.HasPrefix(problems[0].String(), "line 2, "+want) {
			t.Errorf("%.100q: %v, want %s", line, problems, want)
		}
	}
}

// TestRecordForms holds how records are written back.
func TestRecordForms(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"":                                    "",
		"   ; = ":                             "",
		"a.test=B.test ; comment = x":         "a.test = b.test",
		" A.Test.  =  ":                       "a.test =",
		"<Jim>=Bob":                           "<jim> = Bob",
		"<JIM@A.Test>\t= ERROR":               "<jim@a.test> = error",
		`<"a = ; >"> = "x; y"@b.test ; z`:     `<"a = ; >"> = "x; y"@b.test`,
		`<"jim"@a.test> = "nu\ll"`:            `<jim@a.test> = "null"`,
		"<a=b@x.test> = c=d@y.test":           "<a=b@x.test> = c=d@y.test",
		"ACCESS:norelay:mail: a.test = null":  "NoRelay: a.test = null",
		"relayall: access : a.test = null":    "!",
		"Access: RelayAll: a.test = spamtrap": "Access: RelayAll: a.test = spamtrap",
		"Default:* = g.test._via":             "* = g.test._via",
		"default: *.a.test = g.test.25._VIA":  "Default: *.a.test = g.test.25._via",
		"Relay: a.test = [IPv6:2001:DB8::0]":  "Relay: a.test = [IPv6:2001:db8::]",
		"[IPv6:::1] = a.test":                 "[IPv6:::1] = a.test",
		"*.bücher.test = *.b.test":            "*.xn--bcher-kva.test = *.b.test",
		"<*@a.test> = *%a.test@g.test._via":   "<*@a.test> = *%a.test@g.test._via",
		`<"a b*"> = "*c d"@x.test`:            `<"a b*"> = "*c d"@x.test`,
	} {
		r, ok, err := parseRecord(line)
		got := ""
		switch {
		case err != nil:
			got = "!"
		case ok:
			got = r.String()
		}
		if got != want {
			t.Errorf("%q: %s (%v), want %s", line, got, err, want)
		}
	}
}

// TestWarnings holds what is said of tables that can be put in force.
func TestWarnings(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	for table, want := range map[string][]string{
		initialTable:                                           {},
		"a.test = b.test\na.test = null":                       {"line 2, left side: never reached: line 1 takes everything before it (a.test = b.test)"},
		"*.test = null\na.test = null":                         {"line 2, left side: never reached: line 1 takes"},
		"*.test = null\n*.a.test = null":                       {"line 2, left side: never reached: line 1 takes"},
		"*.a.test = null\n*.test = null":                       {},
		"a*.test = null\nab*c.test = null\nab*c.tes = null":    {"line 2, left side: never reached: line 1 takes"},
		"a.test = null\n<jim@a.test> = boss":                   {"line 2, left side: never reached: line 1 takes"},
		"*.a.test = null\n<jim@x.a.test> = boss":               {"line 2, left side: never reached: line 1 takes"},
		"<j*> = boss\n<jim> = jsmith\n<jim@a.test> = boss":     {"line 2, left side: never reached: line 1 takes"},
		"<jim> = boss\n<Jim@company.test> = jsmith":            {"line 2, left side: never reached: line 1 takes"},
		"<jim@company.test> = boss\n<jim> = jsmith":            {"line 2, left side: never reached: line 1 takes"},
		"Mail: a.test = null\na.test = error\na.test = null":   {"line 3, left side: never reached: line 1 takes"},
		"Mail: a.test = null\nAccess: a.test = error":          {},
		"* = g.test._via\na.test = b.test\nDefault: c.d = e.f": {"line 3, left side: never reached: line 1 takes"},
		"company.test = a.test":                                {"line 1, left side: never reached: company.test is the Main Domain"},
		"client1.test = a.test":                                {"line 1, left side: client1.test is a domain of this server: its accounts are not reached by their names"},
		"client1.example = a.test":                             {},
		"Relay: *.test = g.test._via":                          {"line 1, prefix: strangers may send to domains of many owners by this record"},
		"<a> = nobody":                                         {"line 1, right side: a is refused: no such account in company.test"},
		"<a@x.test> = ann@client1.test\n<b@x.test> = error":    {},
		"<a@x.test> = a@nobody.local":                          {"line 1, right side: a@x.test is refused: no such account"},
	} {
		report, err := r.Preview(t.Context(), Replace(table))
		if err != nil || report.refusal() != nil || len(report.Problems) != len(want) {
			t.Errorf("%q: %v, %v", table, report.Problems, err)
			continue
		}
		for i, p := range report.Problems {
			if !strings.HasPrefix(p.String(), "warning: "+want[i]) {
				t.Errorf("%q: %s, want %s", table, p, want[i])
			}
		}
	}
}

func TestCirclesAreRefused(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	for table, lines := range map[string][]int{
		"a.test = b.test\nb.test = a.test":                         {1, 2},
		"<a> = b\n<b> = c\n<c> = a\n<d> = a":                       {1, 2, 3, 4},
		"*.a.test = *.b.test\nx.b.test = x.a.test":                 {1, 2},
		"<*@a.test> = x*@a.test":                                   {1},
		"client1.test = client1.example":                           {1},
		"<a> = a@x.test\nx.test = company.test":                    {1}, // line 2 alone is none
		"Access: <a> = b\nMail: <b> = a\nAccess: <b> = a":          {1, 3},
		"<a-*> = b-*\n<b-*> = a-*":                                 {1, 2},
		"* = loop.test\nloop.test = other.test\n<q> = q@loop.test": {1, 2, 3},
		"Default: a.test = b.test\nDefault: b.test = a.test":       {1, 2},
	} {
		_, err := r.Change(t.Context(), Replace(table))
		var refused *TableError
		if !errors.As(err, &refused) {
			if lines != nil || err != nil {
				t.Errorf("%q: %v", table, err)
			}
			continue
		}
		var got []int
		for _, p := range refused.Problems {
			if strings.HasSuffix(p.Text, "leads in a circle") && !p.Warning {
				got = append(got, p.Line)
			}
		}
		if !slices.Equal(got, lines) {
			t.Errorf("%q: %v, want lines %v", table, err, lines)
		}
	}
}

// A circle that came with a change of domains does not keep other changes out.
func TestOldCircleIsAWarning(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	setTable(t, r, "late.test = late.example")
	dom := "client1.test"
	if _, err := r.directory.AddDomain(t.Context(), "late.test"); err != nil {
		t.Fatal(err)
	}
	if err := setAliases(t, r, "late.test", "late.example"); err != nil {
		t.Fatal(err)
	}
	report, err := r.Change(t.Context(), Insert("<ann> = ann@"+dom, 0))
	if err != nil || len(report.Problems) == 0 || !report.Problems[len(report.Problems)-1].Warning {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := r.Change(t.Context(), Remove("late.test")); err != nil {
		t.Error(err)
	}
}

// TestHostileTables tries tables that are large or deep.
func TestHostileTables(t *testing.T) {
	t.Parallel()
	r := openRouter(t, testOptions())
	var chain, shapes strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&chain, "a%d.test = a%d.test\n", i, i+1)
	}
	for i := range 240 {
		fmt.Fprintf(&shapes, "%s*%s = b.test\n", strings.Repeat("a", i%60+1), strings.Repeat("b", i/60+1))
	}
	for name, c := range map[string]struct{ table, want string }{
		"10 MB":        {strings.Repeat("a.test = b.test\n", 640_000), "the table is longer than 1000000 octets"},
		"10 MB line":   {strings.Repeat("x", 10_000_000), "the table is longer than 1000000 octets"},
		"long line":    {strings.Repeat("x", 900_000), "line 1, line: it is longer than 2048 octets"},
		"many records": {strings.Repeat("a.b = c.d\n", 60_000), "the table has more than 50000 records"},
		"many lines":   {strings.Repeat("\n", 900_000), ""},
		"many errors":  {strings.Repeat("x\n", 400_000), "there may be more that is wrong"},
		"many circles": {strings.Repeat("a.test = a.b.test\na.b.test = a.test\n", 10_000), "leads in a circle"},
		"long chain":   {chain.String(), "leads in a circle"},
		"odd letters":  {"\u202ea.test = b.test\n<\u2066> = x\n\u00a0= y", "line 1"},
		"zero octets":  {strings.Repeat("\x00", 1000), "line 1, line: it has a control character"},
		"many shapes":  {shapes.String(), ""},
	} {
		report, err := r.Preview(t.Context(), Replace(c.table))
		if err != nil || len(report.Problems) > maxProblems+1 {
			t.Errorf("%s: %d problems, %v", name, len(report.Problems), err)
		}
		refusal := fmt.Sprint(report.refusal())
		if c.want == "" && report.refusal() != nil || c.want != "" && !strings.Contains(refusal, c.want) {
			t.Errorf("%s: %.200s, want %s", name, refusal, c.want)
		}
		if len(refusal) > 100_000 {
			t.Errorf("%s: an error of %d octets", name, len(refusal))
		}
	}
	if stored, err := r.Table(t.Context()); err != nil || stored.Text != initialTable {
		t.Errorf("the table in force is %q, %v", stored.Text, err)
	}
}

// FuzzTable holds what is read of a line to what is written of it.
func FuzzTable(f *testing.F) {
	text, err := os.ReadFile("testdata/routes.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if record, ok := strings.CutPrefix(line, "| "); ok {
			f.Add(strings.TrimSuffix(record, "\n"), "x.test@a.test")
		}
	}
	for line := range strings.Lines(initialTable) {
		f.Add(line, "root")
	}
	f.Add(`Default: <"a ; * >"@*.x> = "*"@y`, "x")
	r := openRouter(f, testOptions())
	f.Fuzz(func(t *testing.T, line, addr string) {
		if len(line) > 4096 {
			return
		}
		rec, ok, err := parseRecord(line)
		if err != nil || !ok {
			return
		}
		again, ok, err := parseRecord(rec.String())
		if err != nil || !ok || again != rec {
			t.Fatalf("%q is %+v, written %q, which is %+v (%v)", line, rec, rec.String(), again, err)
		}
		table, problems := parseTable(line)
		if problems != nil {
			t.Fatal(problems)
		}
		for _, q := range fuzzQuestions(rec.left, addr) {
			err := r.directory.View(t.Context(), routeAll(t, r, table, q))
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// fuzzQuestions are an address and, if there is one, an address that the record
// is for.
func fuzzQuestions(p pattern, addr string) []question {
	questions := []question{{addr: sample(p), simple: true}}
	if q, ok := ask(addr, ForMail); ok {
		questions = append(questions, q)
	}
	return questions
}

// routeAll routes a question for both purposes.
func routeAll(t *testing.T, r *Router, table *table, q question) func(*accounts.Names) error {
	return func(n *accounts.Names) error {
		for _, q.purpose = range []Purpose{ForMail, ForLogin} {
			res, err := r.walk(n, table, q)
			if err != nil {
				return err
			}
			checkResult(t, q.addr.String(), res)
			if q.purpose == ForLogin && res.Kind != Local && res.Kind != Refused {
				t.Errorf("%s: a login name leads to %s", q.addr, res.describe())
			}
		}
		return nil
	}
}

func setAliases(t *testing.T, r *Router, domain string, aliases ...string) error {
	t.Helper()
	_, err := r.directory.SetDomain(t.Context(), domain, func(d *accounts.Domain) error {
		d.Aliases = aliases
		return nil
	})
	return err
}
