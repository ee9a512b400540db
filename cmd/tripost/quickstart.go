package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"tripost/accounts"
)

// quickstartDir is where "serve --quickstart" keeps everything, in the
// directory it is started in.
const quickstartDir = "quickstart"

const (
	quickstartDomain = "example.test"
	passwordsFile    = "passwords"
)

var quickstartAccounts = []string{"alice", "bob"}

// quickstartConfig is the server that "serve --quickstart" runs: loopback only,
// on ports that need no privilege.
const quickstartConfig = `# Made by "tripost serve --quickstart".
hostname = "mail.example.test"
data     = "."

[security]
per_address = 0 # all clients are on this machine

[pop]
listen = ["127.0.0.1:2110"]
[imap]
listen = ["127.0.0.1:2143"]
listen_tls = []
[smtp]
listen = ["127.0.0.1:2525"]
[submission]
listen = ["127.0.0.1:2587"]
listen_tls = []
[admin]
listen = "127.0.0.1:8010"
`

// prepareQuickstart makes the directory and its configuration file when they
// are missing, and returns the file's path.
func prepareQuickstart() (path string, err error) {
	if err := os.MkdirAll(quickstartDir, 0o700); err != nil {
		return "", fmt.Errorf("quickstart: %w", err)
	}
	path = filepath.Join(quickstartDir, "tripost.toml")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return path, nil
	}
	if err != nil {
		return "", fmt.Errorf("quickstart: %w", err)
	}
	_, err = f.WriteString(quickstartConfig)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("quickstart: %w", err)
	}
	return path, nil
}

// furnishQuickstart makes the domain and the accounts that are missing. New
// passwords are printed this once and kept in quickstart/passwords, which is
// written before the accounts are made: a crash in between is mended by the
// next start.
func furnishQuickstart(ctx context.Context, d *accounts.Directory, data string, out io.Writer) error {
	if _, err := d.AddDomain(ctx, quickstartDomain); err != nil && !errors.Is(err, accounts.ErrExists) {
		return err
	}
	passwords, fresh, err := quickstartPasswords(filepath.Join(data, passwordsFile))
	if err != nil {
		return err
	}
	for _, name := range quickstartAccounts {
		addr := name + "@" + quickstartDomain
		_, err := d.AddAccount(ctx, addr, passwords[addr])
		if errors.Is(err, accounts.ErrExists) {
			if !fresh {
				continue
			}
			err = d.SetPassword(ctx, addr, passwords[addr])
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s has the password %s\n", addr, passwords[addr])
	}
	return nil
}

// quickstartPasswords reads the passwords file, or makes it.
func quickstartPasswords(path string) (passwords map[string]string, fresh bool, err error) {
	passwords = map[string]string{}
	text, err := os.ReadFile(path)
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if addr, password, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				passwords[addr] = password
			}
		}
		return passwords, false, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, false, fmt.Errorf("quickstart: %w", err)
	}
	var b strings.Builder
	for _, name := range quickstartAccounts {
		addr := name + "@" + quickstartDomain
		passwords[addr] = rand.Text()[:16]
		fmt.Fprintf(&b, "%s:%s\n", addr, passwords[addr])
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return nil, false, fmt.Errorf("quickstart: %w", err)
	}
	return passwords, true, nil
}

// quickstartHelp prints the three commands to paste. They take passwords from
// the file, so that none stands in a shell's history.
func quickstartHelp(out io.Writer) {
	fmt.Fprint(out, `
The server runs. In another terminal, in this directory:

1. send a mail
   printf 'From: alice@example.test\nTo: bob@example.test\nSubject: hello\n\nHow are you?\n' | curl --silent --show-error --crlf --url smtp://127.0.0.1:2525 --mail-from alice@example.test --mail-rcpt bob@example.test --upload-file -

2. read it by POP
   curl --silent --show-error --user "$(grep ^bob quickstart/passwords)" pop3://127.0.0.1:2110/1

3. read it by IMAP
   curl --silent --show-error --user "$(grep ^bob quickstart/passwords)" 'imap://127.0.0.1:2143/INBOX;MAILINDEX=1'

Stop it with Ctrl-C. Removing ./quickstart removes everything.
`)
}
