package record

import (
	"bytes"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	b := New(3).Uint(0).Uint(1 << 63).Int(-5).Bool(true).Bool(false).Text("").Text("ännchen").Uint(2).Text("a").Text("b").Bytes()
	r := Read(b, 3)
	if n := r.Uint(); n != 0 {
		t.Error(n)
	}
	if n := r.UpTo(1 << 63); n != 1<<63 {
		t.Error(n)
	}
	if n := r.Int(); n != -5 {
		t.Error(n)
	}
	if !r.Bool() || r.Bool() {
		t.Error("choices")
	}
	if a, b := r.Text(), r.Text(); a != "" || b != "ännchen" {
		t.Errorf("%q %q", a, b)
	}
	if n := r.Count(); n != 2 || r.Whole() || !r.More() {
		t.Error(n)
	}
	if a, b := r.Text(), r.Text(); a != "a" || b != "b" || !r.Whole() || r.More() {
		t.Errorf("%q %q", a, b)
	}
	if r.Text(); r.Whole() {
		t.Error("a field behind the last one")
	}
}

// What is damaged yields zeros from there on, and is not whole.
func TestDamage(t *testing.T) {
	t.Parallel()
	fields := func(r Reader) (uint64, string, bool) { n, s := r.Uint(), r.Text(); return n, s, r.Whole() }
	tests := []struct {
		name  string
		value []byte
		n     uint64
		text  string
	}{
		{"nothing", nil, 0, ""},
		{"another version", []byte{2, 5, 1, 'a'}, 0, ""},
		{"no fields", []byte{1}, 0, ""},
		{"a number that does not end", []byte{1, 0x80}, 0, ""},
		{"a number of more than 64 bits", append([]byte{1}, bytes.Repeat([]byte{0xff}, 11)...), 0, ""},
		{"a text that is longer than the value", []byte{1, 5, 2, 'a'}, 5, ""},
		{"a text of 2^63 octets", append([]byte{1, 5}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), 5, ""},
		{"something behind it", []byte{1, 5, 1, 'a', 0}, 5, "a"},
	}
	for _, test := range tests {
		if n, s, whole := fields(Read(test.value, 1)); n != test.n || s != test.text || whole {
			t.Errorf("%s: %d, %q, %v", test.name, n, s, whole)
		}
	}
	for _, read := range []func(*Reader){
		func(r *Reader) { r.Bool() }, func(r *Reader) { r.UpTo(4) }, func(r *Reader) { r.Count() }, func(r *Reader) { r.Fail() },
	} {
		r := Read([]byte{1, 5, 1, 'a'}, 1)
		if read(&r); r.Text() != "" || r.Whole() {
			t.Error("went on after a field that was out of bounds")
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte{1, 5, 1, 'a'})
	f.Add([]byte{1, 0xff, 0xff, 3})
	f.Fuzz(func(t *testing.T, value []byte) {
		r := Read(value, 1)
		octets := 0
		for r.More() {
			octets += len(r.Text())
			octets += r.Count()
			r.Int()
		}
		if octets > 2*len(value) {
			t.Errorf("%d octets of %d", octets, len(value))
		}
	})
}
