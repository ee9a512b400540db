package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"tripost/accounts"
)

// command is one line of the command table.
type command struct {
	name string // "account add"
	args string // for the usage line; the flags it takes are read from here too
	help string
	run  func(e *environment, args []string) error
}

// match reports whether args begin with the command's words.
func (c *command) match(args []string) (rest []string, ok bool) {
	words := strings.Fields(c.name)
	if len(args) < len(words) || !slices.Equal(args[:len(words)], words) {
		return nil, false
	}
	return args[len(words):], true
}

func (c *command) usage() string { return strings.TrimSpace("tripost " + c.name + " " + c.args) }

// checkFlags refuses flags that the command does not have.
func (c *command) checkFlags(args []string) error {
	known := strings.FieldsFunc(c.args, func(r rune) bool { return r == ' ' || r == '[' || r == ']' })
	for _, a := range args {
		if name, _, _ := strings.Cut(a, "="); strings.HasPrefix(a, "--") && !slices.Contains(known, name) {
			return usagef("there is no flag %s here", printable(name))
		}
	}
	return nil
}

// cascading names the settings that an account may leave to its domain, and a
// domain to the server.
var cascading = strings.Join(accounts.PolicyNames(), ", ")

// commands is the one table of the command line. A longer name stands before
// its own beginning ("mailbox acl set" before "mailbox acl").
var commands = []command{
	{"serve", "[--quickstart]", "run the server", serve},
	{"config check", "", "read the configuration and say what is wrong with it", configCheck},
	{"config show", "", "print the configuration with all defaults", configShow},

	{"domain add", "NAME", "add a domain; the first one is the Main Domain", domainAdd},
	{"domain list", "", "list the domains", domainList},
	{"domain show", "NAME", "show a domain", domainShow},
	{"domain set", "NAME KEY=VALUE ...", "aliases, addresses, unknown, all_senders, domain_quota, domain_quota_messages, " + cascading, domainSet},
	{"domain remove", "NAME", "remove a domain without accounts", domainRemove},
	{"domain dkim", "NAME add [rsa|ed25519] | list | rotate [--overlap 72h] | remove SELECTOR", "make and change the keys that sign what a domain sends, and tell what the DNS must have", domainDKIM},

	{"account add", "ADDR [--password-stdin]", "add an account", accountAdd},
	{"account list", "[DOMAIN]", "list accounts", accountList},
	{"account show", "ADDR", "show an account", accountShow},
	{"account set", "ADDR KEY=VALUE ...", "name, locked, certificate, legacy_auth, " + cascading, accountSet},
	{"account password", "ADDR [--password-stdin]", "set an account's password", accountPassword},
	{"account compromised", "ADDR", "close an account in wrong hands: sign-in, sessions, its mail in the queue", accountCompromised},
	{"account release", "ADDR", "give it back", accountRelease},
	{"account removed", "", "list removed accounts that can be restored", accountRemoved},
	{"account remove", "ADDR", "remove an account", accountRemove},
	{"account restore", "ADDR", "make a removed account again, with its mail", accountRestore},

	{"alias add", "ALIAS ACCOUNT", "give an account another name", aliasAdd},
	{"alias list", "[DOMAIN]", "list aliases", aliasList},
	{"alias remove", "ALIAS", "remove an alias", aliasRemove},

	{"forwarder add", "NAME ADDRESS", "make a name stand for an address", forwarderAdd},
	{"forwarder list", "[DOMAIN]", "list forwarders", forwarderList},
	{"forwarder show", "NAME", "show a forwarder and where it leads", forwarderShow},
	{"forwarder set", "NAME ADDRESS", "make a forwarder stand for another address", forwarderSet},
	{"forwarder remove", "NAME", "remove a forwarder", forwarderRemove},

	{"group add", "NAME [MEMBER ...]", "make a group", groupAdd},
	{"group list", "[DOMAIN]", "list groups", groupList},
	{"group show", "NAME", "show a group and its members", groupShow},
	{"group set", "NAME KEY=VALUE ...", "name, members (+A,B and -A,B too), senders, mail, expand, once, reply_to, owner", groupSet},
	{"group remove", "NAME", "remove a group", groupRemove},

	{"mailbox list", "ADDR", "list an account's mailboxes", mailboxList},
	{"mailbox create", "ADDR MAILBOX", "make a mailbox", mailboxCreate},
	{"mailbox rename", "ADDR MAILBOX NEW", "rename a mailbox and what is below it", mailboxRename},
	{"mailbox remove", "ADDR MAILBOX", "remove a mailbox", mailboxRemove},
	{"mailbox acl set", "ADDR MAILBOX IDENTIFIER RIGHTS", "grant (+), take away (-) or set rights, of lrswipcda", mailboxACLSet},
	{"mailbox acl", "ADDR MAILBOX [PERSON]", "show who has which rights, or which a person has and why", mailboxACL},
	{"mailbox alias add", "ADDR NAME TARGET", "give an account a name of its own for ~ACCOUNT/MAILBOX", mailboxAliasAdd},
	{"mailbox alias list", "ADDR", "list an account's names for mailboxes of others", mailboxAliasList},
	{"mailbox alias remove", "ADDR NAME", "remove one", mailboxAliasRemove},

	{"route list", "", "print the router's table", routeList},
	{"route add", "RECORD [--line N] [--yes]", "add a record to it, at the end or before line N", routeAdd},
	{"route remove", "RECORD [--yes]", "remove a record, given whole or by its left side", routeRemove},
	{"route set", "FILE [--yes]", "put another table in force (- for standard input)", routeSet},
	{"route check", "FILE", "say what is wrong with a table and what would differ", routeCheck},
	{"route test", "ADDR [--login]", "explain where an address or login name leads", routeTest},

	{"alert post", "[--server] [--domain D] [--account A] TEXT", "show all users, those of a domain, or one a line at sign-in", alertPost},
	{"alert list", "[--server] [--domain D] [--account A]", "list the alerts that are posted", alertList},
	{"alert seen", "ID", "list who was shown an alert for the server or a domain", alertSeen},
	{"alert remove", "ID", "take an alert away", alertRemove},

	{"rule list", "ADDR", "list an account's rules for mail that arrives", ruleList},
	{"rule add", "ADDR RULE [--before NAME]", "add a rule, at the end or before another", ruleAdd},
	{"rule remove", "ADDR NAME", "remove a rule", ruleRemove},
	{"rule set", "ADDR FILE", "replace all rules, one a line (- for standard input)", ruleSet},
	{"rule test", "ADDR FILE [--from ADDR]", "say what they would do with a message", ruleTest},

	{"queue list", "[--sender S] [--domain D]", "list the messages that wait to be sent", queueList},
	{"queue show", "ID", "show one of them", queueShow},
	{"queue retry", "[ID] [--sender S] [--domain D]", "try to send it now, or all of a sender, or all for a domain", queueVerb("queue/retry")},
	{"queue hold", "[ID] [--sender S] [--domain D]", "keep it until it is released", queueVerb("queue/hold")},
	{"queue release", "[ID] [--sender S] [--domain D]", "let it go", queueVerb("queue/release")},
	{"queue reroute", "HOST [ID] [--sender S] [--domain D]", "send it to a host, or host:port, whatever the MX says", queueVerb("queue/reroute")},
	{"queue bounce", "[ID] [--sender S] [--domain D]", "give up and tell the sender", queueVerb("queue/bounce")},
	{"queue drop", "[ID] [--sender S] [--domain D]", "remove it and tell nobody", queueVerb("queue/drop")},

	{"log", "[--follow] [--tag T] [--session T-000123] [--level N] [--since T]", "print the System Log", showLog},

	{"explain", "ID", "tell what became of a message, by its queue id or Message-ID", explain},

	{"undelete list", "ADDR [MAILBOX]", "list removed messages that can be restored", undeleteList},
	{"undelete restore", "ADDR [MAILBOX [UID]]", "put removed messages back", undeleteRestore},

	{"message import", "ADDR MAILBOX FILE", "append the messages of an mbox file (- for standard input)", messageImport},
	{"message export", "ADDR MAILBOX FILE", "write a mailbox as an mbox file (- for standard output)", messageExport},

	{"store status", "", "tell how the store is", storeStatus},
	{"store check", "", "read and verify everything in the store", storeCheck},
	{"store compact", "", "give back the space of removed mail", storeCompact},
	{"store backup", "DIR [--verify]", "add a backup to a directory of them; unchanged files are shared", storeBackup},
	{"store verify", "DIR", "read a backup, or the newest in a directory of them, and check its store", storeVerify},
	{"store drill", "[--rounds N]", "kill a scratch server at work on this disk, and look for what it had acknowledged", storeDrill},
	{"store restore", "DIR", "bring a backup back where no store is; no server may run", storeRestore},
	{"store rebuild", "[BACKUP]", "make a new index from its copy or a backup's, and the journal since; no server may run", storeRebuild},
	{"store rescue", "DIR [STORE]", "write all mail that can be read without the index into a Maildir; no server may have that store", storeRescue},

	{"doctor", "[DOMAIN]", "look at domains as other hosts see them, and tell what the DNS should have", examine},

	{"version", "", "print the version", showVersion},
}

func showVersion(e *environment, args []string) error {
	if err := need(args); err != nil {
		return err
	}
	if e.json {
		return e.printJSON(map[string]string{"version": version})
	}
	fmt.Fprintln(e.stdout, "tripost", version)
	return nil
}

// need checks that exactly the named arguments are there. It does not repeat
// what was given: that may be a password in the wrong place.
func need(given []string, names ...string) error {
	if len(given) < len(names) {
		return usagef("%s is missing", names[len(given)])
	}
	return needSome(given, names...)
}

// needSome checks for at least one, if any is named, and at most all of the
// named arguments.
func needSome(given []string, names ...string) error {
	if len(given) == 0 && len(names) > 0 {
		return usagef("%s is missing", names[0])
	}
	switch more := len(given) - len(names); {
	case more > 1:
		return usagef("%d arguments too many", more)
	case more == 1:
		return usagef("one argument too many")
	}
	return nil
}

// takeFlag removes a switch from the arguments and says whether it was there.
func takeFlag(args []string, name string) (rest []string, found bool) {
	for _, a := range args {
		if a == name {
			found = true
		} else {
			rest = append(rest, a)
		}
	}
	return rest, found
}

// takeValue removes a flag with a value, "--flag VALUE" or "--flag=VALUE", from
// the arguments. Without the flag, or without a value behind it, value is empty.
func takeValue(args []string, name string) (rest []string, value string) {
	for i := 0; i < len(args); i++ {
		text, found := strings.CutPrefix(args[i], name+"=")
		switch {
		case found:
			value = text
		case args[i] == name && i+1 < len(args):
			i++
			value = args[i]
		default:
			rest = append(rest, args[i])
		}
	}
	return rest, value
}

// settings reads KEY=VALUE arguments.
func settings(args []string) (map[string]string, error) {
	m := map[string]string{}
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		if !ok || key == "" {
			return nil, usagef("%q is not KEY=VALUE", a)
		}
		if _, twice := m[key]; twice {
			return nil, usagef("%s is set twice", key)
		}
		m[key] = value
	}
	if len(m) == 0 {
		return nil, usagef("KEY=VALUE is missing")
	}
	return m, nil
}

// ask carries out one operation and prints its response: as JSON when asked
// for, else by show, which may be nil for an operation that says nothing.
func ask[R any](e *environment, operation string, request any, show func(R)) error {
	resp, err := answer[R](e, operation, request)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(resp)
	}
	if show != nil {
		show(resp)
	}
	return nil
}

// answer carries out one operation.
func answer[R any](e *environment, operation string, request any) (resp R, err error) {
	return answerLong[R](e, operation, request, nil)
}

// answerLong is answer for an operation that may take long, with a bar that shows
// how far it is.
func answerLong[R any](e *environment, operation string, request any, b *bar) (resp R, err error) {
	c, _, err := e.client()
	if err != nil {
		return resp, err
	}
	err = c.askLong(e.ctx, operation, request, &resp, b)
	return resp, errors.Join(err, c.close())
}

func (e *environment) printJSON(v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table prints rows in columns under a header of cells separated by '|'.
func (e *environment) table(header string, rows func(row func(cells ...any))) {
	w := tabwriter.NewWriter(e.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(header, "|", "\t"))
	rows(func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, printable(fmt.Sprint(c)))
		}
		fmt.Fprintln(w)
	})
	w.Flush()
}

// printable keeps a name that came in by mail from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return '?'
		}
		return r
	}, s)
}
