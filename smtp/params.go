package smtp

import (
	"errors"
	"strings"
)

// param is a parameter of MAIL or RCPT: RFC 5321 section 4.1.2, esmtp-param.
type param struct {
	key   string // in upper case
	value string
}

var (
	errParam      = errors.New("malformed parameter")
	errParamTwice = errors.New("parameter given twice")
	errNoBlank    = errors.New("a blank must follow the path")
	errManyParams = errors.New("too many parameters")
)

const maxParams = 20

// parseParams reads what follows a path.
func parseParams(s string) ([]param, error) {
	if s == "" {
		return nil, nil
	}
	if s[0] != ' ' && s[0] != '\t' {
		return nil, errNoBlank
	}
	words := strings.Fields(s)
	if len(words) > maxParams {
		return nil, errManyParams
	}
	var all []param
	for _, word := range words {
		key, value, has := strings.Cut(word, "=")
		if !validKeyword(key) || has && !validValue(value) {
			return nil, errParam
		}
		key = strings.ToUpper(key)
		for _, p := range all {
			if p.key == key {
				return nil, errParamTwice
			}
		}
		all = append(all, param{key, value})
	}
	return all, nil
}

func validKeyword(s string) bool {
	for i := range len(s) {
		if c := s[i]; !alnum(c) && (c != '-' || i == 0) {
			return false
		}
	}
	return s != ""
}

func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < '!' || c == 0x7f || c == '=' { // RFC 6531 section 3.3 has UTF-8
			return false
		}
	}
	return s != ""
}

func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
