package search

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tripost/store"
	"tripost/store/storetest"
)

// world is a store with one mailbox.
type world struct {
	t     testing.TB
	ctx   context.Context
	store *store.Store
	id    store.Identity
	box   store.MailboxRef
	pool  *Pool

	columns, fewColumns *Columns
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, ctx: context.Background(), store: storetest.New(t), id: store.System(), pool: NewPool(2), columns: NewColumns(1 << 20), fewColumns: NewColumns(6000)}
	must(t, w.store.Update(w.ctx, func(tx *store.Tx) error {
		a, err := tx.CreateAccount()
		w.box = store.MailboxRef{Account: a, Name: store.Inbox}
		return err
	}))
	return w
}

// deliver appends a message with an internal date in Unix seconds.
func (w *world) deliver(text string, date int64, flags store.Flags) {
	w.t.Helper()
	d, err := w.store.Draft(w.ctx, int64(len(text)))
	must(w.t, err)
	defer d.Close()
	_, err = d.Write([]byte(text))
	must(w.t, err)
	d.Finish()
	_, err = w.store.Append(w.ctx, w.id, w.box, d, store.FlagSet{System: flags}, time.Unix(date, 0))
	must(w.t, err)
}

func (w *world) open() *store.View {
	w.t.Helper()
	v, err := w.store.Open(w.ctx, w.id, w.box, true)
	must(w.t, err)
	w.t.Cleanup(v.Close)
	must(w.t, v.Load(w.ctx))
	return v
}

func (w *world) options() Options {
	return Options{Store: w.store, Pool: w.pool, Header: 1 << 20}
}

// find returns what a search finds.
func (w *world) find(v *store.View, k *Key, backward bool) []int {
	w.t.Helper()
	var seqs []int
	must(w.t, New(v, k, w.options()).Run(w.ctx, backward, func(seq int) bool {
		seqs = append(seqs, seq)
		return true
	}))
	return seqs
}

// random returns random numbers: the same in every run, others where
// TRIPOST_IMAP_ROUNDS asks for the long form.
func random(t testing.TB) *rand.Rand {
	seed := uint64(1)
	if os.Getenv("TRIPOST_IMAP_ROUNDS") != "" {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// corpus returns the test mails.
func corpus(t testing.TB) (mails []string) {
	t.Helper()
	err := filepath.WalkDir("../../message/testdata/mail", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "README.md") {
			return err
		}
		mail, err := os.ReadFile(path)
		if len(mail) > 0 {
			mails = append(mails, string(mail))
		}
		return err
	})
	must(t, err)
	if len(mails) < 1000 {
		t.Fatalf("only %d test mails", len(mails))
	}
	return mails
}

// text writes threads as THREAD tells them.
func text(threads []*Thread) string {
	var b strings.Builder
	for _, th := range threads {
		b.WriteByte('(')
		for {
			if th.Seq > 0 {
				fmt.Fprint(&b, th.Seq)
			}
			if len(th.Children) != 1 || th.Seq == 0 {
				break
			}
			b.WriteByte(' ')
			th = th.Children[0]
		}
		if len(th.Children) > 0 {
			if th.Seq > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(text(th.Children))
		}
		b.WriteByte(')')
	}
	return b.String()
}
