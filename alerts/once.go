package alerts

import (
	"context"
	"fmt"
	"time"

	"tripost/store"
)

// maxKind bounds the octets of a kind of notice.
const maxKind = 40

// NotifyOnce is Notify for what is found again and again, such as a disk that
// fills up: an account is told of a kind once in a pause, counted from the last
// time, over restarts too. told is false where it was told already. kind is a word
// of the caller's, of at most 40 octets.
func (a *Alerts) NotifyOnce(ctx context.Context, id store.AccountID, kind string, pause time.Duration, text string) (told bool, err error) {
	if kind == "" || len(kind) > maxKind {
		return false, fmt.Errorf("%q is no kind of notice", kind)
	}
	now := a.o.Now().Unix()
	key := noticeKey(kind, id)
	err = a.store.Update(ctx, func(tx *store.Tx) error {
		last := uint64(0)
		b, err := tx.Get(store.SpaceAlerts, key)
		if err == nil && b != nil {
			last, err = decodeNumber(keyNotice, b)
		}
		if err != nil {
			return err
		}
		if told = last == 0 || now >= int64(last)+int64(pause/time.Second) || now < int64(last); told {
			put(tx, key, encodeNumber(uint64(max(now, 1))))
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("noting a notice for account %d: %w", id, err)
	}
	if told {
		err = a.Notify(ctx, id, text)
	}
	return told, err
}

func noticeKey(kind string, id store.AccountID) []byte {
	return stampKey(append(append([]byte{keyNotice}, kind...), 0), uint64(id))
}
