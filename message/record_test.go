package message

import (
	"slices"
	"testing"
)

// readAll calls every method of a record.
func readAll(r Record) int {
	n := int(r.Size()) + int(r.HeaderSize()) + int(r.Lines()) + int(r.BodyLines()) + int(r.Date()) + r.Zone() + len(r.Digest())
	for _, b := range []bool{r.Dots(), r.EightBit(), r.NUL(), r.BareLF(), r.NoFinalCRLF(), r.Valid()} {
		if b {
			n++
		}
	}
	for _, b := range [][]byte{
		r.Envelope(), r.BodyStructure(), r.Body(), r.Subject(), r.From(), r.To(), r.Cc(), r.Bcc(), r.FromMailbox(),
		r.ToMailbox(), r.CcMailbox(), r.FromDisplay(), r.ToDisplay(), r.MessageID(), r.InReplyTo(),
	} {
		n += len(b)
	}
	for id := range r.References() {
		n += len(id)
	}
	for _, p := range r.Parts() {
		r.Part(p.Path, p.Message)
	}
	r.Part([]uint16{1, 2}, false)
	return n
}

// TestDamagedRecord reads records that are cut short or have an octet changed.
func TestDamagedRecord(t *testing.T) {
	t.Parallel()
	whole := Record(scan(Limits{}, mail(t, "python-email/msg_05.txt")).Append(nil))
	for n := range whole {
		if r := whole[:n:n]; r.Valid() {
			t.Errorf("valid when cut to %d octets", n)
		} else {
			readAll(r)
		}
	}
	for i := range whole {
		for _, c := range []byte{0, 1, 0x7f, 0x80, 0xff} {
			r := slices.Clone(whole)
			r[i] = c
			readAll(r)
		}
	}
	later := slices.Clone(whole)
	later[0] = recordVersion + 1
	if later.Valid() || later.Size() != 0 || later.Envelope() != nil || later.Parts() != nil {
		t.Error("a record of a later version is read")
	}
}

// TestWholeParts compares the look at the parts of a record with reading them, of such
// as are whole, cut short, or have an octet changed.
func TestWholeParts(t *testing.T) {
	t.Parallel()
	check := func(b []byte) {
		t.Helper()
		d := partDecoder{rest: b, ok: true}
		for n := d.uvarint(); n > 0 && d.ok; n-- {
			d.next()
		}
		if want := d.ok && len(d.rest) == 0; wholeParts(b) != want {
			t.Errorf("%x is taken for whole: %v", b, !want)
		}
	}
	for _, name := range goldenMails[:8] {
		whole := appendParts(nil, scan(Limits{}, mail(t, name)).Parts)
		check(whole)
		check(append(slices.Clone(whole), 0))
		for i := range whole {
			check(whole[:i:i])
			for _, c := range []byte{0, 1, 2, 0x7f, 0x80, 0xff} {
				b := slices.Clone(whole)
				b[i] = c
				check(b)
			}
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, name := range goldenMails[:8] {
		f.Add(scan(Limits{}, mail(f, name)).Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) { readAll(b) })
}

// TestRecordAppends: the encoding follows what the slice held.
func TestRecordAppends(t *testing.T) {
	t.Parallel()
	s := scan(Limits{}, mail(t, "python-email/msg_01.txt"))
	b := s.Append([]byte("before"))
	if string(b[:6]) != "before" || !Record(b[6:]).Valid() {
		t.Error("Append does not append")
	}
}
