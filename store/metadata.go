package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"tripost/store/engine"
)

// MetadataEntry is an annotation of a mailbox or of the server, RFC 5464. Name is
// in lower case and begins with "/private/", which its user alone sees, or
// "/shared/". A nil Value is that of an entry which is not there.
type MetadataEntry struct {
	Name  string
	Value []byte
}

// Bounds of metadata.
const (
	// MaxMetadataValue is how many octets a value may have.
	MaxMetadataValue = 32 << 10
	// MaxMetadataName is how many octets the name of an entry may have.
	MaxMetadataName = 255
	// maxMetadata is how much an account may hold of it in all, whoever set it.
	maxMetadata = 4 << 20
	// metadataCost is what an entry counts besides its octets.
	metadataCost = 64
)

const (
	privateMetadata = "/private/"
	sharedMetadata  = "/shared/"
)

// Metadata returns the entries of a mailbox that the identity may see, by name. It
// needs [RightRead]. For the name "" they are the identity's own of the server.
func (s *Store) Metadata(ctx context.Context, id Identity, ref MailboxRef) ([]MetadataEntry, error) {
	var list []MetadataEntry
	err := s.engine.View(ctx, func(r engine.Reader) error {
		k, _, err := metadataPlace(r, &id, ref, RightRead)
		if err != nil {
			return err
		}
		if list, err = readMetadata(r, k, id.Account, privateMetadata); err != nil || k.mailbox == 0 {
			return err
		}
		shared, err := readMetadata(r, k, 0, sharedMetadata)
		list = append(list, shared...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("metadata of %q: %w", ref.Name, err)
	}
	return list, nil
}

// metadataPlace finds where entries are: the number 0 stands for the server, as an
// account sees it.
func metadataPlace(r engine.Reader, id *Identity, ref MailboxRef, need Rights) (boxKey, Rights, error) {
	if ref.Name == "" {
		return boxKey{account: id.Account}, AllRights, nil
	}
	k, _, rights, err := enter(r, id, ref, need)
	return k, rights, err
}

// readMetadata reads the entries of one owner, 0 for shared ones.
func readMetadata(r engine.Reader, k boxKey, owner AccountID, prefix string) ([]MetadataEntry, error) {
	key := appendMetadataKey(nil, k, owner)
	var list []MetadataEntry
	for item, err := range r.Range(key, prefixEnd(key)) {
		if err != nil {
			return nil, err
		}
		d := newDecoder(item.Value)
		value := append([]byte{}, d.b...)
		if err := d.err("metadata"); err != nil {
			return nil, err
		}
		list = append(list, MetadataEntry{prefix + string(item.Key[len(key):]), value})
	}
	return list, nil
}

// SetMetadata sets entries of a mailbox, all or none; a nil value removes one. It
// needs [RightRead], and [RightWrite] for shared ones. For the name "" they are the
// identity's own of the server, of which shared ones cannot be set.
// [ErrMetadataValue], [ErrMetadataFull], [ErrBadMetadata].
func (s *Store) SetMetadata(ctx context.Context, id Identity, ref MailboxRef, entries []MetadataEntry) error {
	for i := range entries {
		if err := entries[i].check(); err != nil {
			return err
		}
	}
	err := s.Update(ctx, func(tx *Tx) error {
		k, rights, err := metadataPlace(tx.r, &id, ref, RightRead)
		if err != nil {
			return err
		}
		acct, err := readAccount(tx.r, k.account)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := tx.setMetadata(&id, k, rights, &acct, e); err != nil {
				return err
			}
		}
		// A client that comes back learns from the modseq that there is something
		// new: RFC 7162 section 3.2.
		st, found, err := readState(tx.r, k)
		if err != nil {
			return err
		}
		if found {
			acct.modSeq++
			st.HighestModSeq = acct.modSeq
			tx.putState(k, &st)
		}
		tx.putAccount(k.account, &acct)
		return nil
	})
	if err != nil {
		return fmt.Errorf("setting metadata of %q: %w", ref.Name, err)
	}
	return nil
}

func (e *MetadataEntry) check() error {
	switch {
	case !strings.HasPrefix(e.Name, privateMetadata) && !strings.HasPrefix(e.Name, sharedMetadata),
		strings.HasSuffix(e.Name, "/"), len(e.Name) > MaxMetadataName:
		return fmt.Errorf("%q: %w", e.Name, ErrBadMetadata)
	case len(e.Value) > MaxMetadataValue:
		return fmt.Errorf("%q with %d octets: %w", e.Name, len(e.Value), ErrMetadataValue)
	}
	return nil
}

func (tx *Tx) setMetadata(id *Identity, k boxKey, rights Rights, acct *account, e MetadataEntry) error {
	owner, name := id.Account, strings.TrimPrefix(e.Name, privateMetadata)
	if shared, ok := strings.CutPrefix(e.Name, sharedMetadata); ok {
		if owner, name = 0, shared; rights&RightWrite == 0 || k.mailbox == 0 {
			return &RightError{Right: RightWrite}
		}
	}
	key := append(appendMetadataKey(nil, k, owner), name...)
	old, err := tx.r.Get(key)
	if err != nil {
		return err
	}
	acct.metadata -= metadataSize(key, old)
	if e.Value == nil {
		tx.tx.Delete(key)
		return nil
	}
	value := append([]byte{recordVersion}, e.Value...)
	if acct.metadata += metadataSize(key, value); acct.metadata > maxMetadata {
		return ErrMetadataFull
	}
	tx.tx.Put(key, value)
	return nil
}

// metadataSize is what an entry counts; one without a value is not there.
func metadataSize(key, value []byte) int64 {
	if value == nil {
		return 0
	}
	return metadataCost + int64(len(key)+len(value))
}

// dropMetadata removes all entries of a mailbox.
func (tx *Tx) dropMetadata(acct *account, k boxKey) error {
	prefix := appendMailboxMetadata(nil, k)
	var keys [][]byte
	for item, err := range tx.r.Range(prefix, prefixEnd(prefix)) {
		if err != nil {
			return err
		}
		acct.metadata -= metadataSize(item.Key, item.Value)
		keys = append(keys, append([]byte(nil), item.Key...))
	}
	for _, key := range keys {
		tx.tx.Delete(key)
	}
	return nil
}

// storedMetadata is an entry as it lies in the store, under whose key it is without the
// mailbox.
type storedMetadata struct{ key, value []byte }

func (tx *Tx) storedMetadata(k boxKey) (list []storedMetadata, err error) {
	prefix := appendMailboxMetadata(nil, k)
	for i, err := range tx.r.Range(prefix, prefixEnd(prefix)) {
		if err != nil {
			return nil, err
		}
		list = append(list, storedMetadata{bytes.Clone(i.Key[len(prefix):]), bytes.Clone(i.Value)})
	}
	return list, nil
}

// moveMetadata counts all entries of a mailbox of an account that is made again, under
// the key that it has now.
func (tx *Tx) moveMetadata(acct *account, from, to boxKey) error {
	list, err := tx.storedMetadata(from)
	for _, e := range list {
		key := append(appendMailboxMetadata(nil, to), e.key...)
		acct.metadata += metadataSize(key, e.value)
		if from != to {
			tx.tx.Delete(append(appendMailboxMetadata(nil, from), e.key...))
			tx.tx.Put(key, e.value)
		}
	}
	return err
}

// copyMetadata gives a new mailbox the entries of another in its account, as far as the
// account has room for them.
func (tx *Tx) copyMetadata(acct *account, from, to boxKey) error {
	list, err := tx.storedMetadata(from)
	for _, e := range list {
		key := append(appendMailboxMetadata(nil, to), e.key...)
		if size := metadataSize(key, e.value); acct.metadata+size <= maxMetadata {
			acct.metadata += size
			tx.tx.Put(key, e.value)
		}
	}
	return err
}

func appendMailboxMetadata(b []byte, k boxKey) []byte {
	return binary.BigEndian.AppendUint32(appendAccountPart(b, k.account, partMetadata), uint32(k.mailbox))
}

func appendMetadataKey(b []byte, k boxKey, owner AccountID) []byte {
	return binary.BigEndian.AppendUint64(appendMailboxMetadata(b, k), uint64(owner))
}

// metadata counts an account's metadata.
func (c *checker) metadata(acct *checkedAccount) error {
	prefix := appendAccountPart(nil, acct.id, partMetadata)
	kept, err := c.keptBoxes(acct)
	if err != nil {
		return err
	}
	var size int64
	err = c.each(prefix, func(key, value []byte) {
		c.res.Metadata++
		size += metadataSize(key, value)
		d := newDecoder(value)
		if err := d.err("metadata"); err != nil {
			c.fault(key, "%v", err)
		}
		if len(key) < len(prefix)+13 {
			c.fault(key, "metadata without a name")
			return
		}
		id := MailboxID(binary.BigEndian.Uint32(key[len(prefix):]))
		if _, found := acct.boxes[id]; !found && !kept[id] && (id != 0 || !acct.exists) {
			c.fault(key, "metadata of mailbox %d, which does not exist", id)
		}
	})
	if acct.exists && size != acct.record.metadata {
		c.fault(accountKey(acct.id), "account says that its metadata counts %d, it counts %d", acct.record.metadata, size)
	}
	return err
}

// keptBoxes are the mailboxes that an account had which was removed and can be made
// again.
func (c *checker) keptBoxes(acct *checkedAccount) (map[MailboxID]bool, error) {
	value, err := c.r.Get(removedAccountKey(acct.id))
	if err != nil || value == nil {
		return nil, err
	}
	var was removedAccount
	if err := was.decode(value); err != nil {
		c.fault(removedAccountKey(acct.id), "%v", err)
	}
	kept := map[MailboxID]bool{0: true}
	for i := range was.boxes {
		kept[was.boxes[i].id] = true
	}
	return kept, nil
}
