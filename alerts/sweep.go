package alerts

import (
	"context"
	"fmt"

	"tripost/accounts"
	"tripost/store"
)

// sweepBatch bounds the keys that one transaction clears away.
const sweepBatch = 1000

// directory is what there is: whose alerts count, and what they are called.
type directory struct {
	accounts map[store.AccountID]string // their addresses
	domains  map[string]accounts.Domain // by name
}

func (a *Alerts) readDirectory(ctx context.Context) (*directory, error) {
	domains, err := a.directory.Domains(ctx)
	if err != nil {
		return nil, err
	}
	all, err := a.directory.Accounts(ctx, "")
	if err != nil {
		return nil, err
	}
	d := &directory{make(map[store.AccountID]string, len(all)), make(map[string]accounts.Domain, len(domains))}
	for _, dom := range domains {
		d.domains[dom.Name] = dom
	}
	for i := range all {
		d.accounts[all[i].ID] = all[i].Address()
	}
	return d, nil
}

// orphan reports whether an alert is for an account or a domain that has been
// removed, be there another one of its name.
func (d *directory) orphan(p *posted) bool {
	switch p.scope {
	case Domain:
		dom, found := d.domains[p.domain]
		return !found || dom.Created.Unix() != p.made
	case Account:
		return d.accounts[p.account] == ""
	}
	return false
}

// target names whom an alert is for.
func (d *directory) target(p *posted) Target {
	switch p.scope {
	case Account:
		name := d.accounts[p.account]
		if name == "" {
			name = fmt.Sprintf("number %d, which was removed", p.account)
		}
		return Target{Account, name}
	default:
		return Target{p.scope, p.domain}
	}
}

// orphans is what has lost its account, domain or alert.
type orphans struct {
	posted []posted
	ids    []ID // of posted
	shown  []store.AccountID
	seen   [][]byte // keys
}

func (o *orphans) full() bool { return len(o.posted)+len(o.shown)+len(o.seen) >= sweepBatch }

// sweep clears away what was recorded for accounts and domains that have been
// removed, and who saw alerts that have been; a batch of it at most. It returns
// the newest account there is.
func (a *Alerts) sweep(ctx context.Context) (newest store.AccountID, err error) {
	names, err := a.readDirectory(ctx)
	if err != nil {
		return 0, err
	}
	var o orphans
	err = a.store.View(ctx, func(r *store.Snapshot) error { return o.find(r, names) })
	if err != nil {
		return 0, err
	}
	if len(o.posted)+len(o.shown)+len(o.seen) > 0 {
		// An account may have been made, and posted to, after the directory was
		// read. What that has lost now, it has lost for good.
		if names, err = a.readDirectory(ctx); err == nil {
			err = a.clear(ctx, o.keys(names))
		}
	}
	for id := range names.accounts {
		newest = max(newest, id)
	}
	return newest, err
}

func (a *Alerts) clear(ctx context.Context, keys [][]byte) error {
	return a.store.Update(ctx, func(tx *store.Tx) error {
		for _, k := range keys {
			del(tx, k)
		}
		return nil
	})
}

// keys returns the keys of those that names does not know either.
func (o *orphans) keys(names *directory) [][]byte {
	keys := o.seen
	for i, p := range o.posted {
		if names.orphan(&p) {
			keys = append(keys, postedKey(o.ids[i]), stampKey(p.prefix(), uint64(o.ids[i])))
		}
	}
	for _, id := range o.shown {
		if names.accounts[id] == "" {
			keys = append(keys, shownKey(id))
		}
	}
	return keys
}

func (o *orphans) find(r *store.Snapshot, names *directory) error {
	err := eachPosted(r, func(id ID, p *posted) {
		if !o.full() && names.orphan(p) {
			o.posted, o.ids = append(o.posted, *p), append(o.ids, id)
		}
	})
	if err != nil {
		return err
	}
	for item, err := range under(r, []byte{keyShown}, 0) {
		if err != nil {
			return err
		}
		if id := store.AccountID(stampAt(item.Key)); !o.full() && names.accounts[id] == "" {
			o.shown = append(o.shown, id)
		}
	}
	for item, err := range under(r, []byte{keyNotice}, 0) {
		if err != nil {
			return err
		}
		if !o.full() && names.accounts[store.AccountID(stampAt(item.Key))] == "" {
			o.seen = append(o.seen, append([]byte(nil), item.Key...))
		}
	}
	return o.findSeen(r)
}

// findSeen finds who saw alerts that are not there any more.
func (o *orphans) findSeen(r *store.Snapshot) error {
	for from := uint64(0); !o.full(); {
		id, err := nextSeen(r, from)
		if err != nil || id == 0 {
			return err
		}
		_, found, err := readPosted(r, id)
		if err == nil && !found {
			o.seen, err = appendSeen(r, id, o.seen)
		}
		if err != nil {
			return err
		}
		from = uint64(id) + 1
	}
	return nil
}

// nextSeen returns the first alert from a stamp on that somebody saw, or 0.
func nextSeen(r *store.Snapshot, from uint64) (ID, error) {
	for item, err := range under(r, []byte{keySeen}, from) {
		if err != nil {
			return 0, err
		}
		return ID(stampAt(item.Key[:1+stampSize])), nil
	}
	return 0, nil
}

// appendSeen appends the keys of who saw an alert, up to a batch.
func appendSeen(r *store.Snapshot, id ID, keys [][]byte) ([][]byte, error) {
	for item, err := range under(r, seenPrefix(id), 0) {
		if err != nil {
			return nil, err
		}
		if len(keys) >= sweepBatch {
			break
		}
		keys = append(keys, append([]byte(nil), item.Key...))
	}
	return keys, nil
}
