package store

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"testing"
)

// Every record reads back as it was written, with the largest values too.
func TestRecordsReadBack(t *testing.T) {
	acct := account{math.MaxUint64, math.MaxInt64, 2, 3, math.MaxInt64, math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxInt64, math.MaxUint64, math.MaxInt64, 2}
	if b := acct.append(nil); len(b) > maxAccountRecord {
		t.Errorf("account record of %d octets, at most %d are foreseen", len(b), maxAccountRecord)
	} else {
		var got account
		if err := got.decode(b); err != nil || got != acct {
			t.Errorf("%+v, %v", got, err)
		}
	}
	st := state{State: State{
		UIDValidity: math.MaxUint32, UIDNext: math.MaxUint32, Exists: math.MaxUint32, Unseen: math.MaxUint32,
		Deleted: math.MaxUint32, Octets: math.MaxInt64, DeletedOctets: math.MaxInt64, RecentBase: math.MaxUint32, Recent: math.MaxUint32, Unended: math.MaxUint32, UTF8Headers: math.MaxUint32, UniqueIDs: math.MaxUint32,
		HighestModSeq: math.MaxUint64, Floor: math.MaxUint64,
	}, keywords: math.MaxUint32, changes: math.MaxUint32}
	if b := st.append(nil); len(b) > maxStateRecord {
		t.Errorf("state of %d octets, at most %d are foreseen", len(b), maxStateRecord)
	} else {
		var got state
		if err := got.decode(b); err != nil || !reflect.DeepEqual(got, st) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	e := entry{Message: Message{UID: 7, Unended: true, UTF8Header: true, Individual: true, Flags: math.MaxUint64 &^ (unended | utf8Header | individual), ModSeq: math.MaxUint64, Size: math.MaxInt64, Date: math.MinInt64, Zone: -48, Body: math.MaxUint64}, saved: 1, created: 1}
	if b := e.append(nil); len(b) > maxMessageRecord {
		t.Errorf("message record of %d octets, at most %d are foreseen", len(b), maxMessageRecord)
	} else {
		var got entry
		if err := got.decode(7, b); err != nil || got != e {
			t.Errorf("%+v, %v", got, err)
		}
	}
	inUTC, old := e, []byte{recordVersion, 3, 100, 20, 5, 1, 9, 4} // as all were before there were zones
	inUTC.Message = Message{UID: 7, Flags: 3, Size: 100, Date: 10, ModSeq: 6, Body: 9}
	inUTC.saved, inUTC.created = 12, 5
	var gotOld entry
	if err := gotOld.decode(7, old); err != nil || gotOld != inUTC || !bytes.Equal(inUTC.append(nil), old) {
		t.Errorf("%+v, %v", gotOld, err)
	}
	p := pool{math.MaxInt64, 1, math.MaxInt64, math.MaxInt64}
	if b := p.append(nil); len(b) > maxPoolRecord {
		t.Errorf("pool record of %d octets, at most %d are foreseen", len(b), maxPoolRecord)
	} else {
		var got pool
		if err := got.decode(b); err != nil || got != p {
			t.Errorf("%+v, %v", got, err)
		}
	}
	m := mailbox{"a/b", kindRemains, 9, `\Sent`, []ACLEntry{{"anyone", 3}, {"-x@y", AllRights}}}
	var gotM mailbox
	if err := gotM.decode(m.append(nil)); err != nil || !reflect.DeepEqual(gotM, m) {
		t.Errorf("%+v, %v", gotM, err)
	}
	tr := trashed{e, -5, 1000, "INBOX", []string{"a", "b"}, "an-id"}
	var gotT trashed
	if err := gotT.decode(7, appendTrashed(nil, e.append(nil), tr.at, tr.until, tr.mailbox, tr.keywords, tr.uniqueID)); err != nil || !reflect.DeepEqual(gotT, tr) {
		t.Errorf("%+v, %v", gotT, err)
	}
	c := change{at: 5, flagged: UIDSet{{1, 3}, {9, 9}}}
	c.remove(&entry{Message: Message{UID: 4, Size: 100, Flags: 3}})
	c.remove(&entry{Message: Message{UID: 5, Size: 200}})
	var gotC change
	if err := gotC.decode(c.append(nil), true); err != nil || !reflect.DeepEqual(gotC, c) {
		t.Errorf("%+v, %v", gotC, err)
	}
	was := removedAccount{acct, []namedMailbox{{7, m}, {9, m}}, []string{"a"}}
	record := was.append(nil)
	var gotWas, gotOlder removedAccount
	if err := gotWas.decode(record); err != nil || !reflect.DeepEqual(gotWas, was) {
		t.Errorf("%+v, %v", gotWas, err)
	}
	was.boxes[0].id, was.boxes[1].id = 0, 0 // as it was before they were kept
	if err := gotOlder.decode(record[:len(record)-2]); err != nil || !reflect.DeepEqual(gotOlder, was) {
		t.Errorf("%+v, %v", gotOlder, err)
	}
	r := removed{"x", 5, 6}
	var gotR removed
	if err := gotR.decode(r.append(nil)); err != nil || gotR != r {
		t.Errorf("%+v, %v", gotR, err)
	}
}

// FuzzRecords reads damaged records: that must end, without a panic and without
// more memory than the record has octets, in an error or a value.
func FuzzRecords(f *testing.F) {
	e := entry{Message: Message{Flags: 1 << 40, Size: 5000, ModSeq: 9, Body: 3}, created: 2}
	c := change{flagged: UIDSet{{1, 3}, {9, 9}}, gone: UIDSet{{4, 4}}, traces: []trace{{4, 100, 1}}}
	m := mailbox{"a", kindSelectable, 9, "", []ACLEntry{{"anyone", 3}}}
	f.Add(e.append(nil))
	f.Add(c.append(nil))
	f.Add(m.append(nil))
	f.Add((&account{modSeq: 5, nextMailbox: 2}).append(nil))
	f.Add((&state{State: State{UIDNext: 5}}).append(nil))
	f.Add((&removed{"x", 5, 6}).append(nil))
	f.Add(appendKeywords(nil, []string{"a", "b"}))
	f.Add(appendTrashed(nil, e.append(nil), 1, 2, "INBOX", []string{"k"}, "an-id"))
	f.Add(appendUniqueID(nil, "an-id"))
	f.Add([]byte{zonedVersion, 3, 100, 20, 5, 1, 9, 4, 0xff, 0xff, 1})
	f.Add(flagBlock{{1024, 1030, FlagSeen, 5}, {2000, 2000, 0, 4}}.append(nil, 1))
	f.Add([]byte{recordVersion, 1, changeExpunged, 1, 1, 0xff, 0xff, 0xff, 0xff, 0xf})
	f.Fuzz(func(t *testing.T, b []byte) {
		given := slices.Clone(b)
		new(account).decode(b)
		new(state).decode(b)
		new(entry).decode(1, b)
		new(trashed).decode(1, b)
		new(removed).decode(b)
		decodeKeywords(b)
		decodeID(b)
		decodeUniqueID(b)
		var block, again flagBlock
		if block.decode(1, b) == nil && (again.decode(1, block.append(nil, 1)) != nil || !slices.Equal(block, again)) {
			t.Errorf("%v reads back as %v", block, again)
		}
		var box mailbox
		if box.decode(b) == nil {
			var again mailbox
			if err := again.decode(box.append(nil)); err != nil || !reflect.DeepEqual(again, box) {
				t.Errorf("%+v reads back as %+v, %v", box, again, err)
			}
		}
		var ch change
		if ch.decode(b, true) == nil && ch.gone.Count() != len(ch.traces) {
			t.Errorf("%d gone, %d traces", ch.gone.Count(), len(ch.traces))
		}
		if !bytes.Equal(given, b) {
			t.Error("reading changed the record")
		}
	})
}

// FuzzNames holds names against their rules and their keys.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"INBOX", "inbox/x", "a/b/", "a//b", "~x", "é/\u2028", "a\x00b", "Inboxes", "/"} {
		f.Add(s, "a/b")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		a, _, errA := canonicalName(a)
		b, _, errB := canonicalName(b)
		if errA != nil || errB != nil {
			return
		}
		if again, directory, err := canonicalName(a); err != nil || directory || again != a {
			t.Errorf("%q becomes %q, %v", a, again, err)
		}
		ka, kb := nameKey(1, a), nameKey(1, b)
		if nameOf(ka[10:]) != a {
			t.Errorf("%q reads back as %q", a, nameOf(ka[10:]))
		}
		if sign(bytes.Compare(ka, kb)) != sign(compareNames(a, b)) {
			t.Errorf("%q and %q are ordered otherwise than their keys", a, b)
		}
		lo, hi := subtreeRange(1, b)
		if in := bytes.Compare(ka, lo) >= 0 && bytes.Compare(ka, hi) < 0; in != within(a, b) {
			t.Errorf("%q below %q: %t, by its key %t", a, b, within(a, b), in)
		}
	})
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
