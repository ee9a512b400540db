package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tripost/store"
)

// ImportInfo counts what an import did.
type ImportInfo struct {
	Imported int `json:"imported"`
	TooLarge int `json:"too_large,omitempty"` // left out: over the size limit
	// WithoutKeywords counts those of Imported whose keywords are none, or too
	// many for the mailbox.
	WithoutKeywords int `json:"without_keywords,omitempty"`
}

// importMbox appends the messages of an mbox file, the request body, to a
// mailbox. What was imported before an error stays.
func (a *API) importMbox(w http.ResponseWriter, r *http.Request) {
	q, err := mboxRequest(r)
	if err != nil {
		writeError(w, err)
		return
	}
	info, err := a.Import(r.Context(), q, r.Body)
	if err != nil {
		writeError(w, fmt.Errorf("after %d messages: %w", info.Imported, err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(info)
}

func mboxRequest(r *http.Request) (q MailboxRequest, err error) {
	if err := decode(strings.NewReader(r.URL.Query().Get("request")), &q); err != nil {
		return q, &Refusal{err}
	}
	return q, nil
}

// Import appends the messages of an mbox file to a mailbox, with the flags and the
// unique-ids that their status fields say. The mailbox is made when it is missing
// and the file is an mbox file. Each message is on stable storage before the next
// one is read.
func (a *API) Import(ctx context.Context, q MailboxRequest, mbox io.Reader) (ImportInfo, error) {
	var info ImportInfo
	ref, err := a.ref(ctx, q.Account, q.Mailbox)
	if err != nil {
		return info, err
	}
	in := &importer{api: a, to: ref, mbox: newMboxReader(mbox, a.MaxMessage)}
	for {
		msg, err := in.one(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return info, in.create(ctx)
		case errors.Is(err, errNotMbox):
			return info, &Refusal{err}
		case err != nil:
			return info, err
		case msg.TooLarge:
			info.TooLarge++
			continue
		}
		info.Imported++
		if msg.KeywordsLost {
			info.WithoutKeywords++
		}
	}
}

// importer is an import on its way.
type importer struct {
	api  *API
	mbox *mboxReader
	to   store.MailboxRef
	made bool // the mailbox is there
}

// create makes the mailbox if it is missing.
func (in *importer) create(ctx context.Context) error {
	if in.made {
		return nil
	}
	err := in.api.Store.Create(ctx, store.System(), in.to, store.CreateOptions{})
	if in.made = err == nil || errors.Is(err, store.ErrMailboxExists); in.made {
		return nil
	}
	return err
}

// one imports the next message; io.EOF after the last.
func (in *importer) one(ctx context.Context) (mboxMessage, error) {
	d, err := in.api.Store.Draft(ctx, 0)
	if err != nil {
		return mboxMessage{}, err
	}
	defer d.Close()
	msg, err := in.mbox.Next(d)
	if err != nil || msg.TooLarge {
		return msg, err
	}
	if err := in.create(ctx); err != nil {
		return msg, err
	}
	d.Finish()
	err = in.append(ctx, d, &msg)
	if errors.Is(err, store.ErrKeywords) {
		msg.KeywordsLost, msg.Flags.Keywords = true, nil
		err = in.append(ctx, d, &msg)
	}
	return msg, err
}

// append puts a message that was read into the mailbox.
func (in *importer) append(ctx context.Context, d *store.Draft, msg *mboxMessage) error {
	up := store.Upload{Draft: d, Flags: msg.Flags, Date: msg.Date, UniqueID: msg.UniqueID}
	_, err := in.api.Store.AppendAll(ctx, byImport(), in.to, []store.Upload{up})
	return err
}

// exportMbox answers with a mailbox as an mbox file. When it fails half-way
// the connection is cut, so that a short file is never taken for the whole.
func (a *API) exportMbox(w http.ResponseWriter, r *http.Request) {
	q, err := mboxRequest(r)
	if err != nil {
		writeError(w, err)
		return
	}
	v, err := a.openMailbox(r.Context(), q)
	if err != nil {
		writeError(w, err)
		return
	}
	defer v.Close()
	w.Header().Set("Content-Type", "application/mbox")
	if err := a.export(r.Context(), v, w); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func (a *API) openMailbox(ctx context.Context, q MailboxRequest) (*store.View, error) {
	ref, err := a.ref(ctx, q.Account, q.Mailbox)
	if err != nil {
		return nil, err
	}
	v, err := a.Store.OpenQuietly(ctx, store.System(), ref)
	if err != nil {
		return nil, err
	}
	if err := v.Load(ctx); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

func (a *API) export(ctx context.Context, v *store.View, w io.Writer) error {
	m := mboxWriter{bufio.NewWriterSize(w, maxLine)}
	for seq := 1; seq <= v.Len(); seq++ {
		body, err := v.OpenBody(ctx, seq)
		if errors.Is(err, store.ErrNoMessage) {
			continue // removed while we were at it
		}
		if err != nil {
			return err
		}
		msg := v.At(seq)
		id := v.AppendUniqueID(nil, msg.UID)
		err = m.Message("", time.Unix(msg.Date, 0), flagSet(msg.Flags, v.Keywords()), id, io.NewSectionReader(body, 0, body.Size()))
		body.Close()
		if err != nil {
			return err
		}
	}
	return m.w.Flush()
}

// flagSet names the flags of a message.
func flagSet(f store.Flags, keywords []string) store.FlagSet {
	set := store.FlagSet{System: f & (1<<store.FirstKeyword - 1)}
	for i, name := range keywords {
		if f&(1<<(store.FirstKeyword+i)) != 0 {
			set.Keywords = append(set.Keywords, name)
		}
	}
	return set
}

// byImport is the server itself as who brings mail in, for the history.
func byImport() store.Identity {
	id := store.System()
	id.Actor.Protocol = "import"
	return id
}
