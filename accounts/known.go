package accounts

import (
	"sync"
	"sync/atomic"

	"tripost/store"
)

// maxKnown bounds the records of domains that are kept in memory. What is read
// after so many is read from the store each time.
const maxKnown = 1000

// known keeps the records of domains that were asked for, and the name of the
// Main Domain: nearly each address needs them, and they hardly ever change. It is
// safe for concurrent use.
//
// A state of the store that was opened when changes was n may be told what was
// read in another one that was opened at n: no change whose writer has got an
// answer lies between the two. That is so since a record is kept only if it has
// been watched for as long as changes is n.
type known struct {
	store   *store.Store
	changes atomic.Uint64 // counts the commits that may have changed a watched record

	mu      sync.RWMutex
	at      uint64                 // changes, when what is in records was read
	records map[string]knownDomain // by name; "" is the Main Domain, as an alias
	watched map[string]struct{}
}

// knownDomain is a domain, or the name of the one that an alias stands for.
type knownDomain struct {
	domain  Domain
	aliasOf string
}

// knownAt is known as it may be told to one state of the store. The zero value
// knows nothing.
type knownAt struct {
	known   *known
	changes uint64
}

// now returns what may be told to states that are opened after the call.
func (k *known) now() knownAt { return knownAt{k, k.changes.Load()} }

func (k knownAt) get(name string) (d knownDomain, ok bool) {
	if k.known == nil {
		return d, false
	}
	k.known.mu.RLock()
	defer k.known.mu.RUnlock()
	if k.known.at == k.changes {
		d, ok = k.known.records[name]
	}
	return d, ok
}

// put keeps a record that was read in the state, if nothing has changed since the
// state was opened. The first time the record only becomes watched: it may have
// changed before that.
func (k knownAt) put(name string, d knownDomain) {
	if k.known == nil {
		return
	}
	k.known.mu.Lock()
	defer k.known.mu.Unlock()
	if !k.known.watches(name) || k.changes != k.known.changes.Load() {
		return
	}
	if k.known.at != k.changes || k.known.records == nil {
		k.known.at, k.known.records = k.changes, make(map[string]knownDomain)
	}
	k.known.records[name] = d
}

// watches reports whether a record was watched already, and begins to if there is
// room. The caller holds mu.
func (k *known) watches(name string) bool {
	if _, have := k.watched[name]; have {
		return true
	}
	if len(k.watched) < maxKnown {
		if k.watched == nil {
			k.watched = make(map[string]struct{})
		}
		k.watched[name] = struct{}{}
		key := domainKey(name)
		if name == "" {
			key = []byte{keyMain}
		}
		k.store.Watch(store.SpaceDirectory, key, func() { k.changes.Add(1) })
		k.changes.Add(1) // what was read before is not kept
	}
	return false
}
