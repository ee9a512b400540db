package main

import (
	"fmt"
	"strings"

	"tripost/admin"
	"tripost/smtp/dkim"
)

// domainDKIM lists, makes, changes and removes the keys with which a domain
// signs.
func domainDKIM(e *environment, args []string) error {
	args, overlap := takeOverlap(args)
	if len(args) < 2 {
		return usagef("NAME and one of add, list, rotate, remove are needed")
	}
	q, rest := admin.DKIMRequest{Name: args[0]}, args[2:]
	operation := "domain/dkim-" + args[1]
	if overlap != "" && args[1] != "rotate" {
		return usagef("--overlap is for rotate")
	}
	switch args[1] {
	case "list":
		if err := need(rest); err != nil {
			return err
		}
	case "rotate":
		if err := need(rest); err != nil {
			return err
		}
		q.Overlap = overlap
	case "add":
		if len(rest) > 0 {
			q.Algorithm = rest[0]
			rest = rest[1:]
		}
		if err := need(rest); err != nil {
			return err
		}
	case "remove":
		if err := need(rest, "SELECTOR"); err != nil {
			return err
		}
		q.Selector = rest[0]
	default:
		return usagef("%q is none of add, list, rotate, remove", args[1])
	}
	return ask(e, operation, q, e.showKeys)
}

// takeOverlap takes the flag --overlap and its value off the arguments.
func takeOverlap(args []string) (rest []string, overlap string) {
	for i := 0; i < len(args); i++ {
		name, value, whole := strings.Cut(args[i], "=")
		switch {
		case name != "--overlap":
			rest = append(rest, args[i])
		case whole:
			overlap = value
		case i+1 < len(args):
			i++
			overlap = args[i]
		}
	}
	return rest, overlap
}

// showKeys shows keys, and then what the DNS must have.
func (e *environment) showKeys(list []admin.DKIMKey) {
	e.table("SELECTOR|ALGORITHM|STATE|SIGNS FROM|UNTIL", func(row func(...any)) {
		for _, k := range list {
			row(k.Selector, k.Algorithm, k.State, when(k.Begins), when(k.Ends))
		}
	})
	publish := func(text, states string) {
		said := false
		for _, k := range list {
			if !strings.Contains(states, k.State) {
				continue
			}
			if !said {
				fmt.Fprintf(e.stdout, "\n%s\n\n", text)
				said = true
			}
			for _, r := range k.Records {
				fmt.Fprintln(e.stdout, printable(r))
			}
		}
	}
	publish("To be published in the DNS:", string(dkim.Waiting+" "+dkim.Signing+" "+dkim.Fading))
	publish("No longer needed:", string(dkim.Over))
}
