package store

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tripost/store/engine"
)

// POP clients know a message by its unique-id. The ordinary one is made of
// UIDVALIDITY and UID and stands nowhere. A message that came from another server
// may keep the one that it had there, so that clients do not fetch it again: that
// stands beside the message's record, and once more in an index by its text, which
// keeps two messages of a mailbox from having the same. The state counts them;
// where it says none, none are looked for.

// maxUniqueID bounds a unique-id in octets: RFC 1939 section 7.
const maxUniqueID = 70

// ValidUniqueID tells whether a text can be a message's unique-id: 1 to 70 octets
// from 0x21 to 0x7E (RFC 1939 section 7).
func ValidUniqueID(id string) bool {
	return id != "" && len(id) <= maxUniqueID && !strings.ContainsFunc(id, func(r rune) bool { return r < 0x21 || r > 0x7e })
}

// appendOrdinaryID writes the unique-id of a message that has none of its own. The
// dot keeps any two pairs apart.
func appendOrdinaryID(b []byte, validity uint32, u UID) []byte {
	b = strconv.AppendUint(b, uint64(validity), 10)
	b = append(b, '.')
	return strconv.AppendUint(b, uint64(u), 10)
}

// keepUniqueID gives a message that was just inserted a unique-id of its own. It
// stays with the ordinary one where that cannot be: what is not a unique-id, what
// another message of the mailbox has, and what is or may become the ordinary one
// of another.
func (tx *Tx) keepUniqueID(k boxKey, st *state, u UID, id string) error {
	ordinary := appendOrdinaryID(nil, st.UIDValidity, u)
	reserved := ordinary[:bytes.IndexByte(ordinary, '.')+1]
	if !ValidUniqueID(id) || strings.HasPrefix(id, string(reserved)) {
		return nil
	}
	holder := uniqueIDHolderKey(k, id)
	if taken, err := tx.r.Get(holder); err != nil || taken != nil {
		return err
	}
	tx.tx.Put(uniqueIDKey(k, u), appendUniqueID(nil, id))
	tx.tx.Put(holder, appendID(nil, uint64(u)))
	st.UniqueIDs++
	return nil
}

// takeUniqueIDs removes the unique-ids of messages that leave a mailbox, and
// returns them.
func (tx *Tx) takeUniqueIDs(k boxKey, entries []entry) (map[UID]string, error) {
	ids := map[UID]string{}
	for i := range entries {
		key := uniqueIDKey(k, entries[i].UID)
		value, err := tx.r.Get(key)
		if err != nil {
			return nil, err
		}
		if value == nil {
			continue
		}
		id, err := decodeUniqueID(value)
		if err != nil {
			return nil, err
		}
		ids[entries[i].UID] = id
		tx.tx.Delete(key)
		tx.tx.Delete(uniqueIDHolderKey(k, id))
	}
	return ids, nil
}

// hasUniqueIDs tells whether any message of a mailbox has a unique-id of its own,
// where there is no state to ask.
func (tx *Tx) hasUniqueIDs(k boxKey) (bool, error) {
	for _, err := range tx.r.Range(uniqueIDRange(k)) {
		return err == nil, err
	}
	return false, nil
}

// uniqueIDs are those of a view's messages that are not the ordinary ones, one
// behind the other in the order of their UIDs.
type uniqueIDs struct {
	uids []UID
	ends []uint32 // of each in text
	text string
}

// readUniqueIDs reads the unique-ids of a mailbox with this state; nil: none.
func readUniqueIDs(r engine.Reader, k boxKey, st *State) (*uniqueIDs, error) {
	if st.UniqueIDs == 0 {
		return nil, nil
	}
	ids := new(uniqueIDs)
	var text []byte
	for item, err := range r.Range(uniqueIDRange(k)) {
		var id string
		if err == nil {
			id, err = decodeUniqueID(item.Value)
		}
		if err != nil {
			return nil, err
		}
		text = append(text, id...)
		ids.uids = append(ids.uids, uidOf(item.Key))
		ids.ends = append(ids.ends, uint32(len(text)))
	}
	ids.text = string(text)
	return ids, nil
}

// of returns the unique-id of a message, "" for the ordinary one.
func (ids *uniqueIDs) of(u UID) string {
	i, found := slices.BinarySearch(ids.uids, u)
	if !found {
		return ""
	}
	begin := uint32(0)
	if i > 0 {
		begin = ids.ends[i-1]
	}
	return ids.text[begin:ids.ends[i]]
}

// AppendUniqueID appends the unique-id by which POP clients know a message of the
// view (RFC 1939 section 7): the one that came with it, or the ordinary one,
// UIDVALIDITY and UID with a dot between them. It is as of the opening, by
// [Store.OpenQuietly] or [Store.OpenIndividual]; other views know the ordinary ones
// alone.
func (v *View) AppendUniqueID(b []byte, u UID) []byte {
	if v.ids != nil {
		if id := v.ids.of(u); id != "" {
			return append(b, id...)
		}
	}
	return appendOrdinaryID(b, v.state.UIDValidity, u)
}

func appendUniqueID(b []byte, id string) []byte { return appendText(append(b, recordVersion), id) }

func decodeUniqueID(b []byte) (string, error) {
	d := newDecoder(b)
	id := d.text()
	if !d.bad && !ValidUniqueID(id) {
		return "", fmt.Errorf("reading a unique-id: %w", engine.ErrDamaged)
	}
	return id, d.err("unique-id")
}
