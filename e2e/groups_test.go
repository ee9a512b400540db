package e2e

import (
	"fmt"
	"strings"
	"testing"

	"tripost/smtp/sinktest"
)

// TestGroup writes to a group with members here and elsewhere, whose answers go to
// it and whose reports to its owner, and reads what each of them gets.
func TestGroup(t *testing.T) {
	t.Parallel()
	sink := sinktest.New(t, sinktest.Options{Reply: func(command, arg string) string {
		if command == "RCPT" && strings.Contains(arg, "lost@") {
			return "550 5.1.1 no such user"
		}
		return ""
	}})
	s := newServer(t, fmt.Sprintf("queue.smarthost = %q\n", sink.Addr), "ann", "bob", "boss", "carl")
	s.run("group", "add", "team", "ann", "bob", "joe@elsewhere.test", "lost@elsewhere.test")
	s.run("group", "set", "team", "reply_to=yes", "owner=boss")
	if got := s.run("route", "test", "team"); !strings.Contains(got, "; answers go to team@company.test; reports about them go to boss@company.test") {
		t.Errorf("where it leads: %s", got)
	}
	s.submit(t, address("carl"), address("team"), "to the team", "250")

	sent := sink.Wait(1)[0]
	if got := fmt.Sprint(sent.From, sent.To); !strings.HasPrefix(sent.From, "<boss@company.test>") || len(sent.To) != 1 || !strings.HasPrefix(sent.To[0], "<joe@elsewhere.test>") {
		t.Errorf("sent with %s", got)
	}
	if !strings.Contains(sent.Data, "\nReply-To: <team@company.test>\r\n") {
		t.Errorf("without Reply-To:\n%s", sent.Data)
	}
	until(t, "the owner has a report", func() bool {
		return strings.Contains(s.run("message", "export", address("boss"), "INBOX", "-"), "Final-Recipient: rfc822; lost@elsewhere.test")
	})
	for _, who := range []string{"ann", "bob"} {
		s.wantExport(t, address(who), "INBOX", "to the team")
		if got := s.run("message", "export", address(who), "INBOX", "-"); strings.Count(got, "\nReply-To: <team@company.test>\n") != 1 {
			t.Errorf("%s got:\n%s", who, got)
		}
	}
	s.holdsMail("carl", 0)
	if list := s.run("queue", "list", "--json"); strings.TrimSpace(list) != "[]" {
		t.Errorf("the queue holds %s", list)
	}
	if got := s.run("explain", messageID(t, sent.Data)); !strings.Contains(got, "passed on to the members of <team@company.test>, as message") ||
		!strings.Contains(got, "failed for <lost@elsewhere.test>") {
		t.Errorf("its history: %s", got)
	}
}

// messageID returns that of a message, with its brackets.
func messageID(t *testing.T, text string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if id, ok := strings.CutPrefix(line, "Message-ID: "); ok {
			return strings.TrimSpace(id)
		}
	}
	t.Fatalf("no Message-ID in:\n%s", text)
	return ""
}
