package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// actionWords lists how actions are written.
const actionWords = "file, forward, keep, vacation, mark, discard, stop"

// maxText bounds the text of a list of rules, in octets.
const maxText = 512 << 10

// Parse reads rules as text, one a line; lines that begin with # and empty lines
// do not count:
//
//	invoices: if subject contains "invoice" and not from ends "@company.test" then file "Invoices", mark seen
//	away: until 2026-12-31 vacation "Back in January." days 3
//
// It reads form only; what the words stand for is the business of [Check].
func Parse(text string) ([]Rule, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("the rules are longer than %d octets: %w", maxText, ErrBadRule)
	}
	var list []Rule
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		r, err := parseRule(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		list = append(list, r)
	}
	return list, nil
}

// ParseRule reads one rule.
func ParseRule(text string) (Rule, error) { return parseRule(strings.TrimSpace(text)) }

func parseRule(line string) (Rule, error) {
	name, rest, found := strings.Cut(line, ":")
	name = strings.TrimSpace(name)
	if err := checkName(name); err != nil {
		return Rule{}, err
	}
	if !found {
		return Rule{}, badRule(name, "a colon is expected behind the name")
	}
	p := &parser{rule: Rule{Name: name}}
	if err := p.split(rest); err != nil {
		return Rule{}, err
	}
	if err := p.parse(); err != nil {
		return Rule{}, err
	}
	return p.rule, nil
}

// token is a word, a quoted text or a comma.
type token struct {
	text   string
	quoted bool
}

func (t token) is(word string) bool { return !t.quoted && strings.EqualFold(t.text, word) }

// parser reads the tokens of one rule.
type parser struct {
	rule   Rule
	tokens []token
}

// split cuts a line into tokens.
func (p *parser) split(s string) error {
	for {
		s = strings.TrimLeft(s, " \t")
		switch {
		case s == "":
			return nil
		case s[0] == ',' || s[0] == ';':
			p.tokens = append(p.tokens, token{text: ","})
			s = s[1:]
		case s[0] == '"':
			text, rest, ok := unquote(s[1:])
			if !ok {
				return badRule(p.rule.Name, "a quotation mark is open, \" is expected")
			}
			p.tokens = append(p.tokens, token{text, true})
			s = rest
		default:
			end := strings.IndexAny(s, " \t,;\"")
			if end < 0 {
				end = len(s)
			}
			p.tokens = append(p.tokens, token{text: s[:end]})
			s = s[end:]
		}
	}
}

// unquote reads up to the closing quotation mark. \n is a new line, \t a tab; any
// other character behind a backslash stands for itself.
func unquote(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			default:
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

var quoting = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`)

func quote(s string) string { return `"` + quoting.Replace(s) + `"` }

// next takes a token off; a zero one at the end.
func (p *parser) next() token {
	if len(p.tokens) == 0 {
		return token{}
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

// take takes the word off if it is next.
func (p *parser) take(word string) bool {
	if len(p.tokens) > 0 && p.tokens[0].is(word) {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

// expected is the error where the next token is not what it should be.
func (p *parser) expected(where, what string) error {
	if len(p.tokens) == 0 {
		return badRule(p.rule.Name, "%s: %s is expected, there is nothing more", where, what)
	}
	return badRule(p.rule.Name, "%s: %s is expected, not %q", where, what, p.tokens[0].text)
}

// value takes off what stands for itself: a quoted text, or one word.
func (p *parser) value(where, what string) (string, error) {
	if len(p.tokens) == 0 || p.tokens[0].is(",") {
		return "", p.expected(where, what)
	}
	return p.next().text, nil
}

func (p *parser) parse() (err error) {
	for _, day := range []struct {
		word string
		to   *string
	}{{"from", &p.rule.From}, {"until", &p.rule.Until}} {
		if p.take(day.word) {
			if *day.to, err = p.value(day.word, "a date such as 2026-12-31"); err != nil {
				return err
			}
		}
	}
	if p.take("if") {
		if err := p.conditions(); err != nil {
			return err
		}
	}
	for {
		if err := p.action(); err != nil {
			return err
		}
		if len(p.tokens) == 0 {
			return nil
		}
		if !p.take(",") {
			return p.expected("behind the action", "a comma")
		}
	}
}

// conditions reads up to "then".
func (p *parser) conditions() error {
	joined := ""
	for {
		c, err := p.condition()
		if err != nil {
			return err
		}
		p.rule.Conditions = append(p.rule.Conditions, c)
		switch {
		case p.take("then"):
			p.rule.Any = joined == "or"
			return nil
		case joined != "or" && p.take("and"):
			joined = "and"
		case joined != "and" && p.take("or"):
			joined = "or"
		case joined == "":
			return p.expected("behind the condition", `"and", "or" or "then"`)
		default:
			return p.expected("behind the condition", strconv.Quote(joined)+` or "then"`)
		}
	}
}

func (p *parser) condition() (c Condition, err error) {
	c.Not = p.take("not")
	if len(p.tokens) == 0 || !slices.ContainsFunc(fields, func(f Field) bool { return p.tokens[0].is(string(f)) }) {
		return c, p.expected("condition", "a field ("+words(fields)+")")
	}
	c.Field = Field(strings.ToLower(p.next().text))
	where := string(c.Field)
	if c.Field == Header {
		if c.Header, err = p.value(where, "the name of a header field"); err != nil {
			return c, err
		}
	}
	if p.take("not") {
		c.Not = !c.Not
	}
	if len(p.tokens) == 0 || !slices.ContainsFunc(tests, func(t Test) bool { return p.tokens[0].is(string(t)) }) {
		return c, p.expected(where, "a test ("+words(tests)+")")
	}
	if c.Test = Test(strings.ToLower(p.next().text)); c.Test != Exists {
		c.Value, err = p.value(where+" "+string(c.Test), "a text")
	}
	return c, err
}

func (p *parser) action() (err error) {
	var a Action
	switch {
	case p.take("keep"):
		a.Do = Keep
	case p.take("discard"):
		a.Do = Discard
	case p.take("stop"):
		a.Do = Stop
	case p.take("file"):
		a.Do = File
		a.Mailbox, err = p.value("file", "the name of a mailbox")
	case p.take("forward"):
		a.Do = Forward
		a.Address, err = p.value("forward", "an address")
	case p.take("mark"):
		switch {
		case p.take("seen"):
			a.Do = Seen
		case p.take("flagged"):
			a.Do = Flagged
		default:
			err = p.expected("mark", "seen or flagged")
		}
	case p.take("vacation"):
		a, err = p.vacation()
	default:
		err = p.expected("action", "one of "+actionWords)
	}
	p.rule.Actions = append(p.rule.Actions, a)
	return err
}

func (p *parser) vacation() (a Action, err error) {
	a.Do = Vacation
	a.Text, err = p.value("vacation", "the text of the reply")
	for err == nil {
		switch {
		case p.take("subject"):
			a.Subject, err = p.value("vacation subject", "a text")
		case p.take("days"):
			var s string
			if s, err = p.value("vacation days", "a number"); err != nil {
				return a, err
			}
			n, bad := strconv.Atoi(s)
			if bad != nil || n < 1 || n > maxDays {
				return a, badRule(p.rule.Name, "vacation days: a number of 1 to %d is expected, not %q", maxDays, s)
			}
			a.Days = n
		default:
			return a, nil
		}
	}
	return a, err
}

// String writes the rule as [ParseRule] reads it.
func (r Rule) String() string {
	var b strings.Builder
	b.WriteString(r.Name)
	b.WriteByte(':')
	for _, day := range [...][2]string{{" from ", r.From}, {" until ", r.Until}} {
		if day[1] != "" {
			b.WriteString(day[0] + day[1])
		}
	}
	for i, c := range r.Conditions {
		switch {
		case i == 0:
			b.WriteString(" if")
		case r.Any:
			b.WriteString(" or")
		default:
			b.WriteString(" and")
		}
		b.WriteString(c.String())
	}
	if len(r.Conditions) > 0 {
		b.WriteString(" then")
	}
	for i, a := range r.Actions {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(" " + a.String())
	}
	return b.String()
}

// String writes the condition with a blank before it.
func (c Condition) String() string {
	s := " " + string(c.Field)
	if c.Field == Header {
		s += " " + c.Header
	}
	if c.Not {
		s += " not"
	}
	s += " " + string(c.Test)
	if c.Test != Exists {
		s += " " + quote(c.Value)
	}
	return s
}

// String writes the action.
func (a Action) String() string {
	switch a.Do {
	case File:
		return "file " + quote(a.Mailbox)
	case Forward:
		return "forward " + a.Address
	case Seen, Flagged:
		return "mark " + string(a.Do)
	case Vacation:
		s := "vacation " + quote(a.Text)
		if a.Subject != "" {
			s += " subject " + quote(a.Subject)
		}
		if a.Days != 0 {
			s += " days " + strconv.Itoa(a.Days)
		}
		return s
	}
	return string(a.Do)
}
