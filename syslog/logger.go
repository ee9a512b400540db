package syslog

import (
	"fmt"
	"net/netip"
	"strconv"
	"sync/atomic"
)

// source is what all loggers of one tag share.
type source struct {
	tag    string
	level  atomic.Int32  // the most detailed level written
	serial atomic.Uint64 // of the last session
}

// Logger writes records under one tag and, if it was made by [Logger.Session]
// or [Logger.Named], for one session or thing. All methods may be called on a
// nil Logger and from any goroutine.
type Logger struct {
	log    *Log
	source *source
	prefix string // what stands before the text: "POP-000123([192.0.2.7]:51022) "
	id     string // of the session
	name   string
	remote netip.AddrPort
}

// Session returns a logger for a new session, numbered with the next serial of
// the tag. remote is left out of the records when it is the zero value, as for
// a Unix socket.
func (g *Logger) Session(remote netip.AddrPort) *Logger {
	if g == nil {
		return nil
	}
	id := g.source.tag + "-" + serial(g.source.serial.Add(1))
	prefix := id
	if remote.IsValid() {
		remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
		prefix += "([" + remote.Addr().String() + "]:" + strconv.Itoa(int(remote.Port())) + ")"
	}
	prefix += " "
	return &Logger{log: g.log, source: g.source, prefix: prefix, id: prefix[:len(id)], remote: remote}
}

// Named returns a logger for one thing under the tag, such as a queue id:
// QUEUE([name]).
func (g *Logger) Named(name string) *Logger {
	if g == nil {
		return nil
	}
	prefix := appendEscaped([]byte(g.source.tag+"(["), name, maxName)
	return &Logger{log: g.log, source: g.source, prefix: string(append(prefix, "]) "...)), name: name}
}

// serial writes a number with at least six digits.
func serial(n uint64) string {
	s := strconv.FormatUint(n, 10)
	if len(s) < 6 {
		s = "000000"[len(s):] + s
	}
	return s
}

// ID returns the name of the session, such as "POP-000123"; empty when the
// logger was not made by Session.
func (g *Logger) ID() string {
	if g == nil {
		return ""
	}
	return g.id
}

// On reports whether records of level l are written. A caller on a hot path
// asks before it builds a text.
func (g *Logger) On(l Level) bool {
	return g != nil && int32(l) <= g.source.level.Load()
}

// Log writes one record. text is the whole of what the text form shows; fields
// go into the JSON form beside it. Both are cut at [maxText] octets.
func (g *Logger) Log(l Level, text string, fields ...Field) {
	if g.On(l) {
		g.log.record(g, l, text, fields)
	}
}

// Logf writes one record with a formatted text. The arguments are boxed before
// the level is looked at: hot paths ask On first.
func (g *Logger) Logf(l Level, format string, args ...any) {
	if g.On(l) {
		g.log.record(g, l, fmt.Sprintf(format, args...), nil)
	}
}
