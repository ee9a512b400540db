package syslog

import (
	"fmt"
	"strconv"
	"strings"
)

// Level tells how serious a record is: the lower, the more so. A log set to a
// level writes the records of that level and of all below it.
type Level int8

// The levels, as they are numbered in the configuration and in the records.
const (
	Crash    Level = iota // the process or the store is in danger
	Failure               // something was not done: a delivery, a sign-in
	Major                 // what an administrator asks for: sign-ins, messages accepted and delivered
	Problem               // something is odd, and was coped with
	Protocol              // commands and responses, secrets replaced
	Raw                   // octets as they pass, secrets replaced
)

// off is below every level: nothing is written.
const off Level = -1

var levelNames = [...]string{"crash", "failure", "major", "problem", "protocol", "raw"}

// String returns the name of the level in lower case.
func (l Level) String() string {
	if l < Crash || l > Raw {
		return "level(" + strconv.Itoa(int(l)) + ")"
	}
	return levelNames[l]
}

// ParseLevel reads a level written as its number or its name in any case.
func ParseLevel(s string) (Level, error) {
	for i, name := range levelNames {
		if strings.EqualFold(s, name) || s == strconv.Itoa(i) {
			return Level(i), nil
		}
	}
	return 0, fmt.Errorf("log level %q: want 0 to %d or one of %s", s, Raw, strings.Join(levelNames[:], ", "))
}
