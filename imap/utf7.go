package imap

import (
	"encoding/base64"
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// Mailbox names travel in the modified UTF-7 of RFC 3501 section 5.1.3: printable
// US-ASCII as it is, "&" as "&-", all else in runs of UTF-16 in a base64 with ","
// for "/" and no padding, between "&" and "-".

var utf7Base64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").
	WithPadding(base64.NoPadding).Strict()

var errUTF7 = errors.New("not modified UTF-7")

// appendUTF7 appends a UTF-8 name in modified UTF-7.
func appendUTF7(b []byte, name string) []byte {
	for i := 0; i < len(name); {
		c := name[i]
		switch {
		case c == '&':
			b = append(b, "&-"...)
			i++
		case 0x20 <= c && c < 0x7f:
			b = append(b, c)
			i++
		default:
			run := i
			for i < len(name) && (name[i] < 0x20 || name[i] >= 0x7f) {
				i++
			}
			b = appendUTF7Run(b, name[run:i])
		}
	}
	return b
}

func appendUTF7Run(b []byte, run string) []byte {
	var units []byte
	for _, r := range run {
		for _, u := range utf16.AppendRune(nil, r) {
			units = append(units, byte(u>>8), byte(u))
		}
	}
	b = append(b, '&')
	b = utf7Base64.AppendEncode(b, units)
	return append(b, '-')
}

// decodeUTF7 turns a name in modified UTF-7 into UTF-8. Every name has one form
// only: what could have been written in another way is refused, so that two names
// on the wire are never one mailbox.
func decodeUTF7(s []byte) (string, error) {
	out := make([]byte, 0, len(s))
	encoded := false // the last thing was an encoded run: another may not follow it
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 0x20 || c >= 0x7f {
			return "", errUTF7
		}
		if c != '&' {
			out = append(out, c)
			encoded = false
			continue
		}
		end := i + 1
		for end < len(s) && s[end] != '-' {
			end++
		}
		if end == len(s) {
			return "", errUTF7
		}
		run := s[i+1 : end]
		i = end
		if len(run) == 0 {
			out = append(out, '&')
			encoded = false
			continue
		}
		var err error
		if out, err = decodeUTF7Run(out, run); err != nil || encoded {
			return "", errUTF7
		}
		encoded = true
	}
	return string(out), nil
}

func decodeUTF7Run(out, run []byte) ([]byte, error) {
	raw, err := utf7Base64.AppendDecode(nil, run)
	if err != nil || len(raw)%2 != 0 {
		return nil, errUTF7
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	for i := 0; i < len(units); i++ {
		r := rune(units[i])
		if utf16.IsSurrogate(r) {
			if i+1 == len(units) {
				return nil, errUTF7
			}
			i++
			if r = utf16.DecodeRune(r, rune(units[i])); r == utf8.RuneError {
				return nil, errUTF7
			}
		}
		if 0x20 <= r && r < 0x7f {
			return nil, errUTF7
		}
		out = utf8.AppendRune(out, r)
	}
	return out, nil
}
