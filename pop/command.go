package pop

import (
	"context"
	"strings"
)

// state is where a session stands (RFC 1939 section 3). The UPDATE state is the
// end of QUIT's handler.
type state uint8

const (
	authorization state = 1 << iota
	transaction

	anyState = authorization | transaction
)

// command is one row of the table that says what a session understands.
type command struct {
	name  string
	in    state  // where it is legal
	words [2]int // fewest and most arguments; most is anyText for the rest of the line as it is
	usage string // arguments, for the reply when they are wrong
	// run writes the reply. It returns an error only when the session must end.
	run func(*session, context.Context, string) error
}

const anyText = -1

var (
	none    = [2]int{0, 0}
	one     = [2]int{1, 1}
	atMost1 = [2]int{0, 1}
	atMost2 = [2]int{0, 2}
	two     = [2]int{2, 2}
	text    = [2]int{0, anyText}
)

// commandTable returns the commands by name.
func commandTable() map[string]*command {
	table := []command{
		{"USER", authorization, text, "name", (*session).user},
		{"PASS", authorization, text, "password", (*session).pass},
		{"APOP", authorization, two, "name digest", (*session).apop},
		{"AUTH", authorization, atMost2, "[mechanism [initial-response]]", (*session).auth},
		{"UTF8", authorization, none, "", (*session).utf8Mode},
		{"STLS", authorization, none, "", (*session).stls},
		{"STARTTLS", authorization, none, "", (*session).stls},

		{"STAT", transaction, none, "", (*session).stat},
		{"LIST", transaction, atMost1, "[message-number]", (*session).list},
		{"UIDL", transaction, atMost1, "[message-number]", (*session).uidl},
		{"RETR", transaction, one, "message-number", (*session).retr},
		{"TOP", transaction, two, "message-number lines", (*session).top},
		{"DELE", transaction, one, "message-number", (*session).dele},
		{"RSET", transaction, none, "", (*session).rset},
		{"LAST", transaction, none, "", (*session).lastNumber},
		{"NOOP", transaction, none, "", (*session).noop},
		{"XTND", transaction, one, "XMIT", (*session).xtnd},

		{"LANG", anyState, atMost1, "[language | *]", (*session).lang},
		{"CAPA", anyState, none, "", (*session).capa},
		{"QUIT", anyState, none, "", (*session).quit},
	}
	commands := make(map[string]*command, len(table))
	for i := range table {
		commands[table[i].name] = &table[i]
	}
	return commands
}

const longestVerb = 8 // STARTTLS

// split takes a command line apart: the verb in upper case, and what follows
// the space after it as it is. Blanks before the verb are passed over.
func split(line []byte) (verb, arg string) {
	for len(line) > 0 && isBlank(line[0]) {
		line = line[1:]
	}
	end := 0
	for end < len(line) && !isBlank(line[end]) {
		end++
	}
	verb = string(upper(line[:end]))
	if end < len(line) {
		arg = string(line[end+1:])
	}
	return verb, arg
}

// upper returns a verb in upper case; one too long to be any is returned as it is.
func upper(verb []byte) []byte {
	if len(verb) > longestVerb {
		return verb
	}
	var b [longestVerb]byte
	for i, c := range verb {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		b[i] = c
	}
	return b[:len(verb)]
}

// check brings the arguments into the form that the handler expects: a text as
// it is, words with one space between them. ok is false when their number is
// wrong.
func (c *command) check(arg string) (_ string, ok bool) {
	if c.words[1] == anyText {
		return arg, true
	}
	if !strings.ContainsAny(arg, " \t") {
		n := 1
		if arg == "" {
			n = 0
		}
		return arg, n >= c.words[0] && n <= c.words[1]
	}
	words := strings.FieldsFunc(arg, func(r rune) bool { return r == ' ' || r == '\t' })
	return strings.Join(words, " "), len(words) >= c.words[0] && len(words) <= c.words[1]
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
