package message

import (
	"fmt"
	"strings"
	"testing"
)

// TestMayHaveField: no field that is there is missed, few that are not there are
// believed to be.
func TestMayHaveField(t *testing.T) {
	t.Parallel()
	for _, name := range goldenMails {
		text := mail(t, name)
		r := Record(scan(Limits{}, text).Append(nil))
		if !r.Valid() {
			t.Fatalf("%s: not valid", name)
		}
		for _, f := range Fields(text) {
			for _, name := range []string{string(f.Name), strings.ToLower(string(f.Name)), strings.ToUpper(string(f.Name))} {
				if name != "" && !r.MayHaveField(name) {
					t.Errorf("%s has no %q", name, f.Name)
				}
			}
		}
	}
	var header strings.Builder
	for i := range 30 {
		fmt.Fprintf(&header, "X-There-%d: x\r\n folded-%d: x\r\n", i, i)
	}
	r := Record(scan(Limits{}, []byte(header.String()+"\r\nX-Body: x\r\n")).Append(nil))
	wrong := 0
	for i := range 1000 {
		if r.MayHaveField(fmt.Sprintf("X-Missing-%d", i)) {
			wrong++
		}
	}
	if wrong > 250 {
		t.Errorf("%d of 1000 fields may be there that are not", wrong)
	}
	if r := Record(scan(Limits{}, []byte("X: x\r\n\r\n")).Append(nil)); r.MayHaveField("Subject") || r.MayHaveField("") || !r.MayHaveField("x") {
		t.Error("a header of one field has others")
	}
}

// TestMayHaveFieldUnknown: where it is not known which fields there are, any may be.
func TestMayHaveFieldUnknown(t *testing.T) {
	t.Parallel()
	long := "A: " + strings.Repeat("x", 5000) + "\r\nB: x\r\n\r\n"
	if r := Record(scan(Limits{Header: 4096}, []byte(long)).Append(nil)); !r.MayHaveField("B") || !r.Valid() {
		t.Error("a field behind what was kept of the header is denied")
	}
	early := Record(scan(Limits{}, []byte("A: x\r\n\r\n")).Append(nil))
	early[1] &^= flagFieldNames // as records were before they had the names
	early = early[:len(early)-fieldNamesSize]
	if !early.Valid() || !early.MayHaveField("B") || early.HeaderSize() != 8 {
		t.Error("a record without names is not read as one")
	}
	if Record(nil).MayHaveField("B") != true {
		t.Error("a record that cannot be read denies a field")
	}
}
