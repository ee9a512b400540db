package message

import (
	"io"

	"golang.org/x/text/transform"
)

// DecodeText returns a reader of a part's text as UTF-8: transfer decoding as in
// [DecodeTransfer], then the charset. An unknown transfer encoding is passed as
// it stands; of an unknown charset the ASCII octets are kept and each other is
// replaced by U+FFFD. UTF-7 counts as unknown. Errors are those of r alone.
func DecodeText(r io.Reader, encoding, charset string) io.Reader {
	r, _ = DecodeTransfer(r, encoding)
	return transform.NewReader(r, charsetDecoder(charset))
}
