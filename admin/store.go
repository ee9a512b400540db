package admin

import (
	"context"
	"iter"
	"time"

	"tripost/store"
	"tripost/store/engine"
)

// StoreInfo is the store's condition as commands show it.
type StoreInfo struct {
	Engine     string    `json:"engine"`
	Format     int       `json:"format"`
	ReadOnly   string    `json:"read_only,omitempty"` // why, when it is
	Updates    uint64    `json:"updates"`             // since opening
	Commits    uint64    `json:"commits"`             // groups of updates with one sync
	Syncs      uint64    `json:"syncs"`
	DiskOctets int64     `json:"disk_octets"`
	LiveOctets int64     `json:"live_octets"`
	Opened     time.Time `json:"opened"`
	Recovered  string    `json:"recovered,omitempty"` // what opening had to mend
}

// StoreStatus tells how the store is.
func (a *API) StoreStatus(context.Context, None) (StoreInfo, error) {
	s := a.Store.Engine().Status()
	info := StoreInfo{
		Engine: s.Engine, Format: s.Format, Updates: s.Updates, Commits: s.Commits, Syncs: s.Syncs,
		DiskOctets: s.DiskOctets, LiveOctets: s.LiveOctets, Opened: s.Opened, Recovered: s.Recovered,
	}
	if s.ReadOnly != nil {
		info.ReadOnly = s.ReadOnly.Error()
	}
	return info, nil
}

// maxFaults bounds how many faults one check lists; it counts them all.
const maxFaults = 1000

// CheckInfo is what a check found.
type CheckInfo struct {
	Accounts   int64       `json:"accounts"`
	Mailboxes  int64       `json:"mailboxes"`
	Messages   int64       `json:"messages"`
	Expunged   int64       `json:"expunged"` // that can still be restored
	Keys       int64       `json:"keys"`
	Bodies     int64       `json:"bodies"`
	BodyOctets int64       `json:"body_octets"`
	DiskOctets int64       `json:"disk_octets"`
	FaultCount int         `json:"fault_count"`
	Faults     []FaultInfo `json:"faults,omitempty"`
}

// FaultInfo is one thing that is wrong.
type FaultInfo struct {
	Place string `json:"place"`
	Text  string `json:"text"`
}

// References yields the bodies that rooms other than the store hold. The
// program that puts the rooms together sets it.
type References func(*store.Snapshot) iter.Seq2[store.Body, error]

// CheckStore reads everything in the store and verifies it. It changes nothing.
func (a *API) CheckStore(ctx context.Context, _ None) (CheckInfo, error) {
	return CheckOf(ctx, a.Store, a.References)
}

// CheckOf checks any store.
func CheckOf(ctx context.Context, st *store.Store, references References) (CheckInfo, error) {
	var info CheckInfo
	res, err := st.Check(ctx, references, func(f engine.Fault) {
		if info.FaultCount++; len(info.Faults) < maxFaults {
			info.Faults = append(info.Faults, FaultInfo{f.Place, f.Text})
		}
	})
	info.Accounts, info.Mailboxes, info.Messages, info.Expunged = res.Accounts, res.Mailboxes, res.Messages, res.Expunged
	info.Keys, info.Bodies, info.BodyOctets, info.DiskOctets = res.Keys, res.Blobs, res.BlobOctets, res.DiskOctets
	return info, err
}

// CompactInfo is what a compaction gave back.
type CompactInfo struct {
	Freed int64 `json:"freed"` // octets
}

// CompactStore gives the space of dropped bodies back.
func (a *API) CompactStore(ctx context.Context, _ None) (CompactInfo, error) {
	n, err := a.Store.Engine().Compact(ctx)
	return CompactInfo{n}, err
}
