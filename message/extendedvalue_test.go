package message

import "testing"

func TestDecodeExtended(t *testing.T) {
	for value, want := range map[string]string{
		"utf-8'de'%C3%84pfel":  "Äpfel",
		"''one two":            "one two",
		"iso-8859-1''%FC'%25":  "ü'%",
		"us-ascii'en'%2":       "%2",
		"utf-8''%FF":           "\uFFFD",
		"x-nobody-knows''a%E4": "a\uFFFD",
	} {
		if got, ok := DecodeExtended([]byte(value)); !ok || string(got) != want {
			t.Errorf("%q is %q, %v, want %q", value, got, ok, want)
		}
	}
	for _, value := range []string{"", "plain", "one'apostrophe"} {
		if got, ok := DecodeExtended([]byte(value)); ok {
			t.Errorf("%q is %q", value, got)
		}
	}
}
