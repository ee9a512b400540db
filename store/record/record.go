// Package record reads and writes the values that the rooms keep in the store:
// an octet for the version, then fields one after the other. Numbers are
// varints, texts have their length before them.
package record

import "encoding/binary"

// Reader takes a value apart. After the first field that is not there all
// others are zero, so that a caller asks once, at the end, whether it was whole.
// What a text or a count says is never more than the value has octets.
type Reader struct {
	rest []byte
	bad  bool
}

// Read begins to read a value, whose version must be this one.
func Read(value []byte, version byte) Reader {
	if len(value) == 0 || value[0] != version {
		return Reader{bad: true}
	}
	return Reader{rest: value[1:]}
}

// Part begins to read a part of a value: a field that holds fields.
func Part(b string) Reader { return Reader{rest: []byte(b)} }

// Fail makes the value one that could not be read.
func (r *Reader) Fail() { r.rest, r.bad = nil, true }

// More reports whether there is another field.
func (r *Reader) More() bool { return len(r.rest) > 0 }

// Failed reports whether a field was not there.
func (r *Reader) Failed() bool { return r.bad }

// Whole reports whether all fields were there, and none is left.
func (r *Reader) Whole() bool { return !r.bad && len(r.rest) == 0 }

// Uint reads a number.
func (r *Reader) Uint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.Fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// Int reads a number that may be negative.
func (r *Reader) Int() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.Fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// UpTo reads a number that is at most so large.
func (r *Reader) UpTo(most uint64) uint64 {
	n := r.Uint()
	if n > most {
		r.Fail()
		return 0
	}
	return n
}

// Bool reads a number that is 0 or 1.
func (r *Reader) Bool() bool { return r.UpTo(1) == 1 }

// Text reads a text.
func (r *Reader) Text() string {
	n := r.Count()
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

// Count reads how many items follow, each of at least one octet.
func (r *Reader) Count() int {
	n := r.Uint()
	if n > uint64(len(r.rest)) {
		r.Fail()
		return 0
	}
	return int(n)
}

// Writer builds a value. Each method returns the writer for the next field.
type Writer struct{ b []byte }

// New begins a value.
func New(version byte) *Writer { return &Writer{append(make([]byte, 0, 256), version)} }

// Bytes returns the value.
func (w *Writer) Bytes() []byte { return w.b }

// Uint writes a number.
func (w *Writer) Uint(n uint64) *Writer {
	w.b = binary.AppendUvarint(w.b, n)
	return w
}

// Int writes a number that may be negative.
func (w *Writer) Int(n int64) *Writer {
	w.b = binary.AppendVarint(w.b, n)
	return w
}

// Bool writes a number that is 0 or 1.
func (w *Writer) Bool(b bool) *Writer {
	if b {
		return w.Uint(1)
	}
	return w.Uint(0)
}

// Text writes a text.
func (w *Writer) Text(s string) *Writer {
	w.Uint(uint64(len(s)))
	w.b = append(w.b, s...)
	return w
}
