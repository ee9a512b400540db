package admin

import (
	"context"
	"strings"
	"time"

	"tripost/store"
)

// ExpungedRequest selects removed messages of an account: all, or those of one
// mailbox, or one UID of it.
type ExpungedRequest struct {
	Account string `json:"account"`
	Mailbox string `json:"mailbox,omitempty"`
	UID     uint32 `json:"uid,omitempty"`
}

// ExpungedInfo is a removed message that can be restored.
type ExpungedInfo struct {
	Mailbox string    `json:"mailbox"`
	UID     uint32    `json:"uid"`
	Size    int64     `json:"size"`
	Date    time.Time `json:"date"`
	At      time.Time `json:"removed"`
	Until   time.Time `json:"until"`
	From    string    `json:"from,omitempty"`    // decoded, as far as it is told
	Subject string    `json:"subject,omitempty"` // likewise
}

// Expunged lists what can be restored, at most 10,000 messages of it. A mailbox
// that there is not, and of which nothing can be restored, is refused.
func (a *API) Expunged(ctx context.Context, q ExpungedRequest) ([]ExpungedInfo, error) {
	list := []ExpungedInfo{}
	var bodies []store.Body
	err := a.eachExpunged(ctx, q, func(e store.Expunged) bool {
		list = append(list, ExpungedInfo{
			Mailbox: e.Mailbox, UID: uint32(e.UID), Size: e.Size, Date: time.Unix(e.Date, 0).UTC(), At: e.At, Until: e.Until,
		})
		bodies = append(bodies, e.Body)
		return len(list) < maxListed
	})
	if err == nil && len(list) == 0 {
		err = a.nothingOf(ctx, q)
	}
	if err != nil {
		return nil, err
	}
	return list, a.Store.View(ctx, func(r *store.Snapshot) error {
		for i := range list {
			// A record that cannot be read is no reason to hide the message.
			if m, err := r.Record(bodies[i]); err == nil && m.ValidTexts() {
				list[i].From, list[i].Subject = clip(m.From()), clip(m.Subject())
			}
		}
		return nil
	})
}

// maxTold bounds what is told of a field, in octets.
const maxTold = 200

func clip(field []byte) string {
	return strings.ToValidUTF8(string(field[:min(len(field), maxTold)]), "")
}

// nothingOf refuses a request that names what is nowhere: a message that cannot be
// restored, or a mailbox that is neither there nor was there.
func (a *API) nothingOf(ctx context.Context, q ExpungedRequest) error {
	switch {
	case q.UID != 0:
		return refuse("there is no message %d of %q to restore", q.UID, q.Mailbox)
	case q.Mailbox == "":
		return nil
	}
	ref, err := a.ref(ctx, q.Account, q.Mailbox)
	if err == nil {
		_, _, err = a.Store.Mailbox(ctx, store.System(), ref)
	}
	return err
}

// RestoreInfo counts what was restored.
type RestoreInfo struct {
	Restored int `json:"restored"`
}

// restoreBatch bounds how many removed messages are held in memory at once.
const restoreBatch = 1000

// Restore puts removed messages back into the mailboxes they were in. A message,
// or a mailbox, of which there is nothing is refused.
func (a *API) Restore(ctx context.Context, q ExpungedRequest) (RestoreInfo, error) {
	var info RestoreInfo
	acc, err := a.Directory.Account(ctx, q.Account)
	if err != nil {
		return info, err
	}
	for {
		var batch []store.Expunged
		err := a.eachExpunged(ctx, q, func(e store.Expunged) bool {
			batch = append(batch, e)
			return len(batch) < restoreBatch
		})
		if err == nil && len(batch) == 0 && info.Restored == 0 {
			err = a.nothingOf(ctx, q)
		}
		if err != nil || len(batch) == 0 {
			return info, err
		}
		n, err := a.Store.Restore(ctx, acc.ID, batch)
		info.Restored += n
		if err != nil || n == 0 {
			return info, err
		}
	}
}

func (a *API) eachExpunged(ctx context.Context, q ExpungedRequest, fn func(store.Expunged) bool) error {
	acc, err := a.Directory.Account(ctx, q.Account)
	if err != nil {
		return err
	}
	for e, err := range a.Store.Expunged(ctx, acc.ID) {
		if err != nil {
			return err
		}
		if q.Mailbox != "" && e.Mailbox != q.Mailbox || q.UID != 0 && uint32(e.UID) != q.UID {
			continue
		}
		if !fn(e) {
			return nil
		}
	}
	return nil
}
