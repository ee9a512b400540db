package admin

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"tripost/store"
)

const toInbox = `{"account": "ann", "mailbox": "INBOX"}`

// TestImportRefusals imports what cannot be imported.
func TestImportRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const mail = "From x\n\ntext\n"
	for _, c := range []struct{ name, request, mail, want string }{
		{"no mbox", toInbox, "Subject: a\n\ntext\n", "after 0 messages: not an mbox file"},
		{"binary", toInbox, "\x00\xff\x00\xff", "after 0 messages: not an mbox file"},
		{"almost a From line", toInbox, "From: x\n\ntext\n", "after 0 messages: not an mbox file"},
		{"no account", `{"account": "nobody", "mailbox": "INBOX"}`, mail, "no such account"},
		{"no mailbox name", `{"account": "ann", "mailbox": "a//b"}`, mail, "not a valid mailbox name"},
		{"no request", ``, mail, "no such account"},
	} {
		status, text := w.carry("message/import", c.request, strings.NewReader(c.mail))
		w.refused(c.name, status, text, http.StatusBadRequest, c.want)
	}
	if n := w.mailbox("ann", "INBOX").Exists; n != 0 {
		t.Errorf("%d messages were imported", n)
	}
}

// TestImportDamaged imports files that are mbox files in part.
func TestImportDamaged(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", maxTestMessage)
	for _, c := range []struct{ name, mail, want string }{
		{"empty", "", `{"imported":0}`},
		{"bare From line", "From ", `{"imported":1}`},
		{"From lines only", "From a\n\nFrom b\n\nFrom c\n\n", `{"imported":3}`},
		{"NUL octets, bare CR", "From a\n\nSubject\x00: x\r\r\n\x00\n\n", `{"imported":1}`},
		{"endless From line", "From " + big + big + "\n\nFrom b\n\ntext\n", `{"imported":1,"too_large":1}`},
		{"a message too large", "From a\n\n" + big + "\n\nFrom b\n\ntext\n", `{"imported":1,"too_large":1}`},
		{"a header too large", "From a\nX: " + big + "\n\ntext\n", `{"imported":0,"too_large":1}`},
		{"bad keywords", "From a\nX-Keywords: (a) %b \\c\n\ntext\n", `{"imported":1,"without_keywords":1}`},
		{"many keywords", "From a\nX-Keywords:" + manyKeywords(100) + "\n\ntext\n", `{"imported":1}`},
		{"bad dates", "From a Mon Jan 99 99:99:99 99999\n\ntext\n", `{"imported":1}`},
		{"lying length", "From a\nContent-Length: 1073741824\n\ntext\n\nFrom b\n\ntext\n", `{"imported":2}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			status, text := w.carry("message/import", toInbox, strings.NewReader(c.mail))
			if status != http.StatusOK || strings.TrimSpace(text) != c.want {
				t.Errorf("%d %s, want %s", status, text, c.want)
			}
			if status, text := w.ask("store/check", ""); status != http.StatusOK || !strings.Contains(text, `"fault_count":0`) {
				t.Errorf("store/check: %d %s", status, text)
			}
		})
	}
}

func manyKeywords(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " k%d", i)
	}
	return b.String()
}

// TestImportCutShort announces 1 GiB and sends two messages, the second of them
// not whole: the first is kept, and memory is taken for neither.
func TestImportCutShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nc, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(2 * time.Minute))
	fmt.Fprintf(nc, "POST /v1/message/import?request=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\nFrom a\n\nwhole\n\nFrom b\n\nha",
		url.QueryEscape(toInbox))
	if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	w.refused("a body cut short", resp.StatusCode, string(text), http.StatusBadRequest, "after 1 messages")
	if st := w.mailbox("ann", "INBOX"); st.Exists != 1 {
		t.Errorf("%d messages are there", st.Exists)
	}
}

// TestImportHugeLine reads a line of 64 MiB without holding it.
func TestImportHugeLine(t *testing.T) {
	w := newWorld(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	mail := io.MultiReader(io.LimitReader(endless("From a\n\n"), 64<<20), strings.NewReader("\n\nFrom b\n\ntext\n"))
	info, err := w.api.Import(t.Context(), MailboxRequest{Account: "ann"}, mail)
	runtime.ReadMemStats(&after)
	if err != nil || info.Imported != 1 || info.TooLarge != 1 {
		t.Errorf("%+v, %v", info, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
		t.Errorf("%d octets of memory were taken", used)
	}
}

// TestExportWhileRemoved removes messages while they are exported: the rest
// comes whole.
func TestExportWhileRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const count, octets = 10, 2 * maxLine // one is more than the buffer on the way
	var mail strings.Builder
	for i := range count {
		fmt.Fprintf(&mail, "From a\nSubject: %d\n\n%s\n\n", i, strings.Repeat("x", octets))
	}
	if status, text := w.carry("message/import", toInbox, strings.NewReader(mail.String())); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	v, err := w.api.openMailbox(t.Context(), MailboxRequest{Account: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(w.api.export(t.Context(), v, pw)) }()
	in := bufio.NewReader(pr)
	if _, err := in.Peek(1); err != nil { // the first message is on its way
		t.Fatal(err)
	}
	w.expunge("INBOX", 2, count-1)
	r, found := newMboxReader(in, 0), 0
	for {
		var body strings.Builder
		if _, err = r.Next(&body); err != nil {
			break
		}
		found++
		if n := strings.Count(body.String(), "x"); n != octets {
			t.Errorf("message %d has %d octets of text, want %d", found, n, octets)
		}
	}
	if err != io.EOF {
		t.Error(err)
	}
	if found != 2 {
		t.Errorf("%d messages were exported, want the first and the last", found)
	}
}

// expunge removes messages by their UIDs, from first to last.
func (w *world) expunge(mailbox string, first, last store.UID) {
	w.t.Helper()
	ref, err := w.api.ref(w.t.Context(), "ann", mailbox)
	if err != nil {
		w.t.Fatal(err)
	}
	v, err := w.api.Store.Open(w.t.Context(), store.System(), ref, false)
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	if err := v.Load(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if _, err := v.Expunge(w.t.Context(), store.UIDSet{{Lo: first, Hi: last}}, true); err != nil {
		w.t.Fatal(err)
	}
}

// TestExportRefusals asks for mailboxes that are not there.
func TestExportRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for request, want := range map[string]string{
		`{"account": "nobody"}`:                    "no such account",
		`{"account": "ann", "mailbox": "nothing"}`: "no such mailbox",
		`{"account": "ann", "mailbox": "lists"}`:   "the name holds no messages",
		`{"account": "ann", "mailbox": "a//b"}`:    "no such mailbox",
	} {
		status, text := w.carry("message/export", request, nil)
		w.refused(request, status, text, http.StatusBadRequest, want)
	}
}
