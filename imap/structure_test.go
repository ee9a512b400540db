package imap

import (
	"bytes"
	"testing"

	"tripost/message"
)

// TestStructureOfCorpus reads the structure of every test mail to its end.
func TestStructureOfCorpus(t *testing.T) {
	t.Parallel()
	names, mails := corpus(t)
	for i, mail := range mails {
		scanner := message.NewScanner(message.Limits{})
		scanner.Write([]byte(mail))
		s := scanner.Finish()
		for _, stored := range [][]byte{s.BodyStructure, s.Body} {
			d := structureDecoder{in: stored}
			if !d.part() || d.i != len(stored) {
				t.Errorf("%s: read to %d of %s", names[i], d.i, stored)
			}
		}
	}
}

// TestStructureNotOurs leaves alone what is no structure, and what only looks like an
// extended parameter.
func TestStructureNotOurs(t *testing.T) {
	s := &session{features: featureRev2}
	for _, stored := range []string{
		`("a" "b" ("name*" "utf-8''%C3%84"`, `("a" "b" ("name*" "utf-8''%C3%84") NIL NIL "7bit" 1 1))`, `"name*" "utf-8''%C3%84"`, `("name*" `,
		`("text" "plain" ("charset" "utf-8") "x*" "utf-8''%C3%84" "7bit" 1 1 NIL NIL ("en*" "utf-8''%C3%84") NIL)`,
		`("message" "rfc822" NIL NIL NIL "7bit" 9 (NIL NIL (("name*" "utf-8''%41" "a" "b")) NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" NIL NIL NIL "7bit" 1 1) 3)`,
	} {
		if got := s.appendStructure(nil, []byte(stored)); string(got) != stored {
			t.Errorf("%s\nbecame %s", stored, got)
		}
	}
}

// FuzzStructure reads anything as a structure: what is written is what was read but for
// values of parameters.
func FuzzStructure(f *testing.F) {
	f.Add([]byte(`("text" "plain" ("name*" "utf-8''%C3%84" "x" "y") NIL NIL "7bit" 1 1 NIL ("attachment" ("filename*" "''a")) NIL NIL)`))
	f.Add([]byte(`((("a" "b" NIL NIL NIL "7bit" 1) "c" ("d*" {4}` + "\r\n" + `''e") NIL NIL NIL) "f")`))
	f.Add([]byte(`("message" "rfc822" NIL NIL NIL "7bit" 9 (NIL "*" () ((("a" NIL "b" "c")))) ("a" "b" ("c*" "''d") NIL NIL "7bit" 1) 3 NIL NIL NIL NIL)`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		if len(stored) > 4<<10 {
			return
		}
		s := &session{features: featureRev2}
		got := s.appendStructure([]byte("x "), stored)
		if !bytes.HasPrefix(got, []byte("x ")) {
			t.Fatalf("%q", got)
		}
		if !bytes.Contains(stored, []byte("''")) && !bytes.Contains(stored, []byte("'")) && !bytes.Equal(got[2:], stored) {
			t.Fatalf("%q became %q", stored, got)
		}
	})
}
