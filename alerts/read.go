package alerts

import (
	"iter"

	"tripost/store"
	"tripost/store/engine"
)

// under yields the items whose keys begin with prefix and go on with a number
// of at least from.
func under(r *store.Snapshot, prefix []byte, from uint64) iter.Seq2[engine.Item, error] {
	return r.Range(store.SpaceAlerts, stampKey(prefix, from), after(prefix))
}

// after returns the first key behind all those with the prefix.
func after(prefix []byte) []byte {
	hi := append([]byte(nil), prefix...)
	for i := len(hi) - 1; i >= 0; i-- {
		if hi[i]++; hi[i] != 0 {
			return hi[:i+1]
		}
	}
	return nil
}

// firstFor returns the lowest stamp of at least from under a prefix, of alerts
// that an account is old enough for, or 0.
func firstFor(r *store.Snapshot, prefix []byte, from uint64, a store.AccountID) (ID, error) {
	for item, err := range under(r, prefix, from) {
		if err != nil {
			return 0, err
		}
		newest, err := decodeNumber(prefix[0], item.Value)
		if err != nil {
			return 0, err
		}
		if store.AccountID(newest) >= a {
			return ID(stampAt(item.Key)), nil
		}
	}
	return 0, nil
}

// readPosted reads an alert; found is false where it has been removed.
func readPosted(r *store.Snapshot, id ID) (p posted, found bool, err error) {
	b, err := r.Get(store.SpaceAlerts, postedKey(id))
	if err != nil || b == nil {
		return posted{}, false, err
	}
	p, err = decodePosted(b)
	return p, err == nil, err
}

// readShown reads what an account has been shown.
func readShown(r *store.Snapshot, a store.AccountID) (shown, error) {
	b, err := r.Get(store.SpaceAlerts, shownKey(a))
	if err != nil || b == nil {
		return shown{}, err
	}
	return decodeShown(b)
}

// readNumber reads T or G, 0 where it is not there yet.
func readNumber(r *store.Snapshot, kind byte) (uint64, error) {
	b, err := r.Get(store.SpaceAlerts, []byte{kind})
	if err != nil || b == nil {
		return 0, err
	}
	return decodeNumber(kind, b)
}

func put(tx *store.Tx, key, value []byte) { tx.Put(store.SpaceAlerts, key, value) }
func del(tx *store.Tx, key []byte)        { tx.Delete(store.SpaceAlerts, key) }
