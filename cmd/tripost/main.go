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
	"unicode/utf8"
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
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errUsage marks a command line that could not be understood.
type errUsage struct {
	text string
	of   *command // whose usage helps; nil: that of all
}

func (e *errUsage) Error() string { return e.text }

func usagef(format string, args ...any) error { return &errUsage{text: fmt.Sprintf(format, args...)} }

// run is the program as a function: tests call it too.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	env := &environment{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr}
	err := env.dispatch(args)
	var usage *errUsage
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage) && usage.of != nil:
		fmt.Fprintf(stderr, "tripost: %s: %s\nusage: %s\n", usage.of.name, sentence(usage), usage.of.usage())
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "tripost:", sentence(usage))
		return exitUsage
	default:
		fmt.Fprintln(stderr, "tripost:", sentence(err))
		return exitFailed
	}
}

// maxSentence bounds an error as it is printed, in octets.
const maxSentence = 1000

// sentence makes an error one line that fits a terminal and cannot steer it,
// whatever was put into a name.
func sentence(err error) string {
	s := strings.ReplaceAll(err.Error(), "\n", "; ")
	if len(s) > maxSentence {
		s = strings.ToValidUTF8(s[:maxSentence], "") + "..."
	}
	return printable(s)
}

// environment is what one command runs in.
type environment struct {
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
	configPath     string
	json           bool
	help           bool
}

// dispatch finds the command of the arguments and runs it.
func (e *environment) dispatch(args []string) error {
	for i, a := range args {
		if !utf8.ValidString(a) { // nor could it be told to the server
			return usagef("argument %d is not UTF-8", i+1)
		}
	}
	args, literal, err := e.globalFlags(args)
	if err != nil {
		return err
	}
	if len(args) > 0 && (args[0] == "help" || args[0] == "-h") {
		args, e.help = args[1:], true
	}
	c, rest := find(args)
	switch {
	case e.help:
		return e.explain(c, args)
	case c == nil:
		return unknown(args)
	}
	err = c.checkFlags(rest)
	if err == nil {
		err = c.run(e, append(rest, literal...))
	}
	var usage *errUsage
	if errors.As(err, &usage) {
		usage.of = c
	}
	return err
}

// globalFlags takes --config FILE, --json and --help, which may stand anywhere
// before a lone "--", out of the arguments. What follows that is literal: no
// flag, whatever it looks like.
func (e *environment) globalFlags(args []string) (rest, literal []string, err error) {
	for i := 0; i < len(args); i++ {
		switch name, value, hasValue := strings.Cut(args[i], "="); {
		case args[i] == "--":
			return rest, args[i+1:], nil
		case args[i] == "--json":
			e.json = true
		case args[i] == "--help":
			e.help = true
		case name == "--config":
			if !hasValue && i+1 < len(args) {
				i++
				value = args[i]
			}
			if value == "" {
				return nil, nil, usagef("--config needs a file")
			}
			e.configPath = value
		default:
			rest = append(rest, args[i])
		}
	}
	return rest, nil, nil
}

// find returns the command that the arguments begin with, and the others.
func find(args []string) (*command, []string) {
	for i := range commands {
		if rest, ok := commands[i].match(args); ok {
			return &commands[i], rest
		}
	}
	return nil, nil
}

// unknown says why the arguments are no command.
func unknown(args []string) error {
	if len(args) == 0 {
		return usagef("a command is needed; \"tripost help\" lists them")
	}
	var verbs []string
	for _, c := range commands {
		if noun, verb, _ := strings.Cut(c.name, " "); noun == args[0] {
			verbs = append(verbs, verb)
		}
	}
	switch {
	case verbs == nil:
		return usagef("there is no command %q; \"tripost help\" lists them", args[0])
	case len(args) == 1:
		return usagef("%s needs one of: %s", args[0], strings.Join(verbs, ", "))
	}
	return usagef("there is no command %q; %s has: %s", args[0]+" "+args[1], args[0], strings.Join(verbs, ", "))
}

// explain prints the help for a command, for those of one noun, or for all.
func (e *environment) explain(c *command, args []string) error {
	switch {
	case c != nil:
		fmt.Fprintf(e.stdout, "%s\n\n  %s\n", c.usage(), c.help)
	case len(args) == 0:
		fmt.Fprint(e.stdout, overview(""))
	case overview(args[0]) == "":
		return unknown(args)
	default:
		fmt.Fprint(e.stdout, overview(args[0]))
	}
	return nil
}

// overview lists the commands of one noun, or with "" all, with what they have
// in common.
func overview(noun string) string {
	var b strings.Builder
	for _, c := range commands {
		if first, _, _ := strings.Cut(c.name, " "); noun == "" || noun == first {
			fmt.Fprintf(&b, "  %-58s %s\n", strings.TrimSpace(c.name+" "+c.args), c.help)
		}
	}
	if noun != "" {
		return b.String()
	}
	return "tripost [--config FILE] [--json] NOUN VERB [arguments]\n\n" + b.String() + `
Without --config the configuration is $TRIPOST_CONFIG, ./tripost.toml or
/etc/tripost/tripost.toml. --json prints what a command answers as JSON. After a
lone -- nothing is a flag. "tripost help NOUN" or --help tells more of a command.
Exit codes: 0 done, 1 refused or failed, 2 not understood.
`
}
