package store

import (
	"encoding/binary"

	"tripost/store/engine"
)

// Where many messages get other flags at once, their records are not written
// again: one record for each block of UIDs tells from which message to which the
// flags are what, and since which modseq. Of a message's own record and its
// block's, the one with the later modseq counts, so that a change of few messages
// writes their own records and leaves the block as it is, and a block may tell of
// messages that are gone.

const (
	// blockUIDs is how many UIDs a block spans; block n begins at n times that.
	blockUIDs = 1024
	// leastInBlock is the number of messages up to which a change is written into
	// their own records without looking at the block.
	leastInBlock = 3
	// recordOctets is about what a message's own record takes, its key included.
	recordOctets = 40
)

// flagRun is messages that have the same flags since the same change.
type flagRun struct {
	lo, hi UID
	flags  Flags
	modSeq ModSeq
}

// flagBlock is the runs of one block, which ascend and do not overlap.
type flagBlock []flagRun

func blockOf(u UID) uint32 { return uint32(u) / blockUIDs }

// append writes the runs: each by the distance of its first UID from the last one
// of the run before it, or from the block's beginning less one, its length less
// one, its flags, and its modseq less that of the run before it.
func (b flagBlock) append(to []byte, n uint32) []byte {
	to = append(to, recordVersion)
	to = binary.AppendUvarint(to, uint64(len(b)))
	last, modSeq := int64(n)*blockUIDs-1, ModSeq(0)
	for _, r := range b {
		to = binary.AppendUvarint(to, uint64(int64(r.lo)-last))
		to = binary.AppendUvarint(to, uint64(r.hi-r.lo))
		to = binary.AppendUvarint(to, uint64(r.flags))
		to = binary.AppendVarint(to, int64(r.modSeq-modSeq))
		last, modSeq = int64(r.hi), r.modSeq
	}
	return to
}

// decode reads block n into b, whose memory is used again.
func (b *flagBlock) decode(n uint32, value []byte) error {
	d := newDecoder(value)
	count := d.count()
	*b = (*b)[:0]
	last, modSeq := int64(n)*blockUIDs-1, ModSeq(0)
	end := last + blockUIDs
	for range count {
		gap, more := d.uint(), d.uint()
		if gap == 0 || gap > blockUIDs || more >= blockUIDs || last+int64(gap)+int64(more) > end {
			d.bad = true
		}
		if d.bad {
			break
		}
		lo := last + int64(gap)
		last = lo + int64(more)
		flags := Flags(d.uint())
		modSeq += ModSeq(d.int())
		*b = append(*b, flagRun{UID(lo), UID(last), flags, modSeq})
	}
	return d.err("flag block")
}

// with returns the runs with newer ones in place of what they cover. It uses up b.
func (b flagBlock) with(newer flagBlock) flagBlock {
	out := make(flagBlock, 0, len(b)+2*len(newer))
	for _, r := range newer {
		for len(b) > 0 && b[0].lo < r.lo {
			part := b[0]
			if part.hi >= r.lo {
				part.hi, b[0].lo = r.lo-1, r.lo
			} else {
				b = b[1:]
			}
			out = append(out, part)
		}
		for len(b) > 0 && b[0].hi <= r.hi {
			b = b[1:]
		}
		if len(b) > 0 && b[0].lo <= r.hi {
			b[0].lo = r.hi + 1
		}
		out = append(out, r)
	}
	return append(out, b...)
}

// readFlagBlock reads a block into b; where there is none it is empty.
func readFlagBlock(r engine.Reader, k boxKey, n uint32, b *flagBlock) error {
	value, err := r.Get(flagBlockKey(k, n))
	if err != nil || value == nil {
		*b = (*b)[:0]
		return err
	}
	return b.decode(n, value)
}

// flagReader finds what blocks tell of messages. It is quick where they are asked
// for in the order of their UIDs.
type flagReader struct {
	r     engine.Reader
	k     boxKey
	n     uint32    // of the block that has been read
	read  bool      // one has been
	block flagBlock // its runs
	rest  flagBlock // those from the last message on
}

// amend gives a message that was read from its own record the flags that it has.
func (f *flagReader) amend(m *Message) error {
	if n := blockOf(m.UID); !f.read || n != f.n {
		if err := readFlagBlock(f.r, f.k, n, &f.block); err != nil {
			return err
		}
		f.n, f.read, f.rest = n, true, f.block
	} else if len(f.rest) < len(f.block) && f.block[len(f.block)-len(f.rest)-1].hi >= m.UID {
		f.rest = f.block // it lies before the last one
	}
	for len(f.rest) > 0 && f.rest[0].hi < m.UID {
		f.rest = f.rest[1:]
	}
	if len(f.rest) > 0 && f.rest[0].lo <= m.UID && f.rest[0].modSeq > m.ModSeq {
		m.Flags, m.ModSeq = f.rest[0].flags, f.rest[0].modSeq
	}
	return nil
}

// decode reads a message's record, and what its block tells.
func (f *flagReader) decode(e *entry, u UID, value []byte) error {
	if err := e.decode(u, value); err != nil {
		return err
	}
	return f.amend(&e.Message)
}

// putFlags writes the flags of messages, ascending by UID, that a change with a
// modseq has given others; those with another modseq are passed over.
func (tx *Tx) putFlags(k boxKey, messages []Message, at ModSeq) error {
	for len(messages) > 0 {
		block, n := blockOf(messages[0].UID), 1
		for n < len(messages) && blockOf(messages[n].UID) == block {
			n++
		}
		if err := tx.putFlagsOf(k, block, messages[:n], at); err != nil {
			return err
		}
		messages = messages[n:]
	}
	return nil
}

// putFlagsOf is putFlags for messages of one block: it writes the block or the
// messages' own records, whichever is less.
func (tx *Tx) putFlagsOf(k boxKey, n uint32, messages []Message, at ModSeq) error {
	var newer flagBlock
	changed := 0
	for i := range messages {
		m := &messages[i]
		if m.ModSeq != at {
			continue
		}
		changed++
		if last := len(newer) - 1; last >= 0 && newer[last].hi+1 == m.UID && newer[last].flags == m.Flags {
			newer[last].hi = m.UID
		} else {
			newer = append(newer, flagRun{m.UID, m.UID, m.Flags, at})
		}
	}
	if changed > leastInBlock {
		var old flagBlock
		if err := readFlagBlock(tx.r, k, n, &old); err != nil {
			return err
		}
		if value := old.with(newer).append(nil, n); len(value) < changed*recordOctets {
			tx.tx.Put(flagBlockKey(k, n), value)
			return nil
		}
	}
	for i := range messages {
		if m := &messages[i]; m.ModSeq == at {
			if err := tx.putFlagsOfOne(k, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// putFlagsOfOne writes a message's own record with its flags and modseq.
func (tx *Tx) putFlagsOfOne(k boxKey, m *Message) error {
	value, err := tx.r.Get(messageKey(k.account, k.mailbox, m.UID))
	if err != nil || value == nil {
		return err
	}
	var e entry
	if err := e.decode(m.UID, value); err != nil {
		return err
	}
	e.Flags, e.ModSeq = m.Flags, m.ModSeq
	tx.putEntry(k, &e)
	return nil
}

// dropFlagBlocks deletes the blocks of messages that were removed, ascending by
// UID, where none of their messages is left.
func (tx *Tx) dropFlagBlocks(k boxKey, removed []entry) error {
	for i := range removed {
		n := blockOf(removed[i].UID)
		if i > 0 && blockOf(removed[i-1].UID) == n {
			continue
		}
		key := flagBlockKey(k, n)
		value, err := tx.r.Get(key)
		if err != nil {
			return err
		}
		if value == nil {
			continue
		}
		left, err := tx.Lives(k.account, k.mailbox, UIDSet{{UID(n * blockUIDs), UID(n*blockUIDs + blockUIDs - 1)}})
		if err != nil {
			return err
		}
		if !left {
			tx.tx.Delete(key)
		}
	}
	return nil
}

// forgetFlagBlocks deletes at most n of a mailbox's flag blocks, and tells whether
// there are more.
func (tx *Tx) forgetFlagBlocks(k boxKey, n int) (more bool, err error) {
	lo, hi := flagBlockRange(k)
	return tx.deleteSome(lo, hi, n)
}
