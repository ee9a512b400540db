package pop

import (
	"bytes"
	"errors"
	"io"
)

var errHeaderTooLong = errors.New("the header is too long")

// readHeader reads a header with the empty line after it, at most limit octets,
// and returns it with the octets of the body that were read too. A header that
// is longer gives errHeaderTooLong and what was read of it. A message without an
// empty line is all header.
func readHeader(r io.Reader, limit int) (header, rest []byte, err error) {
	b := make([]byte, 0, 4<<10)
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		from := max(0, len(b)-len("\r\n\r"))
		b = b[:len(b)+n]
		if end := headerEnd(b, from); end >= 0 {
			if end > limit {
				return b[:limit], nil, errHeaderTooLong
			}
			return b[:end:end], b[end:], nil
		}
		switch {
		case len(b) > limit:
			return b[:limit], nil, errHeaderTooLong
		case err == io.EOF:
			return b, nil, nil
		case err != nil:
			return b, nil, err
		}
	}
}

// headerEnd returns the place after the first empty line that ends at or after
// from, -1 when there is none.
func headerEnd(b []byte, from int) int {
	if from == 0 && bytes.HasPrefix(b, []byte("\r\n")) {
		return len("\r\n")
	}
	if from == 0 && bytes.HasPrefix(b, []byte("\n")) {
		return len("\n")
	}
	end := -1
	for _, empty := range []string{"\r\n\r\n", "\n\n", "\n\r\n"} {
		if i := bytes.Index(b[from:], []byte(empty)); i >= 0 && (end < 0 || from+i+len(empty) < end) {
			end = from + i + len(empty)
		}
	}
	return end
}
