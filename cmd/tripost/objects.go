package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"tripost/accounts"
	"tripost/admin"
)

const day = "2006-01-02 15:04"

func domainAdd(e *environment, args []string) error {
	if err := need(args, "NAME"); err != nil {
		return err
	}
	return ask(e, "domain/add", admin.NameRequest{Name: args[0]}, e.showDomain)
}

func domainList(e *environment, args []string) error {
	if err := need(args); err != nil {
		return err
	}
	return ask(e, "domain/list", admin.None{}, func(list []admin.DomainInfo) {
		e.table("DOMAIN|MAIN|MESSAGES|OCTETS|QUOTA|SERVICES|ALIASES", func(row func(...any)) {
			for _, d := range list {
				row(d.Name, mark(d.Main), d.Messages, d.Octets, quota(d.Quota), d.Services, strings.Join(d.Aliases, " "))
			}
		})
	})
}

func domainShow(e *environment, args []string) error {
	if err := need(args, "NAME"); err != nil {
		return err
	}
	return ask(e, "domain/show", admin.NameRequest{Name: args[0]}, e.showDomain)
}

func domainSet(e *environment, args []string) error {
	if len(args) == 0 {
		return usagef("NAME is missing")
	}
	m, err := settings(args[1:])
	if err != nil {
		return err
	}
	return ask(e, "domain/set", admin.SettingsRequest{Name: args[0], Settings: m}, e.showDomain)
}

func domainRemove(e *environment, args []string) error {
	if err := need(args, "NAME"); err != nil {
		return err
	}
	return ask[admin.None](e, "domain/remove", admin.NameRequest{Name: args[0]}, nil)
}

func (e *environment) showDomain(d admin.DomainInfo) {
	e.table("DOMAIN|"+d.Name, func(row func(...any)) {
		row("main", mark(d.Main))
		row("aliases", strings.Join(d.Aliases, " "))
		if len(d.Addresses) > 0 {
			row("addresses", strings.Trim(fmt.Sprint(d.Addresses), "[]"))
		}
		row("created", d.Created.Local().Format(day))
		row("unknown", d.Unknown)
		row("all_senders", d.AllSenders)
		row("messages", d.Messages)
		row("octets", d.Octets)
		row("domain_quota", quota(d.Quota))
		row("domain_quota_messages", count(d.QuotaMessages))
		policyRows(row, d.Policy)
	})
}

func mark(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func accountAdd(e *environment, args []string) error {
	return e.withPassword("account/add", args)
}

func accountPassword(e *environment, args []string) error {
	return e.withPassword("account/password", args)
}

// withPassword sends an operation that sets a password. It is read from
// standard input, or asked for where that is a terminal; without either an
// account is made that nobody can sign in to yet.
func (e *environment) withPassword(operation string, args []string) error {
	args, fromStdin := takeFlag(args, "--password-stdin")
	if err := need(args, "ADDR"); err != nil {
		return err
	}
	password, err := e.readPassword(fromStdin)
	if err != nil {
		return err
	}
	if password == "" && operation == "account/password" {
		return usagef("a password is needed; --password-stdin reads it from standard input")
	}
	q := admin.PasswordRequest{Name: args[0], Password: password}
	if operation == "account/password" {
		return ask[admin.None](e, operation, q, nil)
	}
	return ask(e, operation, q, func(a admin.AccountInfo) {
		e.showAccount(a)
		if password == "" {
			fmt.Fprintln(e.stderr, "No password is set yet: tripost account password", a.Address)
		}
	})
}

// maxPassword bounds what is read for a password, in octets.
const maxPassword = 1024

func (e *environment) readPassword(fromStdin bool) (string, error) {
	if fromStdin {
		line, err := bufio.NewReader(io.LimitReader(e.stdin, maxPassword+2)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "":
			return "", errors.New("standard input has no password")
		case !utf8.ValidString(line):
			return "", errors.New("the password is not UTF-8")
		case len(line) > maxPassword:
			return "", fmt.Errorf("the password is longer than %d octets", maxPassword)
		}
		return line, nil
	}
	f, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", nil
	}
	first, err := e.prompt(f, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := e.prompt(f, "Again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ")
	}
	return first, nil
}

func (e *environment) prompt(f *os.File, text string) (string, error) {
	fmt.Fprint(e.stderr, text)
	p, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(e.stderr)
	return string(p), err
}

func accountList(e *environment, args []string) error {
	q, err := ofDomain(args)
	if err != nil {
		return err
	}
	return ask(e, "account/list", q, func(list []admin.AccountInfo) {
		e.table("ACCOUNT|MESSAGES|OCTETS|QUOTA|SERVICES|NAME", func(row func(...any)) {
			for _, a := range list {
				row(a.Address, a.Messages, a.Octets, quota(a.Quota), a.Services, a.RealName)
			}
		})
	})
}

func quota(n int64) string {
	if n == 0 {
		return "none"
	}
	return accounts.FormatSize(n)
}

func count(n int64) string {
	if n == 0 {
		return "none"
	}
	return strconv.FormatInt(n, 10)
}

func accountShow(e *environment, args []string) error {
	if err := need(args, "ADDR"); err != nil {
		return err
	}
	return ask(e, "account/show", admin.NameRequest{Name: args[0]}, e.showAccount)
}

func accountSet(e *environment, args []string) error {
	if len(args) == 0 {
		return usagef("ADDR is missing")
	}
	m, err := settings(args[1:])
	if err != nil {
		return err
	}
	return ask(e, "account/set", admin.SettingsRequest{Name: args[0], Settings: m}, e.showAccount)
}

func accountRemove(e *environment, args []string) error {
	if err := need(args, "ADDR"); err != nil {
		return err
	}
	return ask[admin.None](e, "account/remove", admin.NameRequest{Name: args[0]}, nil)
}

func (e *environment) showAccount(a admin.AccountInfo) {
	e.table("ACCOUNT|"+a.Address, func(row func(...any)) {
		row("name", a.RealName)
		if a.Compromised {
			row("locked", "yes, compromised: its rules are suspended")
		} else {
			row("locked", mark(a.Locked))
		}
		row("messages", a.Messages)
		row("octets", a.Octets)
		rowIfSet(row, "legacy_auth", a.LegacyAuth)
		rowIfSet(row, "certificate", a.Certificate)
		row("created", a.Created.Local().Format(day))
		policyRows(row, a.Policy)
		if a.Services != a.Policy["services"].Value {
			row("services on", a.Services+" (not more than its domain has)")
		}
	})
}

// policyRows shows what counts, and where it was set.
func policyRows(row func(...any), policy map[string]admin.PolicyInfo) {
	for _, name := range slices.Sorted(maps.Keys(policy)) {
		row(name, policy[name].Value+" ("+policy[name].From+")")
	}
}

// rowIfSet shows a setting that few use only where it is used.
func rowIfSet(row func(...any), name, value string) {
	if value != "" {
		row(name, value)
	}
}

func aliasAdd(e *environment, args []string) error {
	if err := need(args, "ALIAS", "ACCOUNT"); err != nil {
		return err
	}
	return ask[admin.None](e, "alias/add", admin.AliasInfo{Alias: args[0], Account: args[1]}, nil)
}

func aliasList(e *environment, args []string) error {
	q, err := ofDomain(args)
	if err != nil {
		return err
	}
	return ask(e, "alias/list", q, func(list []admin.AliasInfo) {
		e.table("ALIAS|ACCOUNT", func(row func(...any)) {
			for _, a := range list {
				row(a.Alias, a.Account)
			}
		})
	})
}

func aliasRemove(e *environment, args []string) error {
	if err := need(args, "ALIAS"); err != nil {
		return err
	}
	return ask[admin.None](e, "alias/remove", admin.NameRequest{Name: args[0]}, nil)
}

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(day)
}
