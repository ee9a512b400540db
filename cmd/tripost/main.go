// Command tripost is a mail server: SMTP, POP and IMAP over one store, in one
// process, with the commands to administer it.
//
// Commands talk to the running server over its control socket; with none
// running they open the store themselves.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// version is the released version; the build may set it with -ldflags.
var version = "0.1.0"

// Exit codes: done; refused or failed; called in a way it does not understand.
const (
	exitDone = iota
	exitFailed
	exitUsage
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errUsage marks a command line that could not be understood.
type errUsage struct{ text string }

func (e *errUsage) Error() string { return e.text }

func usagef(format string, args ...any) error { return &errUsage{fmt.Sprintf(format, args...)} }

// run is the program as a function: tests call it too.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	env := &environment{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr}
	err := env.dispatch(args)
	var usage *errUsage
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "tripost:", usage.text)
		return exitUsage
	default:
		fmt.Fprintln(stderr, "tripost:", err)
		return exitFailed
	}
}

// environment is what one command runs in.
type environment struct {
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
	configPath     string
	json           bool
}

// dispatch finds the command of the arguments and runs it.
func (e *environment) dispatch(args []string) error {
	args, err := e.globalFlags(args)
	if err != nil {
		return err
	}
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		fmt.Fprint(e.stdout, overview())
		if len(args) == 0 {
			return usagef("a command is needed")
		}
		return nil
	}
	for _, c := range commands {
		if rest, ok := c.match(args); ok {
			return c.run(e, rest)
		}
	}
	return usagef("there is no command %q; \"tripost help\" lists them", strings.Join(args[:min(2, len(args))], " "))
}

// globalFlags takes --config FILE and --json, which may stand anywhere before
// a lone "--", out of the arguments.
func (e *environment) globalFlags(args []string) (rest []string, err error) {
	for i := 0; i < len(args); i++ {
		name, value, hasValue := strings.Cut(args[i], "=")
		switch name {
		case "--":
			return append(rest, args[i+1:]...), nil
		case "--json":
			e.json = true
		case "--config", "-config":
			if !hasValue {
				if i++; i == len(args) {
					return nil, usagef("--config needs a file")
				}
				value = args[i]
			}
			e.configPath = value
		default:
			rest = append(rest, args[i])
		}
	}
	return rest, nil
}

// command is one line of the command table.
type command struct {
	name string // "account add"
	args string // for the usage line
	help string
	run  func(e *environment, args []string) error
}

// match reports whether args begin with the command's words.
func (c command) match(args []string) (rest []string, ok bool) {
	words := strings.Fields(c.name)
	if len(args) < len(words) {
		return nil, false
	}
	for i, w := range words {
		if args[i] != w {
			return nil, false
		}
	}
	return args[len(words):], true
}

// overview is what "tripost help" prints.
func overview() string {
	var b strings.Builder
	b.WriteString("tripost [--config FILE] [--json] NOUN VERB [arguments]\n\n")
	for _, c := range commands {
		fmt.Fprintf(&b, "  %-58s %s\n", strings.TrimSpace(c.name+" "+c.args), c.help)
	}
	return b.String()
}
