package message

import (
	"bytes"

	"golang.org/x/text/transform"
)

// DecodeExtended returns in UTF-8 what an extended parameter value says (RFC 2231
// section 4), such as utf-8'de'%C3%84pfel, in the form that [Summary.BodyStructure] has
// for parameters whose names end in "*". What is not one is not ok.
func DecodeExtended(value []byte) (text []byte, ok bool) {
	i := bytes.IndexByte(value, '\'')
	if i < 0 || bytes.IndexByte(value[i+1:], '\'') < 0 {
		return nil, false
	}
	text, _, err := transform.Bytes(charsetDecoder(string(value[:i])), decodeExtended(value))
	return text, err == nil
}
