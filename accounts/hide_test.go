package accounts

import (
	"errors"
	"strings"
	"testing"
)

func TestHidden(t *testing.T) {
	t.Parallel()
	h, err := ParseHidden("uidonly, Compress,sort,UIDONLY,THREAD=REFERENCES")
	if err != nil || h != "COMPRESS,SORT,THREAD=REFERENCES,UIDONLY" {
		t.Fatalf("%q, %v", h, err)
	}
	for name, want := range map[string]bool{
		"UIDONLY": true, "COMPRESS=DEFLATE": true, "SORT": true, "SORT=DISPLAY": true, "THREAD=REFERENCES": true,
		"THREAD=ORDEREDSUBJECT": false, "UID": false, "ESORT": false, "IDLE": false, "": false,
	} {
		if h.Hides(name) != want || Hidden("").Hides(name) {
			t.Errorf("hides %q: %t", name, h.Hides(name))
		}
	}
	for _, value := range []string{"", ",", "A,,B", "A B", "A;B", strings.Repeat("x", 41), strings.Repeat("abcdefgh1,", 10) + "ä"} {
		if h, err := ParseHidden(value); !errors.Is(err, ErrBadValue) {
			t.Errorf("%q: %q, %v", value, h, err)
		}
	}
	var many []string
	for c := 'A'; c <= 'Z'; c++ {
		many = append(many, strings.Repeat(string(c), 30))
	}
	if _, err := ParseHidden(strings.Join(many, ",")); !errors.Is(err, ErrBadValue) {
		t.Errorf("a long list: %v", err)
	}
}
