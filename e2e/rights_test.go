package e2e

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRights holds the table of docs/rights.md to what the server does: every
// line, with every set of rights that lacks one, on mailboxes of three kinds,
// before and after rights were withdrawn.
func TestRights(t *testing.T) {
	t.Parallel()
	needs := rightsTable(t)
	s := newServer(t, "log.level = 2\nsecurity.per_address = 0\nsecurity.cleartext_login = \"always\"\n", "guest", "owner", "public")
	s.run("domain", "add", "other.test")
	s.runWith(password+"\n", "account", "add", "owner@other.test", "--password-stdin")
	for target, owner := range map[string]string{
		"~owner/": address("owner"), "~public/": address("public"), "~owner@other.test/": "owner@other.test",
	} {
		t.Run(strings.Trim(target, "~/"), func(t *testing.T) {
			t.Parallel()
			w := &rightsWorld{T: t, server: s, needs: needs, prefix: target}
			w.owner = w.imap(owner)
			w.guest = w.imap(address("guest"))
			if _, ok := w.can("SUBSCRIBE %sthere-is-none", w.prefix); !ok {
				t.Error("SUBSCRIBE tells which mailboxes there are")
			}
			for _, have := range rightsCases() {
				w.try(have)
			}
		})
	}
}

const allRights = "lrswipcda"

// rightsCases are all rights, none, all but one each, and what people commonly
// grant.
func rightsCases() []string {
	cases := []string{allRights, "", "l", "lr", "lrs", "li"}
	for _, right := range allRights {
		cases = append(cases, strings.ReplaceAll(allRights, string(right), ""))
	}
	return cases
}

// rightsTable reads what each operation needs.
func rightsTable(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/rights.md")
	if err != nil {
		t.Fatal(err)
	}
	needs := map[string]string{}
	for _, f := range regexp.MustCompile("(?m)^\\| ((?:POP|IMAP) .+) \\| `([a-z]+)` \\|$").FindAllStringSubmatch(string(text), -1) {
		needs[f[1]] = f[2]
	}
	for _, op := range rightsOperations {
		if needs[op.name] == "" {
			t.Errorf("docs/rights.md does not say what %q needs", op.name)
		}
	}
	if len(needs) != len(rightsOperations) {
		t.Fatalf("docs/rights.md has %d operations, %d are tried", len(needs), len(rightsOperations))
	}
	everyCommand(t, string(text))
	return needs
}

// everyCommand holds the page to the tables of commands, which other tests hold to
// the code: each command is tried, or stands among those that ask for no right.
func everyCommand(t *testing.T, page string) {
	t.Helper()
	_, free, _ := strings.Cut(page, "## What asks for no right")
	for _, protocol := range []string{"IMAP", "POP"} {
		text, err := os.ReadFile("../docs/protocols/" + strings.ToLower(protocol) + ".md")
		if err != nil {
			t.Fatal(err)
		}
		_, list, _ := strings.Cut(free, "- "+protocol+":")
		list, _, _ = strings.Cut(list, "\n- ")
		_, table, _ := strings.Cut(string(text), "| command | legal |")
		table, _, _ = strings.Cut(table, "\n\n")
		rows := regexp.MustCompile("(?m)^\\| `(?:UID )?([A-Z0-9]+)` \\|").FindAllStringSubmatch(table, -1)
		if len(rows) < 15 {
			t.Fatalf("the table of %s has %d commands", protocol, len(rows))
		}
		for _, row := range rows {
			tried := strings.Contains(list, "`"+row[1]+"`")
			for _, op := range rightsOperations {
				words := strings.FieldsFunc(op.name, func(r rune) bool { return r == ' ' || r == ',' })
				tried = tried || words[0] == protocol && slices.Contains(words, row[1])
			}
			if !tried {
				t.Errorf("docs/rights.md does not say what %s of %s needs", row[1], protocol)
			}
		}
	}
}

// rightsWorld is one owner's account and a guest.
type rightsWorld struct {
	*testing.T
	server       *server
	needs        map[string]string
	prefix       string // before the owner's mailbox names, as the guest writes them
	owner, guest *sortConn
	box          string // the owner's name of the mailbox in question
	uid          string // of a fresh message in it
	count        int
}

func (w *rightsWorld) imap(address string) *sortConn {
	w.Helper()
	l, err := dialLines(w.server.imap)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { l.Close() })
	c := &sortConn{lineConn: l}
	if _, err := l.line(); err != nil {
		w.Fatal(err)
	}
	if _, err := c.do(fmt.Sprintf("LOGIN %s %q", address, password)); err != nil {
		w.Fatal(err)
	}
	return c
}

// own does a command as the owner, which must succeed.
func (w *rightsWorld) own(format string, args ...any) []string {
	w.Helper()
	lines, err := w.owner.do(fmt.Sprintf(format, args...))
	if err != nil {
		w.Fatal(err)
	}
	return lines
}

// can does a command as the guest and tells whether it succeeded.
func (w *rightsWorld) can(format string, args ...any) (lines []string, ok bool) {
	w.Helper()
	lines, err := w.guest.do(fmt.Sprintf(format, args...))
	if errors.Is(err, errKilled) {
		w.Fatalf(format+": the connection ended", args...)
	}
	return lines, err == nil
}

func (w *rightsWorld) name() string { return w.prefix + w.box }

// try tries every operation with some rights. Those on an open mailbox are tried
// again in a session that opened it with all rights.
func (w *rightsWorld) try(have string) {
	w.Helper()
	for _, op := range rightsOperations {
		for _, withdrawn := range []bool{false, true} {
			if withdrawn && !op.selected {
				continue
			}
			w.prepare(have, withdrawn)
			want := containsAll(have, w.needs[op.name])
			if got := op.works(w, withdrawn); got != want {
				w.Errorf("%s with %q (withdrawn %v): works %v, want %v", op.name, have, withdrawn, got, want)
			}
			w.can("UNSELECT")
		}
	}
}

func containsAll(have, need string) bool {
	return strings.Trim(need, have) == "" && (have != "" || need == "")
}

// prepare makes a mailbox with a message and one below it, and gives the guest
// the rights. With withdrawn the guest had all rights when opening it.
func (w *rightsWorld) prepare(have string, withdrawn bool) {
	w.Helper()
	if w.box != "" {
		w.owner.do("DELETE " + w.box + "/below") // may have gone
		w.owner.do("DELETE " + w.box)
	}
	w.count++
	w.box = fmt.Sprint("box", w.count)
	w.own("CREATE %s", w.box)
	if withdrawn {
		w.grant(allRights)
		w.fill()
		if _, ok := w.can("SELECT %s", w.name()); !ok {
			w.Fatal("the guest cannot open a mailbox with all rights")
		}
		w.grant(have)
		return
	}
	w.grant(have)
	w.own("CREATE %s/below", w.box)
	w.fill()
}

func (w *rightsWorld) grant(have string) {
	if have == "" {
		w.own("DELETEACL %s %s", w.box, address("guest"))
		return
	}
	w.own("SETACL %s %s %s", w.box, address("guest"), have)
}

func (w *rightsWorld) fill() {
	w.uid = firstMatch(appendUID, w.own("APPEND %s {%d+}\r\n%s", w.box, len(rightsMail), rightsMail))
}

const rightsMail = "Subject: rights\r\n\r\nfor all\r\n"

// flags returns the flags of the message as the owner sees them, and whether it
// is there.
func (w *rightsWorld) flags() (string, bool) {
	w.Helper()
	w.own("EXAMINE %s", w.box)
	lines := w.own("UID FETCH %s (FLAGS)", w.uid)
	w.own("UNSELECT")
	if len(lines) < 2 {
		return "", false
	}
	return lines[0], true
}

func (w *rightsWorld) flagged(flag string) bool {
	flags, _ := w.flags()
	return strings.Contains(flags, flag)
}

// open selects the mailbox unless the session has it open.
func (w *rightsWorld) open(withdrawn bool) bool {
	if withdrawn {
		return true
	}
	_, ok := w.can("SELECT %s", w.name())
	return ok
}

// store tells whether a flag can be set.
func store(flag string) func(*rightsWorld, bool) bool {
	return func(w *rightsWorld, withdrawn bool) bool {
		if !w.open(withdrawn) {
			return false
		}
		w.can("UID STORE %s +FLAGS (%s)", w.uid, flag)
		return w.flagged(flag)
	}
}

// tells tells whether the answer to a command has some text in it.
func tells(command, text string) func(*rightsWorld, bool) bool {
	return func(w *rightsWorld, withdrawn bool) bool {
		if !w.open(withdrawn) {
			return false
		}
		lines, _ := w.can("%s", strings.ReplaceAll(command, "FETCH UID ", "FETCH "+w.uid+" "))
		return strings.Contains(strings.Join(lines, "\n"), text)
	}
}

// command tells whether a command on the mailbox succeeds.
func command(format string) func(*rightsWorld, bool) bool {
	return func(w *rightsWorld, _ bool) bool {
		_, ok := w.can("%s", strings.ReplaceAll(format, "BOX", w.name()))
		return ok
	}
}

// expunges tells whether a command removes a message that its owner has marked.
func (w *rightsWorld) expunges(command string, withdrawn bool) bool {
	w.Helper()
	w.own("SELECT %s", w.box)
	w.own(`UID STORE %s +FLAGS (\Deleted)`, w.uid)
	w.own("UNSELECT")
	if !w.open(withdrawn) {
		return false
	}
	w.can("%s", command)
	_, there := w.flags()
	return !there
}

// shows tells whether the answer to a command on the mailbox has some text in it.
func shows(format, text string) func(*rightsWorld, bool) bool {
	return func(w *rightsWorld, _ bool) bool {
		lines, _ := w.can("%s", strings.ReplaceAll(format, "BOX", w.name()))
		return strings.Contains(strings.Join(lines, "\n"), text)
	}
}

// pop signs in to the mailbox and does some commands, each of which must be
// answered with +OK.
func (w *rightsWorld) pop(commands ...string) bool {
	w.Helper()
	l, err := dialLines(w.server.pop)
	if err != nil {
		w.Fatal(err)
	}
	defer l.Close()
	for _, c := range append([]string{"", "USER " + w.name() + "#" + address("guest"), "PASS " + password}, commands...) {
		if c != "" {
			c += "\r\n"
		}
		var err error
		if strings.HasPrefix(c, "RETR") || strings.HasPrefix(c, "TOP") {
			_, err = l.multiline(c)
		} else {
			err = l.reply(c, "+OK")
		}
		if errors.Is(err, errKilled) {
			w.Fatalf("%q: the connection ended", c)
		}
		if err != nil {
			return false
		}
	}
	return true
}

// rightsOperations are the lines of the table. A selected one can be tried in a
// session that has the mailbox open.
var rightsOperations = []struct {
	name     string
	selected bool
	works    func(w *rightsWorld, withdrawn bool) bool
}{
	{"POP sign-in to the mailbox", false, func(w *rightsWorld, _ bool) bool { return w.pop() }},
	{"POP RETR", false, func(w *rightsWorld, _ bool) bool { return w.pop("RETR 1") }},
	{"POP TOP", false, func(w *rightsWorld, _ bool) bool { return w.pop("TOP 1 5") }},
	{"POP STAT, LIST, UIDL and LAST", false, func(w *rightsWorld, _ bool) bool {
		return w.pop("STAT", "LIST 1", "UIDL 1", "LAST")
	}},
	{"POP RETR marks the message as seen", false, func(w *rightsWorld, _ bool) bool {
		return w.pop("RETR 1", "QUIT") && w.flagged(`\Seen`)
	}},
	{"POP DELE and QUIT", false, func(w *rightsWorld, _ bool) bool {
		ok := w.pop("DELE 1", "QUIT")
		if _, there := w.flags(); there == ok {
			w.Errorf("POP answered %v, and the message is there: %v", ok, there)
		}
		return ok
	}},
	{"IMAP LIST shows it", false, func(w *rightsWorld, _ bool) bool {
		lines, _ := w.can(`LIST "" %s`, w.name())
		return len(lines) > 1
	}},
	{"IMAP LIST RETURN (STATUS)", false, shows(`LIST "" BOX RETURN (STATUS (MESSAGES))`, "(MESSAGES 1)")},
	{"IMAP LIST RETURN (MYRIGHTS)", false, shows(`LIST "" BOX RETURN (MYRIGHTS)`, "* MYRIGHTS")},
	{"IMAP STATUS", false, command("STATUS BOX (MESSAGES)")},
	{"IMAP SELECT", false, command("SELECT BOX")},
	{"IMAP EXAMINE", false, command("EXAMINE BOX")},
	{"IMAP NOTIFY tells of it", false, func(w *rightsWorld, _ bool) bool {
		lines, _ := w.can("NOTIFY SET STATUS (mailboxes %s (MessageNew MessageExpunge))", w.name())
		w.can("NOTIFY NONE")
		return strings.Contains(strings.Join(lines, "\n"), "* STATUS ")
	}},
	{"IMAP FETCH BODY[]", true, func(w *rightsWorld, withdrawn bool) bool {
		if !w.open(withdrawn) {
			return false
		}
		lines, _ := w.can("UID FETCH %s (BODY[])", w.uid)
		return strings.Contains(strings.Join(lines, ""), "for all")
	}},
	{"IMAP FETCH BODY[] marks the message as seen", true, func(w *rightsWorld, withdrawn bool) bool {
		if !w.open(withdrawn) {
			return false
		}
		w.can("UID FETCH %s (BODY[])", w.uid)
		return w.flagged(`\Seen`)
	}},
	{"IMAP FETCH ENVELOPE", true, tells("UID FETCH UID (ENVELOPE)", `"rights"`)},
	{"IMAP FETCH BINARY.PEEK[1]", true, tells("UID FETCH UID (BINARY.PEEK[1])", "for all")},
	{"IMAP FETCH PREVIEW", true, tells("UID FETCH UID (PREVIEW)", "for all")},
	{"IMAP SEARCH", true, tells("UID SEARCH TEXT rights", "SEARCH 1")},
	{"IMAP SORT", true, tells("UID SORT (SUBJECT) UTF-8 ALL", "SORT 1")},
	{"IMAP THREAD", true, tells("UID THREAD REFERENCES UTF-8 ALL", "THREAD (1)")},
	{"IMAP ESEARCH in it", false, shows("ESEARCH IN (mailboxes BOX) TEXT rights", "ALL ")},
	{`IMAP STORE \Seen`, true, store(`\Seen`)},
	{`IMAP STORE \Flagged`, true, store(`\Flagged`)},
	{"IMAP STORE keyword", true, store("work")},
	{`IMAP STORE \Deleted`, true, store(`\Deleted`)},
	{"IMAP EXPUNGE", true, func(w *rightsWorld, withdrawn bool) bool {
		return w.expunges("EXPUNGE", withdrawn)
	}},
	{"IMAP UID EXPUNGE", true, func(w *rightsWorld, withdrawn bool) bool {
		return w.expunges("UID EXPUNGE "+w.uid, withdrawn)
	}},
	{"IMAP CLOSE expunges", true, func(w *rightsWorld, withdrawn bool) bool {
		return w.expunges("CLOSE", withdrawn)
	}},
	{"IMAP APPEND", false, func(w *rightsWorld, _ bool) bool {
		_, ok := w.can("APPEND %s {%d+}\r\n%s", w.name(), len(rightsMail), rightsMail)
		return ok
	}},
	{"IMAP COPY into it", false, func(w *rightsWorld, _ bool) bool {
		uid := w.atHome()
		_, ok := w.can("UID COPY %s %s", uid, w.name())
		return ok
	}},
	{"IMAP REPLACE into it", false, func(w *rightsWorld, _ bool) bool {
		_, ok := w.can("UID REPLACE %s %s {%d+}\r\n%s", w.atHome(), w.name(), len(rightsMail), rightsMail)
		return ok
	}},
	{"IMAP REPLACE within it", true, func(w *rightsWorld, withdrawn bool) bool {
		if !w.open(withdrawn) {
			return false
		}
		w.can("UID REPLACE %s %s {%d+}\r\n%s", w.uid, w.name(), len(rightsMail), rightsMail)
		_, there := w.flags()
		return !there
	}},
	{"IMAP COPY from it", true, func(w *rightsWorld, withdrawn bool) bool {
		if !w.open(withdrawn) {
			return false
		}
		lines, ok := w.can("UID COPY %s INBOX", w.uid)
		return ok && firstMatch(copyUID, lines) != ""
	}},
	{"IMAP MOVE from it", true, func(w *rightsWorld, withdrawn bool) bool {
		if !w.open(withdrawn) {
			return false
		}
		w.can("UID MOVE %s INBOX", w.uid)
		_, there := w.flags()
		return !there
	}},
	{"IMAP CREATE below it", false, command("CREATE BOX/new")},
	{"IMAP DELETE of a mailbox below it", false, command("DELETE BOX/below")},
	{"IMAP RENAME of a mailbox below it", false, command("RENAME BOX/below BOX/other")},
	{"IMAP GETACL", false, command("GETACL BOX")},
	{"IMAP SETACL", false, command("SETACL BOX anyone l")},
	{"IMAP DELETEACL", false, command("DELETEACL BOX anyone")},
	{"IMAP LISTRIGHTS", false, command("LISTRIGHTS BOX anyone")},
	{"IMAP MYRIGHTS", false, command("MYRIGHTS BOX")},
	{"IMAP GETMETADATA", false, command("GETMETADATA BOX /shared/comment")},
	{"IMAP SETMETADATA", false, command(`SETMETADATA BOX (/shared/comment "x")`)},
}

// atHome puts a message into the guest's own INBOX, which is selected then.
func (w *rightsWorld) atHome() string {
	w.Helper()
	lines, ok := w.can("APPEND INBOX {%d+}\r\n%s", len(rightsMail), rightsMail)
	if !ok {
		w.Fatal(lines)
	}
	if _, ok := w.can("SELECT INBOX"); !ok {
		w.Fatal("the guest cannot open INBOX")
	}
	return firstMatch(appendUID, lines)
}

// TestRightsWithdrawnFromPOP takes rights away under a POP session: what it asks
// for next goes by what is left.
func TestRightsWithdrawnFromPOP(t *testing.T) {
	t.Parallel()
	s := newServer(t, "log.level = 2\n", "guest", "owner")
	w := &rightsWorld{T: t, server: s, prefix: "~owner/"}
	w.owner = w.imap(address("owner"))
	for _, c := range []struct {
		left, command string
		works         bool
	}{
		{allRights, "RETR 1", true}, {"lr", "RETR 1", true}, {"l", "RETR 1", false}, {"", "RETR 1", false},
		{"", "TOP 1 0", false}, {"lrd", "DELE 1", true}, {"lr", "DELE 1", false},
	} {
		w.count++
		w.box = fmt.Sprint("box", w.count)
		w.own("CREATE %s", w.box)
		w.grant(allRights)
		w.fill()
		l, err := dialLines(s.pop)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []string{"", "USER " + w.name() + "#" + address("guest") + "\r\n", "PASS " + password + "\r\n"} {
			if err := l.reply(step, "+OK"); err != nil {
				t.Fatal(err)
			}
		}
		w.grant(c.left)
		if err := l.reply(c.command+"\r\n", "+OK"); (err == nil) != c.works {
			t.Errorf("%s with %q left: %v", c.command, c.left, err)
		}
		l.Close()
	}
}
