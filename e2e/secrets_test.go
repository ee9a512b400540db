package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoSecretIsLogged signs in by every mechanism that carries the password, rightly
// and wrongly, with the log at its most talkative, and looks for the password in
// every file that the server has written.
func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	const secret, wrong = "Kupfer-Mond-81", "Kupfer-Mond-82"
	s := newServer(t, "log.level = 5\nsecurity.cleartext_login = \"always\"\n")
	s.runWith(secret+"\n", "account", "add", address("ann"), "--password-stdin")
	plain := func(password string) string {
		return base64.StdEncoding.EncodeToString([]byte("\x00" + address("ann") + "\x00" + password))
	}
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	user, login := "USER "+address("ann"), encoded(address("ann"))
	for _, password := range []string{wrong, secret} {
		good := password == secret
		for _, d := range []struct {
			addr  string
			lines []string
			ok    string // begins the last answer when the password is right
		}{
			{s.pop, []string{user, "PASS " + password}, "+OK"},
			{s.pop, []string{user, "pass  " + password + " "}, ""},
			{s.pop, []string{"AUTH PLAIN " + plain(password)}, "+OK"},
			{s.pop, []string{"AUTH PLAIN", plain(password)}, "+OK"},
			{s.pop, []string{"AUTH LOGIN", login, encoded(password)}, "+OK"},
			{s.imap, []string{"a LOGIN " + address("ann") + " " + password}, "a OK"},
			{s.imap, []string{"a login {" + itoa(len(address("ann"))) + "}", address("ann") + " {" + itoa(len(password)) + "}", password}, "a OK"},
			{s.imap, []string{"a LOGIN " + address("ann") + " \"" + password + "\""}, "a OK"},
			{s.imap, []string{"a AUTHENTICATE PLAIN " + plain(password)}, "a OK"},
			{s.imap, []string{"a AUTHENTICATE PLAIN", plain(password)}, "a OK"},
			{s.imap, []string{"a AUTHENTICATE LOGIN", login, encoded(password)}, ""},
			{s.submission, []string{"EHLO x.test", "AUTH PLAIN " + plain(password)}, "235"},
			{s.submission, []string{"EHLO x.test", "AUTH PLAIN", plain(password)}, "235"},
			{s.submission, []string{"EHLO x.test", "AUTH LOGIN", login, encoded(password)}, "235"},
			{s.submission, []string{"EHLO x.test", "AUTH LOGIN " + login, encoded(password)}, "235"},
		} {
			answer := talk(t, d.addr, d.lines)
			if d.ok != "" && strings.HasPrefix(answer, d.ok) != good {
				t.Errorf("%.20q: right %v, answered %q", d.lines, good, answer)
			}
		}
	}
	s.stop()
	var log strings.Builder
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.HasSuffix(path, ".log") {
			log.Write(text)
		}
		for _, form := range []string{secret, wrong, encoded(secret), encoded(wrong), plain(secret), plain(wrong), hex.EncodeToString([]byte(secret))} {
			if strings.Contains(strings.ToLower(string(text)), strings.ToLower(form)) {
				t.Errorf("%s has %q", path, form)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{"cmd: PASS ***", "cmd: AUTH PLAIN ***", "cmd: a LOGIN"} {
		if !strings.Contains(log.String(), shown) {
			t.Errorf("the log does not have %q: what was looked at?", shown)
		}
	}
}

// talk sends lines one by one and returns the first line of the last answer.
func talk(t *testing.T, addr string, lines []string) (answer string) {
	t.Helper()
	l, err := dialLines(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, line := range append([]string{""}, lines...) {
		if line != "" {
			if err := l.send(line + "\r\n"); err != nil {
				t.Fatal(err)
			}
		}
		for first := true; ; first = false {
			got, err := l.line()
			if err != nil {
				return answer // closed after a refusal
			}
			if first || strings.HasPrefix(got, "a ") {
				answer = got
			}
			if !strings.HasPrefix(got, "* ") && !(len(got) > 3 && got[3] == '-') || line == "" {
				break
			}
		}
	}
	return answer
}
