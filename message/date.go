package message

import "time"

// ParseDate reads the date of a Date or Resent-Date field, or any other in its
// form (RFC 5322 sections 3.3 and 4.3), tolerantly: with or without day of week
// and seconds, two-digit years, named zones (those unknown count as UTC), the
// order of ctime, dashes between day, month and year. It reports false when no
// date can be made out. The time is in the zone as written, so that its calendar
// day is the one the sender saw.
func ParseDate(s string) (time.Time, bool) {
	d, ok := parseDate([]byte(s))
	if !ok {
		return time.Time{}, false
	}
	return d.time(), true
}

// date is a date as written.
type date struct {
	year, month, day  int
	hour, minute, sec int
	zone              int // minutes east of UTC
}

func (d *date) time() time.Time {
	zone := time.UTC
	if d.zone != 0 {
		zone = time.FixedZone("", d.zone*60)
	}
	return time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, d.sec, 0, zone)
}

func (d *date) unix() int64 {
	t := time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, d.sec, 0, time.UTC)
	return t.Unix() - int64(d.zone)*60
}

// maxDate is how much of a field is looked at.
const maxDate = 200

func parseDate(s []byte) (date, bool) {
	p := dateParser{s: s[:min(len(s), maxDate)]}
	for p.step() {
	}
	d := &p.d
	if d.day == 0 || d.month == 0 || !p.hasYear || d.day > daysIn(d.month, d.year) {
		return date{}, false
	}
	if d.year > 9999 || d.hour > 23 || d.minute > 59 || d.sec > 60 {
		return date{}, false
	}
	return *d, true
}

func daysIn(month, year int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// dateParser takes a date word by word: numbers are told apart by their length
// and by what was seen before.
type dateParser struct {
	s       []byte
	d       date
	hasYear bool
	hasTime bool
	hasZone bool
}

// step takes the next word; false at the end.
func (p *dateParser) step() bool {
	p.s = skipSpace(p.s)
	if len(p.s) == 0 {
		return false
	}
	switch c := p.s[0]; {
	case isDigit(c):
		p.number()
	case isLetter(c):
		p.name()
	case (c == '+' || c == '-') && p.hasTime && !p.hasZone:
		p.offset()
	default:
		p.s = p.s[1:]
	}
	return true
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// digits takes a number of at most nine digits; more are skipped.
func (p *dateParser) digits() (value, length int) {
	for length < len(p.s) && isDigit(p.s[length]) {
		if length < 9 {
			value = value*10 + int(p.s[length]-'0')
		}
		length++
	}
	p.s = p.s[length:]
	return value, length
}

// number takes a day, a year or a time.
func (p *dateParser) number() {
	value, length := p.digits()
	if !p.hasTime && length <= 2 && p.colon() {
		p.clock(value)
		return
	}
	switch {
	case p.d.day == 0 && length <= 2:
		p.d.day = value
	case !p.hasYear && length == 4 && p.d.day == 0 && p.d.month == 0 && p.dash():
		p.d.year, p.hasYear = value, true // 2003-07-01
		p.d.month, _ = p.digits()
		if p.dash() {
			p.d.day, _ = p.digits()
		}
		if p.d.month > 12 {
			p.d.month = 0
		}
		if len(p.s) > 0 && p.s[0] == 'T' {
			p.s = p.s[1:]
		}
	case !p.hasYear && p.d.month != 0:
		p.d.year, p.hasYear = fullYear(value, length), true
	}
}

func (p *dateParser) dash() bool {
	if len(p.s) > 1 && p.s[0] == '-' && isDigit(p.s[1]) {
		p.s = p.s[1:]
		return true
	}
	return false
}

// fullYear reads years of two and three digits as RFC 5322 section 4.3 does.
func fullYear(value, length int) int {
	switch {
	case length <= 2 && value < 50:
		return 2000 + value
	case length <= 3:
		return 1900 + value
	}
	return value
}

// colon takes what stands between the numbers of a time: a colon, space around
// it allowed, or a dot.
func (p *dateParser) colon() bool {
	s := skipSpace(p.s)
	if len(s) > 0 && s[0] == ':' {
		if s = skipSpace(s[1:]); len(s) > 0 && isDigit(s[0]) {
			p.s = s
			return true
		}
	}
	return p.dot()
}

func (p *dateParser) dot() bool {
	if len(p.s) > 1 && p.s[0] == '.' && isDigit(p.s[1]) {
		p.s = p.s[1:]
		return true
	}
	return false
}

// clock takes the rest of a time after the hour.
func (p *dateParser) clock(hour int) {
	p.hasTime = true
	p.d.hour = hour
	p.d.minute, _ = p.digits()
	if p.colon() {
		p.d.sec, _ = p.digits()
	}
	if p.dot() {
		p.digits() // a fraction
	}
}

// offset takes a zone like +0100 or +01:00.
func (p *dateParser) offset() {
	sign := 1
	if p.s[0] == '-' {
		sign = -1
	}
	p.s = p.s[1:]
	value, length := p.digits()
	hours, minutes := value/100, value%100
	if length <= 2 {
		hours, minutes = value, 0
		if len(p.s) > 1 && p.s[0] == ':' && isDigit(p.s[1]) {
			p.s = p.s[1:]
			minutes, _ = p.digits()
		}
	}
	if length == 0 || hours > 23 || minutes > 59 {
		return
	}
	p.d.zone, p.hasZone = sign*(hours*60+minutes), true
}

// name takes a month, a zone, AM or PM, or a day of the week, which says nothing.
func (p *dateParser) name() {
	n := 0
	for n < len(p.s) && isLetter(p.s[n]) {
		n++
	}
	var lower [3]byte
	for i := range min(n, 3) {
		lower[i] = p.s[i] | 0x20
	}
	word := string(lower[:min(n, 3)])
	p.s = p.s[n:]
	if m := monthNumber(word); m > 0 && p.d.month == 0 {
		p.d.month = m
		return
	}
	if !p.hasTime || p.hasZone {
		return
	}
	switch {
	case word == "pm" && p.d.hour < 12:
		p.d.hour += 12
	case word == "am" && p.d.hour == 12:
		p.d.hour = 0
	case n <= 3:
		if zone, ok := zoneOffset(word); ok {
			p.d.zone = zone // an offset may follow, as in GMT+0100
		}
	}
}

func monthNumber(word string) int {
	const months = "janfebmaraprmayjunjulaugsepoctnovdec"
	if len(word) == 3 {
		for i := 0; i < len(months); i += 3 {
			if months[i:i+3] == word {
				return i/3 + 1
			}
		}
	}
	return 0
}

// zoneOffset knows the named zones of RFC 5322 section 4.3 and a few that are
// common, in minutes. Military zones count as UTC, as the RFC asks.
func zoneOffset(word string) (int, bool) {
	switch word {
	case "ut", "gmt", "utc", "wet", "z":
		return 0, true
	case "est":
		return -5 * 60, true
	case "edt":
		return -4 * 60, true
	case "cst":
		return -6 * 60, true
	case "cdt":
		return -5 * 60, true
	case "mst":
		return -7 * 60, true
	case "mdt":
		return -6 * 60, true
	case "pst":
		return -8 * 60, true
	case "pdt":
		return -7 * 60, true
	case "bst", "cet", "met":
		return 60, true
	case "eet":
		return 2 * 60, true
	case "jst":
		return 9 * 60, true
	}
	return 0, false
}
