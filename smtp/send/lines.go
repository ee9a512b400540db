package send

import (
	"fmt"
	"io"

	"tripost/wire"
)

// lineReader reads a message of size octets, and fails with [ErrLines] where it is
// not made of lines, before the octets that are wrong. A message that is not ended
// is none to the peer.
type lineReader struct {
	body  io.Reader
	size  int64
	lines wire.Lines
}

func (l *lineReader) Read(p []byte) (int, error) {
	n, err := l.body.Read(p)
	l.lines.Note(p[:n])
	if wrong := l.lines.Err(err == io.EOF || l.lines.Size >= l.size); wrong != nil {
		return 0, fmt.Errorf("%w: %w", ErrLines, wrong)
	}
	return n, err
}
