package store

import (
	"encoding/binary"

	"tripost/store/engine"
)

// A change record tells what one transaction did to the messages that were in a
// mailbox already. Arrivals leave none: UIDs and their modseqs grow together,
// so they are found at the end of the messages.
//
// It is a time and then parts, each a kind and a set of UIDs. Behind the set of
// expunged UIDs stand the size and the flags that each had, so that a session
// that opened the mailbox before can still tell of them.
const (
	changeFlags    = 1
	changeExpunged = 2
)

// trace is a message that is gone.
type trace struct {
	uid   UID
	size  int64
	flags Flags // as a record has them: see Message.recordFlags
}

// message is what is left of it.
func (t *trace) message() Message {
	m := Message{UID: t.uid, Size: t.size}
	m.setRecordFlags(t.flags)
	return m
}

// change is what a change record says.
type change struct {
	at      int64 // Unix seconds
	flagged UIDSet
	gone    UIDSet
	traces  []trace // of gone, in order
}

func (c *change) empty() bool { return len(c.flagged) == 0 && len(c.gone) == 0 }

// remove notes an expunged message; calls come in ascending order of UIDs.
func (c *change) remove(e *entry) {
	c.gone.Add(e.UID, e.UID)
	c.traces = append(c.traces, trace{e.UID, e.Size, e.recordFlags()})
}

func (c *change) append(b []byte) []byte {
	b = append(b, recordVersion)
	b = binary.AppendVarint(b, c.at)
	if len(c.flagged) > 0 {
		b = appendSet(append(b, changeFlags), c.flagged)
	}
	if len(c.gone) > 0 {
		b = appendSet(append(b, changeExpunged), c.gone)
		for _, t := range c.traces {
			b = binary.AppendUvarint(b, uint64(t.size))
			b = binary.AppendUvarint(b, uint64(t.flags))
		}
	}
	return b
}

// decode reads a record; with traces it reads those too.
func (c *change) decode(b []byte, traces bool) error {
	*c = change{}
	d := newDecoder(b)
	c.at = d.int()
	for len(d.b) > 0 && !d.bad {
		switch d.octet() {
		case changeFlags:
			c.flagged = d.set()
		case changeExpunged:
			c.gone = d.set()
			if !traces {
				return d.err("change record")
			}
			for u := range c.gone.All() {
				if d.bad {
					break
				}
				c.traces = append(c.traces, trace{u, int64(d.uint()), Flags(d.uint())})
			}
		default:
			d.bad = true
		}
	}
	return d.err("change record")
}

// appendSet writes a set as the number of ranges, and for each the distance
// from the end of the last one and its length less one.
func appendSet(b []byte, s UIDSet) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	var last UID
	for _, r := range s {
		b = binary.AppendUvarint(b, uint64(r.Lo-last))
		b = binary.AppendUvarint(b, uint64(r.Hi-r.Lo))
		last = r.Hi
	}
	return b
}

func (d *decoder) set() UIDSet {
	n := d.count()
	s := make(UIDSet, 0, n)
	var last uint64
	for range n {
		lo := last + d.uint()
		hi := lo + d.uint()
		if d.bad || hi < lo || hi > uint64(^UID(0)) || lo <= last {
			d.bad = true
			return nil
		}
		s = append(s, UIDRange{UID(lo), UID(hi)})
		last = hi
	}
	return s
}

// readChanges calls fn with each change after modseq since, oldest first; false
// stops. The change is fn's only while it runs.
func readChanges(r engine.Reader, k boxKey, since ModSeq, traces bool, fn func(ModSeq, *change) bool) error {
	lo, hi := changeRange(k.account, k.mailbox, since+1)
	var c change
	for item, err := range r.Range(lo, hi) {
		if err != nil {
			return err
		}
		if err := c.decode(item.Value, traces); err != nil {
			return err
		}
		if !fn(modSeqOf(item.Key), &c) {
			return nil
		}
	}
	return nil
}
