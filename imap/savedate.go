package imap

import (
	"context"
	"slices"

	"tripost/store"
)

// readSaveDates finds when the messages of the batch came into this mailbox. RFC
// 8514.
func (f *fetcher) readSaveDates(ctx context.Context) error {
	var set store.UIDSet
	for _, seq := range slices.Sorted(slices.Values(f.seqs)) {
		u := f.s.view.At(seq).UID
		set.Add(u, u)
	}
	f.saved = make(map[store.UID]int64, len(f.seqs))
	return f.s.view.SaveDates(ctx, set, func(u store.UID, at int64) { f.saved[u] = at })
}

// appendSaveDate appends SAVEDATE, NIL for a message that has been removed.
func (f *fetcher) appendSaveDate(b []byte, u store.UID) []byte {
	at, found := f.saved[u]
	if !found {
		return append(b, "SAVEDATE NIL"...)
	}
	return appendDateTime(append(b, "SAVEDATE "...), at, 0)
}
