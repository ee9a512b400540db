package message

import (
	"bytes"
	"encoding/binary"
	"iter"
)

// Record is an encoded [Summary]. Its methods look at the encoding and do not
// allocate, [Record.Part] and [Record.Parts] excepted. The slices they return
// are pieces of the Record: they live as long as its memory does, and must not
// be written to.
//
// A Record that is damaged or was written by a later version gives zero values;
// [Record.Valid] tells.
//
// The encoding is, in this order: a version octet; an octet of flags; Size,
// HeaderSize, Lines and BodyLines as unsigned, Date and Zone as signed varints
// (encoding/binary); the lengths of the texts, in the order of the constants
// below, as unsigned varints; the 32 octets of the digest; the texts; where a flag
// says so, the 16 octets of [Summary.FieldNames].
type Record []byte

// recordVersion is the version of the encoding written.
const recordVersion = 1

// Bits of the octet of flags.
const (
	flagDots = 1 << iota
	flagEightBit
	flagNUL
	flagBareLF
	flagNoFinalCRLF
	flagHeaderEightBit
	flagInternational
	flagFieldNames // they stand at the end; not in records of earlier versions
)

// Numbers of a record, in their order. The last two are signed.
const (
	numberSize = iota
	numberHeaderSize
	numberLines
	numberBodyLines
	numberDate
	numberZone
	numbers
)

// Texts of a record, in their order.
const (
	textEnvelope = iota
	textBodyStructure
	textBody
	textParts
	textSubject
	textFrom
	textTo
	textCc
	textBcc
	textFromMailbox
	textToMailbox
	textCcMailbox
	textFromDisplay
	textToDisplay
	textMessageID
	textInReplyTo
	textReferences // with a space after each
	texts
)

const digestSize = 32

// Append appends the encoding of the summary, for [Record] to read.
func (s *Summary) Append(b []byte) []byte {
	parts := appendParts(nil, s.Parts)
	references := 0
	for _, id := range s.References {
		references += len(id) + 1
	}
	b = append(b, recordVersion, s.flags())
	for _, n := range [...]int64{s.Size, s.HeaderSize, s.Lines, s.BodyLines} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = binary.AppendVarint(b, s.Date)
	b = binary.AppendVarint(b, int64(s.Zone))
	values := [...]string{
		s.Subject, s.From, s.To, s.Cc, s.Bcc, s.FromMailbox, s.ToMailbox, s.CcMailbox,
		s.FromDisplay, s.ToDisplay, s.MessageID, s.InReplyTo,
	}
	for _, p := range [...][]byte{s.Envelope, s.BodyStructure, s.Body, parts} {
		b = binary.AppendUvarint(b, uint64(len(p)))
	}
	for _, v := range values {
		b = binary.AppendUvarint(b, uint64(len(v)))
	}
	b = binary.AppendUvarint(b, uint64(references))
	b = append(b, s.Digest[:]...)
	for _, p := range [...][]byte{s.Envelope, s.BodyStructure, s.Body, parts} {
		b = append(b, p...)
	}
	for _, v := range values {
		b = append(b, v...)
	}
	for _, id := range s.References {
		b = append(b, id...)
		b = append(b, ' ')
	}
	return append(b, s.FieldNames[:]...)
}

func (s *Summary) flags() byte {
	return flagFieldNames | bit(s.Dots, flagDots) | bit(s.EightBit, flagEightBit) | bit(s.NUL, flagNUL) |
		bit(s.BareLF, flagBareLF) | bit(s.NoFinalCRLF, flagNoFinalCRLF) |
		bit(s.HeaderEightBit, flagHeaderEightBit) | bit(s.International, flagInternational)
}

func bit(set bool, b byte) byte {
	if set {
		return b
	}
	return 0
}

// Valid reports whether the record is whole and of a version known here.
func (r Record) Valid() bool { return r.ValidTexts() && wholeParts(r.text(textParts)) }

// ValidTexts is Valid without a look at the parts, for those who read many records
// and not their parts: [Record.Part] and [Record.Parts] may still miss some.
func (r Record) ValidTexts() bool {
	at, lengths, ok := r.layout()
	for _, n := range lengths {
		at += n
	}
	if r.flag(flagFieldNames) {
		at += fieldNamesSize
	}
	return ok && at == len(r)
}

// uvarint reads the varint at an offset, and returns where it ends, 0 when it is
// none. Nearly all are short.
func (r Record) uvarint(at int) (v uint64, end int) {
	if at < len(r) && r[at] < 0x80 {
		return uint64(r[at]), at + 1
	}
	if at+1 < len(r) && r[at+1] < 0x80 {
		return uint64(r[at]&0x7f) | uint64(r[at+1])<<7, at + 2
	}
	v, n := binary.Uvarint(r[min(at, len(r)):])
	if n <= 0 {
		return 0, 0
	}
	return v, at + n
}

// number reads one of the numbers; signed ones still zigzag-encoded.
func (r Record) number(which int) uint64 {
	if len(r) < 2 || r[0] != recordVersion {
		return 0
	}
	at := 2
	for i := 0; ; i++ {
		v, end := r.uvarint(at)
		if end == 0 {
			return 0
		}
		if i == which {
			return v
		}
		at = end
	}
}

// layout reads where the texts begin and how long they are.
func (r Record) layout() (at int, lengths [texts]int, ok bool) {
	if len(r) < 2 || r[0] != recordVersion {
		return 0, lengths, false
	}
	at = 2
	for range numbers {
		if _, at = r.uvarint(at); at == 0 {
			return 0, [texts]int{}, false
		}
	}
	for i := range lengths {
		if at < len(r) && r[at] < 0x80 { // as most are
			lengths[i] = int(r[at])
			at++
			continue
		}
		v, end := r.uvarint(at)
		if end == 0 || v > uint64(len(r)) {
			return 0, [texts]int{}, false
		}
		at, lengths[i] = end, int(v)
	}
	return at + digestSize, lengths, at+digestSize <= len(r)
}

// text returns one of the texts.
func (r Record) text(which int) []byte {
	at, lengths, ok := r.layout()
	for _, n := range lengths[:which] {
		at += n
	}
	end := at + lengths[which]
	if !ok || end > len(r) {
		return nil
	}
	return r[at:end:end]
}

func (r Record) flag(bit byte) bool { return len(r) > 1 && r[0] == recordVersion && r[1]&bit != 0 }

func signed(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// Size returns [Summary.Size].
func (r Record) Size() int64 { return int64(r.number(numberSize)) }

// HeaderSize returns [Summary.HeaderSize].
func (r Record) HeaderSize() int64 { return int64(r.number(numberHeaderSize)) }

// Lines returns [Summary.Lines].
func (r Record) Lines() int64 { return int64(r.number(numberLines)) }

// BodyLines returns [Summary.BodyLines].
func (r Record) BodyLines() int64 { return int64(r.number(numberBodyLines)) }

// Date returns [Summary.Date].
func (r Record) Date() int64 { return signed(r.number(numberDate)) }

// Zone returns [Summary.Zone].
func (r Record) Zone() int { return int(signed(r.number(numberZone))) }

// Dots returns [Summary.Dots].
func (r Record) Dots() bool { return r.flag(flagDots) }

// EightBit returns [Summary.EightBit].
func (r Record) EightBit() bool { return r.flag(flagEightBit) }

// NUL returns [Summary.NUL].
func (r Record) NUL() bool { return r.flag(flagNUL) }

// BareLF returns [Summary.BareLF].
func (r Record) BareLF() bool { return r.flag(flagBareLF) }

// NoFinalCRLF returns [Summary.NoFinalCRLF].
func (r Record) NoFinalCRLF() bool { return r.flag(flagNoFinalCRLF) }

// International returns [Summary.International].
func (r Record) International() bool { return r.flag(flagInternational) }

// HeaderEightBit returns [Summary.HeaderEightBit].
func (r Record) HeaderEightBit() bool { return r.flag(flagHeaderEightBit) }

// Digest returns [Summary.Digest], 32 octets, or nil.
func (r Record) Digest() []byte {
	at, _, ok := r.layout()
	if !ok {
		return nil
	}
	return r[at-digestSize : at : at]
}

// MayHaveField tells whether the message's header may have a field of that name,
// in any case. False is certain.
func (r Record) MayHaveField(name string) bool {
	return !r.flag(flagFieldNames) || len(r) < fieldNamesSize || mayHold(r[len(r)-fieldNamesSize:], name)
}

// Envelope returns [Summary.Envelope].
func (r Record) Envelope() []byte { return r.text(textEnvelope) }

// BodyStructure returns [Summary.BodyStructure].
func (r Record) BodyStructure() []byte { return r.text(textBodyStructure) }

// Body returns [Summary.Body].
func (r Record) Body() []byte { return r.text(textBody) }

// Subject returns [Summary.Subject].
func (r Record) Subject() []byte { return r.text(textSubject) }

// From returns [Summary.From].
func (r Record) From() []byte { return r.text(textFrom) }

// To returns [Summary.To].
func (r Record) To() []byte { return r.text(textTo) }

// Cc returns [Summary.Cc].
func (r Record) Cc() []byte { return r.text(textCc) }

// Bcc returns [Summary.Bcc].
func (r Record) Bcc() []byte { return r.text(textBcc) }

// FromMailbox returns [Summary.FromMailbox].
func (r Record) FromMailbox() []byte { return r.text(textFromMailbox) }

// ToMailbox returns [Summary.ToMailbox].
func (r Record) ToMailbox() []byte { return r.text(textToMailbox) }

// CcMailbox returns [Summary.CcMailbox].
func (r Record) CcMailbox() []byte { return r.text(textCcMailbox) }

// FromDisplay returns [Summary.FromDisplay].
func (r Record) FromDisplay() []byte { return r.text(textFromDisplay) }

// ToDisplay returns [Summary.ToDisplay].
func (r Record) ToDisplay() []byte { return r.text(textToDisplay) }

// MessageID returns [Summary.MessageID].
func (r Record) MessageID() []byte { return r.text(textMessageID) }

// InReplyTo returns [Summary.InReplyTo].
func (r Record) InReplyTo() []byte { return r.text(textInReplyTo) }

// References yields [Summary.References] one by one.
func (r Record) References() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		rest := r.text(textReferences)
		for {
			i := bytes.IndexByte(rest, ' ')
			if i < 0 || !yield(rest[:i:i]) {
				return
			}
			rest = rest[i+1:]
		}
	}
}
