package store

import "time"

// Zone is the zone in which an internal date was given, in quarters of an hour east
// of UTC: all zones in use are such. 0 is UTC, and stands for what is none.
type Zone int8

const zoneUnit = 15 * 60 // seconds

// zoneOf returns the zone of a time, UTC where it is one that nobody uses.
func zoneOf(t time.Time) Zone {
	_, offset := t.Zone()
	z := Zone(offset / zoneUnit)
	if int(z)*zoneUnit != offset {
		return 0
	}
	return z
}

// Seconds returns how far the zone is ahead of UTC.
func (z Zone) Seconds() int64 { return int64(z) * zoneUnit }

// Location returns the zone for times to be shown in.
func (z Zone) Location() *time.Location {
	if z == 0 {
		return time.UTC
	}
	return time.FixedZone("", int(z.Seconds()))
}
