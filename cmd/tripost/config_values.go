package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"tripost/accounts"
)

// badValue is a value that its type could not read. For a
// number the decoder does not say where it stands.
type badValue struct{ value, want string }

func (e *badValue) Error() string { return fmt.Sprintf("%q is not %s", e.value, e.want) }

const (
	aDuration = "a duration such as 90s, 15m, 12h or 14d"
	aSize     = "a size such as 64K, 50M or 1G"
)

// Duration is a time.Duration written as 90s, 15m, 12h or 14d. It is a struct so
// that a bare number in the file is an error, not nanoseconds.
type Duration struct{ time.Duration }

func days(n int) Duration { return Duration{time.Duration(n) * 24 * time.Hour} }

// UnmarshalText reads a duration; a bare 0 is allowed.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if number, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n > 36500 {
			return &badValue{s, aDuration}
		}
		*d = days(n)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return &badValue{s, aDuration}
	}
	d.Duration = v
	return nil
}

// MarshalText writes the duration in its largest whole unit.
func (d Duration) MarshalText() ([]byte, error) {
	v := d.Duration
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if v != 0 && v%u.unit == 0 {
			return []byte(strconv.FormatInt(int64(v/u.unit), 10) + u.name), nil
		}
	}
	return []byte(v.String()), nil
}

// Size is a number of octets written as 64K, 50M or 1G, or as a number in a string.
type Size int64

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	v, err := accounts.ParseSize(string(text))
	if err != nil {
		return &badValue{string(text), aSize}
	}
	*s = Size(v)
	return nil
}

// MarshalText writes a size in its largest whole unit.
func (s Size) MarshalText() ([]byte, error) { return []byte(accounts.FormatSize(int64(s))), nil }
