package wire

import (
	"errors"
	"io"
)

// errDeflate is the error of a stream that is not DEFLATE.
var errDeflate = errors.New("the peer sent what is not DEFLATE data")

// maxWindow is how far back a match may reach, RFC 1951 section 2.
const maxWindow = 32 << 10

// inflater reads a DEFLATE stream (RFC 1951) that comes in pieces. It gives out
// every octet as soon as the input determines it, however the peer flushed: the
// standard library's reader waits for the end of a window or for one kind of flush.
//
// It holds the window, which grows to what has been received and at most 32 KiB,
// and some 2 KiB of tables.
type inflater struct {
	state inflateState
	err   error // the end of the stream, or what is wrong with it: sticks
	final bool  // this is the last block

	bits uint64 // input that has been taken and not used, the next bit lowest
	n    uint   // how many bits these are

	left int // octets of a stored block, or of a match, still to come
	back int // how far back the match lies
	code int // symbol whose extra bits are due

	window []byte // a ring once it has its full length
	at     int    // where the next octet goes in window
	filled int    // octets in window

	literals, distances huffman
	fixed               bool                              // they are those of fixed codes
	lengths             [maxLiterals + maxDistances]uint8 // of codes, as they come in
	counts              [3]int                            // of literal, distance and length codes
	have                int                               // lengths read
}

type inflateState uint8

const (
	blockHead inflateState = iota
	storedHead
	storedOctets
	dynamicHead
	lengthCodes
	codeLengths
	symbol
	lengthBits
	distance
	distanceBits
	match
)

const (
	maxLiterals  = 288
	maxDistances = 32
	maxCode      = 15 // bits of a code
)

// inflate takes input from src and writes output to dst until one of them is used
// up, and tells how much of each that was. The end of the stream is io.EOF.
func (f *inflater) inflate(dst, src []byte) (written, taken int, err error) {
	out := output{f: f, to: dst}
	for f.err == nil {
		for f.n <= 56 && taken < len(src) {
			f.bits |= uint64(src[taken]) << f.n
			f.n += 8
			taken++
		}
		if !f.step(&out) {
			if f.n <= 56 && taken < len(src) && out.n < len(dst) {
				continue
			}
			break
		}
	}
	if out.n > 0 { // what is wrong is told when all that was right has been given out
		return out.n, taken, nil
	}
	return 0, taken, f.err
}

// output is where octets go, to dst and into the window.
type output struct {
	f  *inflater
	to []byte
	n  int
}

func (o *output) full() bool { return o.n == len(o.to) }

func (o *output) put(c byte) {
	o.to[o.n] = c
	o.n++
	f := o.f
	if f.at == len(f.window) {
		f.grow()
	}
	f.window[f.at] = c
	f.at++
	f.filled = min(f.filled+1, maxWindow)
}

// grow makes room for the next octet in the window.
func (f *inflater) grow() {
	if len(f.window) == maxWindow {
		f.at = 0
		return
	}
	window := make([]byte, max(1<<10, 2*len(f.window)))
	copy(window, f.window)
	f.window = window
}

// fail ends the stream.
func (f *inflater) fail() bool {
	f.err = errDeflate
	return false
}

// take takes n bits, which are there.
func (f *inflater) take(n uint) int {
	v := int(f.bits & (1<<n - 1))
	f.bits >>= n
	f.n -= n
	return v
}

// step goes on as far as it can without looking for more input than it has. It
// returns false when it needs input or room for output, or the stream has ended.
func (f *inflater) step(o *output) bool {
	switch f.state {
	case blockHead:
		return f.readBlockHead()
	case storedHead:
		return f.readStoredHead()
	case storedOctets:
		return f.readStored(o)
	case dynamicHead:
		return f.readDynamicHead()
	case lengthCodes:
		return f.readLengthCodes()
	case codeLengths:
		return f.readCodeLengths()
	case symbol:
		return f.readSymbols(o)
	case lengthBits:
		return f.readLengthBits()
	case distance:
		return f.readDistance()
	case distanceBits:
		return f.readDistanceBits()
	default:
		return f.copyMatch(o)
	}
}

// readBlockHead begins a block, RFC 1951 section 3.2.3.
func (f *inflater) readBlockHead() bool {
	if f.final {
		f.err = io.EOF
		return false
	}
	if f.n < 3 {
		return false
	}
	f.final = f.take(1) == 1
	switch f.take(2) {
	case 0:
		f.take(f.n % 8)
		f.state = storedHead
	case 1:
		f.fixedCodes()
		f.state = symbol
	case 2:
		f.state = dynamicHead
	default:
		return f.fail()
	}
	return true
}

// readStoredHead reads the length of a stored block, section 3.2.4.
func (f *inflater) readStoredHead() bool {
	if f.n < 32 {
		return false
	}
	n, complement := f.take(16), f.take(16)
	if n^complement != 0xffff {
		return f.fail()
	}
	f.left, f.state = n, storedOctets
	return true
}

func (f *inflater) readStored(o *output) bool {
	for ; f.left > 0; f.left-- {
		if f.n < 8 || o.full() {
			return false
		}
		o.put(byte(f.take(8)))
	}
	f.state = blockHead
	return true
}

// fixedCodes sets the codes of section 3.2.6.
func (f *inflater) fixedCodes() {
	if f.fixed {
		return
	}
	f.fixed = true
	for i := range maxLiterals {
		switch {
		case i < 144:
			f.lengths[i] = 8
		case i < 256:
			f.lengths[i] = 9
		case i < 280:
			f.lengths[i] = 7
		default:
			f.lengths[i] = 8
		}
	}
	for i := range maxDistances {
		f.lengths[maxLiterals+i] = 5
	}
	f.literals.set(f.lengths[:maxLiterals])
	f.distances.set(f.lengths[maxLiterals:])
}

// lengthOrder is the order in which the lengths of length codes come, section 3.2.7.
var lengthOrder = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// readDynamicHead reads how many codes there are, section 3.2.7.
func (f *inflater) readDynamicHead() bool {
	if f.n < 14 {
		return false
	}
	f.counts = [3]int{257 + f.take(5), 1 + f.take(5), 4 + f.take(4)}
	if f.counts[0] > 286 || f.counts[1] > 30 {
		return f.fail()
	}
	clear(f.lengths[:])
	f.have, f.state = 0, lengthCodes
	return true
}

func (f *inflater) readLengthCodes() bool {
	for ; f.have < f.counts[2]; f.have++ {
		if f.n < 3 {
			return false
		}
		f.lengths[lengthOrder[f.have]] = uint8(f.take(3))
	}
	f.fixed = false
	if !f.literals.set(f.lengths[:len(lengthOrder)]) {
		return f.fail()
	}
	clear(f.lengths[:])
	f.have, f.state = 0, codeLengths
	return true
}

// readCodeLengths reads the lengths of the codes of the block, by runs.
func (f *inflater) readCodeLengths() bool {
	total := f.counts[0] + f.counts[1]
	for f.have < total {
		sym, used, ok := f.literals.find(f.bits, f.n)
		if !ok {
			if used > 0 {
				f.fail()
			}
			return false
		}
		extra, base := uint(0), 1
		switch sym {
		case 16:
			extra, base = 2, 3
		case 17:
			extra, base = 3, 3
		case 18:
			extra, base = 7, 11
		}
		if f.n < used+extra {
			return false
		}
		f.take(used)
		run, length := base+f.take(extra), uint8(0)
		switch {
		case sym < 16:
			length = uint8(sym)
		case sym == 16 && f.have == 0:
			return f.fail()
		case sym == 16:
			length = f.lengths[f.have-1]
		}
		if f.have+run > total {
			return f.fail()
		}
		for range run {
			f.lengths[f.have] = length
			f.have++
		}
	}
	return f.dynamicCodes()
}

// dynamicCodes sets the codes whose lengths have been read.
func (f *inflater) dynamicCodes() bool {
	literals := f.lengths[:f.counts[0]]
	if literals[256] == 0 || !f.literals.set(literals) || !f.distances.set(f.lengths[f.counts[0]:f.counts[0]+f.counts[1]]) {
		return f.fail()
	}
	f.state = symbol
	return true
}

// Lengths and distances of matches: base and extra bits of each symbol, section
// 3.2.5.
var (
	lengthBase    = [...]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra   = [...]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distanceBase  = [...]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distanceExtra = [...]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
)

// readSymbols reads literals, up to the end of the block or a match.
func (f *inflater) readSymbols(o *output) bool {
	for {
		sym, used, ok := f.literals.find(f.bits, f.n)
		switch {
		case !ok && used > 0:
			return f.fail()
		case !ok, sym < 256 && o.full():
			return false
		}
		f.take(used)
		switch {
		case sym < 256:
			o.put(byte(sym))
			continue
		case sym == 256:
			f.state = blockHead
		case sym-257 >= len(lengthBase):
			return f.fail()
		default:
			f.code, f.state = sym-257, lengthBits
		}
		return true
	}
}

func (f *inflater) readLengthBits() bool {
	extra := uint(lengthExtra[f.code])
	if f.n < extra {
		return false
	}
	f.left, f.state = int(lengthBase[f.code])+f.take(extra), distance
	return true
}

func (f *inflater) readDistance() bool {
	sym, used, ok := f.distances.find(f.bits, f.n)
	switch {
	case !ok && used == 0:
		return false
	case !ok, sym >= len(distanceBase):
		return f.fail()
	}
	f.take(used)
	f.code, f.state = sym, distanceBits
	return true
}

func (f *inflater) readDistanceBits() bool {
	extra := uint(distanceExtra[f.code])
	if f.n < extra {
		return false
	}
	f.back, f.state = int(distanceBase[f.code])+f.take(extra), match
	if f.back > f.filled {
		return f.fail()
	}
	return true
}

func (f *inflater) copyMatch(o *output) bool {
	for ; f.left > 0; f.left-- {
		if o.full() {
			return false
		}
		from := f.at - f.back
		if from < 0 {
			from += maxWindow
		}
		o.put(f.window[from])
	}
	f.state = symbol
	return true
}

// huffman is a set of codes as counts by length and symbols in the order of codes:
// small, and found bit by bit.
type huffman struct {
	counts  [maxCode + 1]uint16
	symbols [maxLiterals]uint16
}

// set makes the codes from the lengths of all symbols, 0 for none (RFC 1951 section
// 3.2.2). It returns false when there are more codes than can be, or fewer, but for
// a single one of one bit, or none.
func (h *huffman) set(lengths []uint8) bool {
	h.counts = [maxCode + 1]uint16{}
	for _, n := range lengths {
		h.counts[n]++
	}
	codes := len(lengths) - int(h.counts[0])
	h.counts[0] = 0
	left := 1
	var next [maxCode + 2]uint16
	for n := 1; n <= maxCode; n++ {
		if left = left<<1 - int(h.counts[n]); left < 0 {
			return false
		}
		next[n+1] = next[n] + h.counts[n]
	}
	for sym, n := range lengths {
		if n != 0 {
			h.symbols[next[n]] = uint16(sym)
			next[n]++
		}
	}
	return left == 0 || codes == 0 || codes == 1 && h.counts[1] == 1
}

// find finds the symbol whose code the bits begin with, and the code's length. ok is
// false where there is none: used is 0 when more bits may give one.
func (h *huffman) find(bits uint64, n uint) (sym int, used uint, ok bool) {
	code, first, index := 0, 0, 0
	for length := uint(1); length <= maxCode; length++ {
		if length > n {
			return 0, 0, false
		}
		code |= int(bits & 1)
		bits >>= 1
		count := int(h.counts[length])
		if code-count < first {
			return int(h.symbols[index+code-first]), length, true
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return 0, maxCode, false
}
