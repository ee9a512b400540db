package wire

import "bytes"

// Lines watches octets that are to be lines ended by CRLF, as mail data are (RFC
// 5321 section 2.3.8), in pieces that may be cut off anywhere. The zero value is
// at the begin of a line.
type Lines struct {
	Size  int64 // octets so far
	last  byte  // octet; a CR may be followed by its LF in the next piece
	wrong error // the first fault
}

var (
	lineEnd = []byte("\r\n")
	oneCR   = []byte("\r")
	oneLF   = []byte("\n")
)

// Note looks at the next piece.
func (l *Lines) Note(p []byte) {
	if len(p) == 0 {
		return
	}
	l.Size += int64(len(p))
	pairs := bytes.Count(p, lineEnd)
	crs, lfs := bytes.Count(p, oneCR)-pairs, bytes.Count(p, oneLF)-pairs
	if l.last == '\r' {
		if p[0] != '\n' {
			l.Fault(ErrBareCR)
		} else {
			lfs--
		}
	}
	if l.last = p[len(p)-1]; l.last == '\r' {
		crs--
	}
	switch {
	case crs > 0:
		l.Fault(ErrBareCR)
	case lfs > 0:
		l.Fault(ErrBareLF)
	case bytes.IndexByte(p, 0) >= 0:
		l.Fault(ErrNUL)
	}
}

// Fault notes what else is wrong, unless something is already.
func (l *Lines) Fault(err error) {
	if l.wrong == nil {
		l.wrong = err
	}
}

// Err returns what is wrong so far, or with end at the end of all: ErrBareCR,
// ErrBareLF, ErrNUL, or what Fault was told.
func (l *Lines) Err(end bool) error {
	if end && l.last == '\r' {
		l.Fault(ErrBareCR)
	}
	return l.wrong
}

// Open tells that the last line has no end.
func (l *Lines) Open() bool { return l.Size > 0 && l.last != '\n' }
