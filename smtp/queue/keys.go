package queue

import (
	"encoding/binary"
	"errors"
	"time"
)

// Keys in the queue's space. Numbers are big-endian, so that ids and times are
// in order:
//
//	i                      mark of reserved ids
//	n                      how many messages wait; written by whatever makes work for the sender
//	m id                   a message that waits
//	d id destination       its recipients of one destination
//	t due id destination   present while that destination waits for its next attempt
//	p destination 0 id     that message's due time, or empty while it is held
//	x                      present when all that waits has a key p
//	s domain               its MTA-STS policy (smtp/mtasts)
var (
	keyID      = []byte("i")
	keyCount   = []byte("n")
	keyIndexed = []byte("x")
)

const (
	keyMessage     = 'm'
	keyDestination = 'd'
	keyDue         = 't'
	keyLane        = 'p'
	keyPolicy      = 's'
)

// errRecord is for stored records that cannot be read.
var errRecord = errors.New("damaged queue record")

func messageKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyMessage}, id)
}

func destinationKey(id uint64, dest string) []byte {
	b := make([]byte, 0, 9+len(dest))
	b = append(b, keyDestination)
	b = binary.BigEndian.AppendUint64(b, id)
	return append(b, dest...)
}

func dueKey(due time.Time, id uint64, dest string) []byte {
	b := make([]byte, 0, 17+len(dest))
	b = append(b, keyDue)
	b = binary.BigEndian.AppendUint64(b, uint64(max(due.UnixMilli(), 0)))
	b = binary.BigEndian.AppendUint64(b, id)
	return append(b, dest...)
}

func policyKey(domain string) []byte { return append([]byte{keyPolicy}, domain...) }

// idOf takes a message's id out of its key.
func idOf(key []byte) (uint64, error) {
	if len(key) < 9 {
		return 0, errRecord
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

// parseDue takes a due key apart.
func parseDue(key []byte) (due time.Time, id uint64, dest string, err error) {
	if len(key) < 17 || key[0] != keyDue {
		return time.Time{}, 0, "", errRecord
	}
	due = time.UnixMilli(int64(binary.BigEndian.Uint64(key[1:])))
	return due, binary.BigEndian.Uint64(key[9:]), string(key[17:]), nil
}

// after returns the first key that does not begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
