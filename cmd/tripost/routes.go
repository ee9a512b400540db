package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"tripost/admin"
	"tripost/router"
)

// maxTableFile bounds what is read for a table, in octets. The router takes less.
const maxTableFile = 2 << 20

func routeList(e *environment, args []string) error {
	if err := need(args); err != nil {
		return err
	}
	return ask(e, "route/list", admin.None{}, func(t router.Stored) {
		for line := range strings.Lines(t.Text) {
			fmt.Fprintln(e.stdout, printable(strings.TrimRight(line, "\r\n")))
		}
	})
}

func routeAdd(e *environment, args []string) error {
	args, yes := takeFlag(args, "--yes")
	args, line, err := takeLine(args)
	if err != nil {
		return err
	}
	if err := need(args, "RECORD"); err != nil {
		return err
	}
	return e.changeRoutes("route/add", admin.RouteEdit{Record: args[0], Line: line}, yes)
}

// takeLine takes --line=N or --line N out of the arguments.
func takeLine(args []string) (rest []string, line int, err error) {
	for i := 0; i < len(args); i++ {
		name, value, hasValue := strings.Cut(args[i], "=")
		if name != "--line" {
			rest = append(rest, args[i])
			continue
		}
		if !hasValue && i+1 < len(args) {
			i++
			value = args[i]
		}
		if line, err = strconv.Atoi(value); err != nil || line < 1 {
			return nil, 0, usagef("--line needs a number from 1")
		}
	}
	return rest, line, nil
}

func routeRemove(e *environment, args []string) error {
	args, yes := takeFlag(args, "--yes")
	if err := need(args, "RECORD"); err != nil {
		return err
	}
	return e.changeRoutes("route/remove", admin.RouteEdit{Record: args[0]}, yes)
}

func routeSet(e *environment, args []string) error {
	args, yes := takeFlag(args, "--yes")
	if err := need(args, "FILE"); err != nil {
		return err
	}
	text, err := e.readTable(args[0])
	if err != nil {
		return err
	}
	return e.changeRoutes("route/set", admin.RouteEdit{Text: text}, yes)
}

func routeCheck(e *environment, args []string) error {
	if err := need(args, "FILE"); err != nil {
		return err
	}
	text, err := e.readTable(args[0])
	if err != nil {
		return err
	}
	report, err := answer[router.Report](e, "route/check", admin.RouteTable{Text: text})
	if err != nil {
		return err
	}
	if e.json {
		err = e.printJSON(report)
	} else {
		e.showReport(report)
	}
	return errors.Join(err, refusedTable(report))
}

// changeRoutes shows what a change would do, asks whether it is meant where
// somebody can answer, and makes it if the table is still the same.
func (e *environment) changeRoutes(operation string, edit admin.RouteEdit, yes bool) error {
	edit.DryRun = true
	report, err := answer[router.Report](e, operation, edit)
	if err != nil {
		return err
	}
	if !e.json {
		e.showReport(report)
	}
	if err := refusedTable(report); err != nil {
		return err
	}
	if !yes && report.Changed > 0 {
		if err := e.confirm("Put it in force?"); err != nil {
			return err
		}
	}
	edit.DryRun, edit.Revision = false, &report.Revision
	return ask[router.Report](e, operation, edit, nil)
}

// confirm asks a question that is answered with yes or no. Where standard input
// is no terminal the answer is yes.
func (e *environment) confirm(question string) error {
	f, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	fmt.Fprint(e.stderr, question, " [y/N] ")
	var reply string
	fmt.Fscanln(io.LimitReader(f, 100), &reply) // an empty line is an error, and no
	if reply = strings.ToLower(reply); reply != "y" && reply != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

func refusedTable(report router.Report) error {
	n := 0
	for _, p := range report.Problems {
		if !p.Warning {
			n++
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return errors.New("with an error in it the table cannot be put in force")
	}
	return fmt.Errorf("with %d errors in it the table cannot be put in force", n)
}

func (e *environment) showReport(r router.Report) {
	for _, p := range r.Problems {
		fmt.Fprintln(e.stdout, printable(p.String()))
	}
	if refusedTable(r) != nil {
		return
	}
	fmt.Fprintf(e.stdout, "records: %d; names of recent days tried: %d; leading elsewhere: %d", r.Records, r.Tested, r.Changed)
	if r.Lost > 0 {
		fmt.Fprintf(e.stdout, ", %d of them nowhere", r.Lost)
	}
	fmt.Fprintln(e.stdout)
	if r.Changed == 0 {
		return
	}
	e.table("NAME|NOW|THEN", func(row func(...any)) {
		for _, d := range r.Differences {
			name := d.Address
			if d.Login {
				name += " (login)"
			}
			row(name, d.Now, d.Then)
		}
	})
	if more := r.Changed - len(r.Differences); more > 0 {
		fmt.Fprintln(e.stdout, "and", more, "more")
	}
}

func (e *environment) readTable(file string) (string, error) {
	in := e.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("reading the table: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxTableFile+1))
	if err != nil {
		return "", fmt.Errorf("reading the table: %w", err)
	}
	if len(text) > maxTableFile {
		return "", fmt.Errorf("reading the table: %s is longer than %d octets", file, maxTableFile)
	}
	return string(text), nil
}
