package accounts

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseSize reads a size in octets: 64K, 50M, 1G (powers of 1,024) or a number.
func ParseSize(s string) (int64, error) {
	number, shift := s, 0
	if n := len(s); n > 0 {
		switch s[n-1] {
		case 'K', 'k':
			shift = 10
		case 'M', 'm':
			shift = 20
		case 'G', 'g':
			shift = 30
		}
		if shift > 0 {
			number = s[:n-1]
		}
	}
	v, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || v < 0 || v > 1<<62>>shift {
		return 0, fmt.Errorf("%q: %w: use a size such as 64K, 50M or 1G", clip(s), ErrBadValue)
	}
	return v << shift, nil
}

// FormatSize writes a size as [ParseSize] reads it, in the largest unit that keeps it whole.
func FormatSize(n int64) string {
	for _, u := range []struct {
		shift int
		name  string
	}{{30, "G"}, {20, "M"}, {10, "K"}} {
		if n != 0 && n&(1<<u.shift-1) == 0 {
			return strconv.FormatInt(n>>u.shift, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
