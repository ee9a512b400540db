package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"tripost/admin"
	"tripost/rules"
)

func ruleList(e *environment, args []string) error {
	if err := need(args, "ADDR"); err != nil {
		return err
	}
	return ask(e, "rule/list", admin.NameRequest{Name: args[0]}, e.showRules)
}

// showRules prints rules as "rule set" reads them.
func (e *environment) showRules(list []rules.Rule) {
	for _, r := range list {
		fmt.Fprintln(e.stdout, printable(r.String()))
	}
}

func ruleAdd(e *environment, args []string) error {
	args, before := takeValue(args, "--before")
	if err := need(args, "ADDR", "RULE"); err != nil {
		return err
	}
	r, err := rules.ParseRule(args[1])
	if err != nil {
		return err
	}
	return ask(e, "rule/add", admin.AddRuleRequest{Account: args[0], Rule: r, Before: before}, e.showRules)
}

func ruleRemove(e *environment, args []string) error {
	if err := need(args, "ADDR", "NAME"); err != nil {
		return err
	}
	return ask(e, "rule/remove", admin.RuleRequest{Account: args[0], Rule: args[1]}, e.showRules)
}

func ruleSet(e *environment, args []string) error {
	if err := need(args, "ADDR", "FILE"); err != nil {
		return err
	}
	text, err := e.readRules(args[1])
	if err != nil {
		return err
	}
	list, err := rules.Parse(text)
	if err != nil {
		return err
	}
	return ask(e, "rule/set", admin.SetRulesRequest{Account: args[0], Rules: list}, e.showRules)
}

func ruleTest(e *environment, args []string) error {
	args, from := takeValue(args, "--from")
	if err := need(args, "ADDR", "FILE"); err != nil {
		return err
	}
	text, err := e.readRules(args[1])
	if err != nil {
		return err
	}
	q := admin.TestRulesRequest{Account: args[0], From: from, Message: text}
	return ask(e, "rule/test", q, func(v admin.RuleVerdict) {
		if len(v.Rules) == 0 {
			fmt.Fprintln(e.stdout, "no rule is met:", printable(v.Outcome))
			return
		}
		fmt.Fprintf(e.stdout, "%s: %s\n", printable(strings.Join(v.Rules, ", ")), printable(v.Outcome))
		if v.NoReply != "" {
			fmt.Fprintln(e.stdout, "there would be no vacation reply:", printable(v.NoReply))
		}
	})
}

// maxRuleFile bounds what is read of a file of rules, or of a message to try
// them on, in octets.
const maxRuleFile = 1 << 20

func (e *environment) readRules(name string) (string, error) {
	in := e.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxRuleFile+1))
	if err == nil && len(b) > maxRuleFile {
		err = errors.New("it is longer than 1 MiB")
	}
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", name, err)
	}
	return string(b), nil
}
