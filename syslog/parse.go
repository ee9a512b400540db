package syslog

import (
	"encoding/json"
	"strings"
	"time"
)

// entry is what the reader needs to know of a record.
type entry struct {
	time    time.Time
	level   Level
	tag     string
	session string // "POP-000123"
	name    string // "1134" of QUEUE([1134])
}

// parseRecord reads one line of either form. day is midnight of the day of the
// file it stands in.
func parseRecord(line string, day time.Time) (entry, bool) {
	if strings.HasPrefix(line, "{") {
		return parseJSON(line)
	}
	return parseText(line, day)
}

func parseJSON(line string) (entry, bool) {
	var r struct {
		Time    time.Time
		Level   Level
		Tag     string
		Session string
		Name    string
	}
	if json.Unmarshal([]byte(line), &r) != nil {
		return entry{}, false
	}
	return entry{r.Time, r.Level, r.Tag, r.Session, r.Name}, true
}

// parseText reads "HH:MM:SS.mmm L ORIGIN text".
func parseText(line string, day time.Time) (entry, bool) {
	clock, rest, _ := strings.Cut(line, " ")
	level, rest, ok := strings.Cut(rest, " ")
	if !ok || len(level) != 1 || level[0] < '0' || level[0] > '5' {
		return entry{}, false
	}
	t, err := time.Parse("15:04:05.000", clock)
	if err != nil {
		return entry{}, false
	}
	e := parseOrigin(rest)
	e.level = Level(level[0] - '0')
	e.time = time.Date(day.Year(), day.Month(), day.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), day.Location())
	return e, true
}

// parseOrigin reads TAG, TAG-nnnnnn([ip]:port) or TAG([name]) at the begin of s.
func parseOrigin(s string) entry {
	end := strings.IndexAny(s, " (")
	if end < 0 {
		end = len(s)
	}
	e := entry{tag: s[:end]}
	if tag, number, ok := strings.Cut(e.tag, "-"); ok && number != "" {
		e.tag, e.session = tag, s[:end]
		return e
	}
	if named, ok := strings.CutPrefix(s[end:], "(["); ok {
		e.name, _, _ = strings.Cut(named, "])")
	}
	return e
}
