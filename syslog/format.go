package syslog

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rs/zerolog"
)

const (
	maxText = 8 << 10 // octets of one text or field value after escaping
	maxName = 256     // octets of the name of a thing
)

// Field is what the JSON form carries beside the text.
type Field struct {
	Key   string
	Value any // string, int, int64, uint64, bool, time.Duration (written in seconds), []string
}

// scratch is where one record is put together before it enters the queue.
type scratch struct{ b []byte }

func (s *scratch) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

// appendClock appends HH:MM:SS.mmm and a space.
func appendClock(b []byte, t time.Time) []byte {
	h, m, s := t.Clock()
	ms := t.Nanosecond() / int(time.Millisecond)
	return append(b,
		byte('0'+h/10), byte('0'+h%10), ':',
		byte('0'+m/10), byte('0'+m%10), ':',
		byte('0'+s/10), byte('0'+s%10), '.',
		byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), ' ')
}

const jsonTime = "2006-01-02T15:04:05.000Z07:00"

// appendStamp appends the part of a record that is written last, when its place
// among the others is known: the time, up to what text or object left open.
func appendStamp(b []byte, t time.Time, json bool) []byte {
	if !json {
		return appendClock(b, t)
	}
	b = append(b, `{"time":"`...)
	b = t.AppendFormat(b, jsonTime)
	return append(b, `",`...)
}

// text puts the record together in text form, without its time.
func (s *scratch) text(g *Logger, l Level, text string) {
	s.b = strconv.AppendInt(s.b[:0], int64(l), 10)
	s.b = append(s.b, ' ')
	s.b = append(s.b, g.prefix...)
	s.b = appendEscaped(s.b, text, maxText)
	s.b = append(s.b, '\n')
}

// json puts the record together as a JSON object, without its time and the
// brace before it.
func (s *scratch) json(g *Logger, l Level, text string, fields []Field) {
	s.b = s.b[:0]
	out := zerolog.New(s)
	e := out.Log().Int("level", int(l)).Str("tag", g.source.tag)
	if g.id != "" {
		e.Str("session", g.id)
	}
	if g.remote.IsValid() {
		e.Str("remote", g.remote.String())
	}
	if g.name != "" {
		e.Str("name", escape(g.name, maxName))
	}
	e.Str("text", escape(text, maxText))
	for _, f := range fields {
		addField(e, f)
	}
	e.Send()
	s.b = s.b[1:]
}

func addField(e *zerolog.Event, f Field) {
	switch v := f.Value.(type) {
	case string:
		e.Str(f.Key, escape(v, maxText))
	case []string:
		a := zerolog.Arr()
		for _, s := range v {
			a.Str(escape(s, maxText))
		}
		e.Array(f.Key, a)
	case int:
		e.Int(f.Key, v)
	case int64:
		e.Int64(f.Key, v)
	case uint64:
		e.Uint64(f.Key, v)
	case bool:
		e.Bool(f.Key, v)
	case time.Duration:
		e.Float64(f.Key, v.Seconds())
	default:
		// Not v itself: to format it would make the values of all fields escape
		// to the heap, even for records of a level that is off.
		e.Str(f.Key, fmt.Sprintf("(a %v)", reflect.TypeOf(v)))
	}
}

// clean reports whether s can stand in a record as it is.
func clean(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// escape returns s escaped and cut as by appendEscaped.
func escape(s string, most int) string {
	if len(s) <= most && clean(s) {
		return s
	}
	return string(appendEscaped(nil, s, most))
}

// appendEscaped appends s so that it cannot end the line, move the cursor of a
// terminal or turn the direction of writing: what does not print is written as
// \r, \n, \t, \xNN or \u{NNNN}. At most most octets are appended, then a note
// of how many of s were left out.
func appendEscaped(b []byte, s string, most int) []byte {
	if len(s) <= most && clean(s) {
		return append(b, s...)
	}
	limit := len(b) + most
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		was := len(b)
		b = appendRune(b, r, s[i:i+size])
		if len(b) > limit {
			return fmt.Appendf(b[:was], "... (%d octets more)", len(s)-i)
		}
		i += size
	}
	return b
}

const hex = "0123456789abcdef"

// appendRune appends one rune, which was read from raw.
func appendRune(b []byte, r rune, raw string) []byte {
	switch {
	case r == '\r':
		return append(b, `\r`...)
	case r == '\n':
		return append(b, `\n`...)
	case r == '\t':
		return append(b, `\t`...)
	case len(raw) == 1 && (r < ' ' || r >= 0x7f): // 0x7f, or an octet that is not UTF-8
		return append(b, '\\', 'x', hex[raw[0]>>4], hex[raw[0]&15])
	case !unicode.IsPrint(r):
		b = append(b, `\u{`...)
		b = strconv.AppendInt(b, int64(r), 16)
		return append(b, '}')
	}
	return append(b, raw...)
}

var _ io.Writer = (*scratch)(nil)
