package message

// FieldNames is the names of header fields, in any case, as a filter of Bloom's
// kind: what was put in is in it, of other names about one in seven is where
// thirty were put in. The zero value is empty.
type FieldNames [fieldNamesSize]byte

const fieldNamesSize = 16

// allFieldNames has every name: of a header that was not kept whole.
func allFieldNames() (n FieldNames) {
	for i := range n {
		n[i] = 0xff
	}
	return n
}

// nameBits returns the two bits of a name, from its FNV-1a hash.
func nameBits[T string | []byte](name T) (a, b uint32) {
	h := uint32(2166136261)
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		h = (h ^ uint32(c)) * 16777619
	}
	const bits = 8 * fieldNamesSize
	return h % bits, h >> 16 % bits
}

func (n *FieldNames) add(name []byte) {
	a, b := nameBits(name)
	n[a/8] |= 1 << (a % 8)
	n[b/8] |= 1 << (b % 8)
}

// mayHold tells whether a name may be in the filter encoded in 16 octets.
func mayHold(filter []byte, name string) bool {
	a, b := nameBits(name)
	return filter[a/8]&(1<<(a%8)) != 0 && filter[b/8]&(1<<(b%8)) != 0
}
