package wire

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// inflateAll gives an inflater input in pieces of random size, and takes output
// likewise.
func inflateAll(r *rand.Rand, f *inflater, data []byte) ([]byte, error) {
	var got []byte
	for {
		dst := make([]byte, 1+r.IntN(300))
		piece := data[:min(len(data), r.IntN(200))]
		n, taken, err := f.inflate(dst, piece)
		got = append(got, dst[:n]...)
		data = data[taken:]
		if err != nil || n == 0 && len(data) == 0 {
			return got, err
		}
	}
}

// texts are what is compressed in the tests: of one octet, of words, of noise.
func texts(r *rand.Rand) [][]byte {
	noise := make([]byte, 40_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	var words bytes.Buffer
	for words.Len() < 80_000 {
		words.WriteString([]string{"FETCH ", "UID ", "mailbox ", "\r\n", "(FLAGS) ", "1:*,"}[r.IntN(6)])
	}
	return [][]byte{nil, {'a'}, bytes.Repeat([]byte{0}, 100_000), words.Bytes(), noise}
}

// TestInflate compares with what the standard library compressed, at all levels,
// whatever the pieces are, with flushes between.
func TestInflate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
		for i, text := range texts(r) {
			var b bytes.Buffer
			w, err := flate.NewWriter(&b, level)
			if err != nil {
				t.Fatal(err)
			}
			for rest := text; len(rest) > 0; {
				n := min(len(rest), 1+r.IntN(50_000))
				w.Write(rest[:n])
				if rest = rest[n:]; r.IntN(2) == 0 {
					w.Flush()
				}
			}
			w.Close()
			var f inflater
			got, err := inflateAll(r, &f, b.Bytes())
			if err != io.EOF || !bytes.Equal(got, text) {
				t.Errorf("level %d, text %d: %d of %d octets, %v", level, i, len(got), len(text), err)
			}
			if len(f.window) > maxWindow {
				t.Errorf("the window has %d octets", len(f.window))
			}
		}
	}
}

// TestInflateAtFlush: what has been flushed can be read, all of it, before anything
// more comes.
func TestInflateAtFlush(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, level)
		if err != nil {
			t.Fatal(err)
		}
		var f inflater
		for i := range 200 {
			line := strings.Repeat("a1 NOOP ", r.IntN(40)) + "\r\n"
			io.WriteString(w, line)
			w.Flush()
			got, err := inflateAll(r, &f, b.Bytes())
			if b.Reset(); err != nil || string(got) != line {
				t.Fatalf("level %d, line %d: got %q, %v, want %q", level, i, got, err, line)
			}
		}
	}
}

// bitWriter writes blocks of fixed codes as zlib's partial flush leaves them: with
// an empty block and no whole octet at the end.
type bitWriter struct {
	b    []byte
	bits uint
	n    uint
}

// add writes the lowest n bits, the lowest first.
func (w *bitWriter) add(bits, n uint) {
	w.bits |= bits << w.n
	for w.n += n; w.n >= 8; w.n -= 8 {
		w.b = append(w.b, byte(w.bits))
		w.bits >>= 8
	}
}

// code writes a Huffman code, its highest bit first.
func (w *bitWriter) code(code, n uint) {
	for n > 0 {
		n--
		w.add(code>>n&1, 1)
	}
}

// block writes text below 0x90 as a block of fixed codes.
func (w *bitWriter) block(text string) {
	w.add(0b010, 3) // not the last one, fixed codes
	for _, c := range []byte(text) {
		w.code(uint(c)+0x30, 8)
	}
	w.code(0, 7) // the end of the block
}

// partialFlush is RFC 1979 section 2.1's and zlib's Z_PARTIAL_FLUSH.
func (w *bitWriter) partialFlush() []byte {
	w.block("")
	out := w.b
	w.b = nil
	return out
}

// TestInflatePartialFlush: some clients, telephones among them, end a command by a
// partial flush, behind which there is no octet boundary.
func TestInflatePartialFlush(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var w bitWriter
	var f inflater
	for i := range 100 {
		line := strings.Repeat("x", i%7) + " NOOP\r\n"
		w.block(line)
		got, err := inflateAll(r, &f, w.partialFlush())
		if err != nil || string(got) != line {
			t.Fatalf("line %d: got %q, %v, want %q", i, got, err, line)
		}
	}
}

// TestInflateCorrupt: what is no DEFLATE ends the stream, after all that came before
// it has been given out.
func TestInflateCorrupt(t *testing.T) {
	var good bytes.Buffer
	w, _ := flate.NewWriter(&good, 6)
	io.WriteString(w, "sound")
	w.Flush()
	far := bitWriter{}
	far.add(0b010, 3)
	far.code('a'+0x30, 8)
	far.code(1, 7) // a match of 3
	far.code(8, 5) // 17 back, where there are only 6
	far.add(0, 16)
	for name, data := range map[string]string{
		"block type":                "\x07",
		"stored length":             "\x00\x01\x00\x01\x00",
		"distance beyond the start": string(far.b),
		"more codes than can be":    "\x05\xe0" + strings.Repeat("\xff", 20),
		"no end of block":           "\x05\xe0\x81\x08\x00\x00\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00",
	} {
		var f inflater
		got, err := inflateAll(rand.New(rand.NewPCG(7, 8)), &f, append(good.Bytes(), data...))
		if !strings.HasPrefix(string(got), "sound") || !errors.Is(err, errDeflate) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if n, taken, again := f.inflate(make([]byte, 8), []byte("more")); n+taken > 0 || again != err {
			t.Errorf("%s: afterwards %v", name, again)
		}
	}
}

// FuzzInflate holds the inflater against the standard library's, on any input in any
// pieces.
func FuzzInflate(f *testing.F) {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	io.WriteString(w, "a1 FETCH 1:* (FLAGS)\r\na2 FETCH 1:* (FLAGS UID)\r\n")
	w.Close()
	f.Add(b.Bytes(), uint64(1))
	f.Add([]byte("\x05\xe0\x81\x08\x00\x00\x00\x00\x00\x20"), uint64(2))
	f.Add([]byte{3, 0}, uint64(3))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data)), 1<<20))
		if len(want) == 1<<20 {
			return
		}
		var z inflater
		got, err := inflateAll(rand.New(rand.NewPCG(seed, 0)), &z, data)
		if (wantErr == nil) != (err == io.EOF) {
			t.Fatalf("%v, the standard library %v", err, wantErr)
		}
		if wantErr == nil && !bytes.Equal(got, want) {
			t.Fatalf("%q, the standard library %q", got, want)
		}
	})
}

func BenchmarkInflate(b *testing.B) {
	text := texts(rand.New(rand.NewPCG(1, 2)))[3]
	var z bytes.Buffer
	w, _ := flate.NewWriter(&z, 6)
	w.Write(text)
	w.Close()
	dst := make([]byte, inputSize)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var f inflater
		for rest := z.Bytes(); ; {
			_, taken, err := f.inflate(dst, rest)
			if rest = rest[taken:]; err != nil {
				break
			}
		}
	}
}
