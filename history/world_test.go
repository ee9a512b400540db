package history

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/storetest"
)

// world is a store with a history, one account, and a clock that the test sets.
type world struct {
	*History
	t     *testing.T
	ctx   context.Context
	now   time.Time
	ann   store.AccountID
	queue uint64 // the last queue id
}

func newWorld(t *testing.T, o Options) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context(), now: time.Unix(1_800_000_000, 0).UTC()}
	clock := func() time.Time { return w.now }
	reads := NewReads(clock)
	st := storetest.Open(t, t.TempDir(), store.Options{
		Now: clock, Undelete: 24 * time.Hour, History: Record, Reads: reads.Note,
	})
	o.Now = clock
	w.History = New(st, reads, o)
	must(t, st.Update(w.ctx, func(tx *store.Tx) (err error) {
		w.ann, err = tx.CreateAccount()
		return err
	}))
	must(t, st.Create(w.ctx, store.System(), store.MailboxRef{Account: w.ann, Name: "work"}, store.CreateOptions{}))
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) pass(d time.Duration) { w.now = w.now.Add(d) }

// user is ann in a session of IMAP.
func (w *world) user() store.Identity {
	return store.Identity{Account: w.ann, Name: "ann@company.test", Actor: store.Actor{
		Protocol: "IMAP", Session: "IMAP-000001", Remote: netip.MustParseAddr("192.0.2.7"), Client: "Reader",
	}}
}

// draft writes a message of about so many octets.
func (w *world) draft(messageID string, size int) *store.Draft {
	w.t.Helper()
	d, err := w.store.Draft(w.ctx, 0)
	must(w.t, err)
	_, err = d.Write([]byte("Message-ID: <" + messageID + ">\r\n\r\n" + strings.Repeat("0123456789012345678901234567890\r\n", size/33+1)))
	must(w.t, err)
	d.Finish()
	return d
}

// deliver keeps a draft in a mailbox, as the queue does.
func (w *world) deliver(d *store.Draft, mailbox string) (id uint64) {
	w.t.Helper()
	defer d.Close()
	w.queue++
	id = w.queue
	must(w.t, w.store.Update(w.ctx, func(tx *store.Tx) error {
		b, err := tx.Keep(d)
		if err != nil {
			return err
		}
		at, err := tx.Append(store.System(), store.MailboxRef{Account: w.ann, Name: mailbox}, store.NewMessage{Body: b})
		if err != nil {
			return err
		}
		err = w.Submitted(tx, &Origin{
			QueueID: id, MessageID: d.Finish().MessageID, From: "x@client.test", Bodies: []store.Body{b},
			Who:    Who{Protocol: "SMTP", Session: "SMTPI-000001", Remote: "198.51.100.9"},
			Places: []Place{{Recipient: "ann@company.test", Account: w.ann, Address: "ann@company.test", Mailbox: at.Mailbox, Name: mailbox, UID: at.UID}},
		})
		if err != nil {
			return err
		}
		return tx.Drop(b)
	}))
	return id
}

// open opens a mailbox as ann.
func (w *world) open(mailbox string) *store.View {
	w.t.Helper()
	v, err := w.store.Open(w.ctx, w.user(), store.MailboxRef{Account: w.ann, Name: mailbox}, false)
	must(w.t, err)
	w.t.Cleanup(v.Close)
	return v
}

func (w *world) name(a store.AccountID) string {
	if a == w.ann {
		return "ann@company.test"
	}
	return ""
}

// tells returns the words for what happened, and how the copies are.
func (w *world) tells(id string) string {
	w.t.Helper()
	all, err := w.Explain(w.ctx, id, w.name)
	if err != nil {
		return err.Error()
	}
	var words []string
	for _, s := range all {
		for _, e := range s.Events {
			words = append(words, e.What)
		}
		for _, c := range s.Copies {
			words = append(words, fmt.Sprintf("%s/%d:%s", c.Mailbox, c.UID, c.State))
		}
	}
	return strings.Join(words, " ")
}

// keys counts the records of each kind.
func (w *world) keys() string {
	w.t.Helper()
	var kinds []byte
	must(w.t, w.store.View(w.ctx, func(r *store.Snapshot) error {
		kinds = nil
		for it, err := range r.Range(store.SpaceHistory, nil, nil) {
			if err != nil {
				return err
			}
			kinds = append(kinds, it.Key[0])
		}
		return nil
	}))
	return string(kinds)
}
