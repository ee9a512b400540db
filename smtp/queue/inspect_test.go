package queue

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"tripost/accounts"
	"tripost/store"
)

// judge is an inspector of a test.
type judge func(*Inspected) (Verdict, error)

func (j judge) Inspect(_ context.Context, m *Inspected) (Verdict, error) { return j(m) }

// stranger submits from nowhere in particular.
func (w *world) stranger(j judge, msg string, to ...string) (Receipt, error) {
	env := envelope("eve@client.test", to...)
	env.Source.Client = false
	env.Inspector = j
	return w.Submit(w.ctx, env, strings.NewReader(msg))
}

// An inspector sees the whole message and who gets it, and its fields stand on
// top.
func TestInspectorSeesAllAndMarks(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1000, spoolAt - 10, spoolAt, 3 * spoolAt} {
		w := newWorld(t, Options{SpoolDirectory: t.TempDir()})
		msg := hello + strings.Repeat("0123456789abcdef\r\n", size/18)
		var got Inspected
		var read []byte
		_, err := w.stranger(func(m *Inspected) (Verdict, error) {
			got = *m
			read, _ = io.ReadAll(io.NewSectionReader(m.Body, 0, m.Size))
			return Verdict{Fields: []byte("X-Screen: mail.example.test; taken\r\n")}, nil
		}, "X-Screen: forged\r\n"+msg, "ann@example.test", "bob@example.test")
		must(t, err)
		if string(read) != "X-Screen: forged\r\n"+msg {
			t.Fatalf("the inspector read %d octets of %d, or others", len(read), len(msg)+18)
		}
		if len(got.Local) != 2 || got.Other || got.ID == "" {
			t.Errorf("the inspector was told %+v", got)
		}
		have := w.inbox("ann")[0]
		want := "Return-Path: <eve@client.test>\r\nX-Screen: mail.example.test; taken\r\nReceived: "
		if !strings.HasPrefix(have, want) || !strings.HasSuffix(have, "\r\n"+msg) {
			t.Errorf("stored:\n%.300s", have)
		}
	}
}

// A refusal leaves nothing behind.
func TestInspectorRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{SpoolDirectory: t.TempDir()})
	before := w.blobs()
	_, err := w.stranger(func(*Inspected) (Verdict, error) {
		return Verdict{}, &Refusal{550, "5.7.1", "not wanted"}
	}, hello+strings.Repeat("x\r\n", spoolAt), "ann@example.test")
	var refused *Refusal
	if !errors.As(err, &refused) || refused.Code != 550 {
		t.Errorf("got %v", err)
	}
	if len(w.inbox("ann")) != 0 || w.blobs() != before {
		t.Error("something was kept")
	}
}

// Junk goes to its own mailbox, for those only who want it so; the mailbox is
// made anew when somebody removed it.
func TestInspectorFilesAsJunk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, err := w.dir.Account(w.ctx, "ann@example.test")
	must(t, err)
	toJunk := func(*Inspected) (Verdict, error) { return Verdict{Junk: []store.AccountID{ann.ID}}, nil }
	for i := range 2 {
		_, err = w.stranger(toJunk, hello, "ann@example.test", "Junk#ann@example.test", "bob@example.test")
		must(t, err)
		if n, m := len(w.inbox("ann")), len(w.mailbox("ann", "Junk")); n != 0 || m != 1 {
			t.Errorf("round %d: %d in the INBOX, %d in Junk, want 0 and 1", i, n, m)
		}
		must(t, w.store.Delete(w.ctx, store.System(), store.MailboxRef{Account: ann.ID, Name: "Junk"}))
	}
	if n := len(w.inbox("bob")); n != 2 {
		t.Errorf("bob has %d messages, want 2", n)
	}
}

func TestSpoolReadsAnywhere(t *testing.T) {
	t.Parallel()
	s := &spool{dir: t.TempDir()}
	defer s.close()
	data := bytes.Repeat([]byte("0123456789"), spoolAt/10+50)
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 4097)
		_, err := s.Write(rest[:n])
		must(t, err)
		rest = rest[n:]
	}
	for _, at := range []int{0, 1, spoolAt - 5, spoolAt, spoolAt + 3, len(data) - 7, len(data)} {
		p := make([]byte, 10)
		n, err := s.ReadAt(p, int64(at))
		if want := data[at:min(len(data), at+10)]; !bytes.Equal(p[:n], want) || (n < 10) != (err == io.EOF) {
			t.Errorf("at %d: %q and %v, want %q", at, p[:n], err, want)
		}
	}
}

// The agent in front of us may bring results in our name; nobody else may.
func TestWhoseResultsAreTakenOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, c := range []struct {
		src  Source
		want bool
	}{
		{Source{Module: "SMTP"}, true},
		{Source{Module: "SMTP", Account: &accounts.Account{}}, true},
		{Source{Module: "SMTP", Client: true}, true},
		{Source{Module: "LMTP"}, false},
		{Source{Module: "LMTP", Client: true}, false},
		{Source{Internal: true}, false},
	} {
		if got := w.resultsOf(&c.src) != ""; got != c.want {
			t.Errorf("%+v: %v", c.src, got)
		}
	}
}

// What judges add may be longer than what rules look at.
func TestInspectorAddsMuch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.rule("ann", `all: mark flagged`)
	fields := strings.Repeat("X-Judge: "+strings.Repeat("x", 900)+"\r\n", holdAt/900)
	_, err := w.stranger(func(*Inspected) (Verdict, error) {
		return Verdict{Fields: []byte(fields)}, nil
	}, hello, "ann@example.test")
	must(t, err)
	if have := w.inbox("ann"); len(have) != 1 || !strings.Contains(have[0], fields) || !strings.HasSuffix(have[0], hello) {
		t.Errorf("%d messages, or not all of it", len(have))
	}
}
