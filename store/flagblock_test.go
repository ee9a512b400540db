package store

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestFlagBlockReadsBack(t *testing.T) {
	t.Parallel()
	const last = math.MaxUint32 / blockUIDs // the block of the greatest UIDs
	for _, c := range []struct {
		n uint32
		b flagBlock
	}{
		{0, nil},
		{0, flagBlock{{1, 1023, FlagSeen, 1}}},
		{1, flagBlock{{1024, 1024, 0, 9}, {1025, 1030, FlagSeen | 1<<63, 7}, {2047, 2047, FlagSeen, math.MaxInt64}}},
		{last, flagBlock{{math.MaxUint32 - 1, math.MaxUint32, math.MaxUint64, 3}}},
	} {
		var got flagBlock
		if err := got.decode(c.n, c.b.append(nil, c.n)); err != nil || !slices.Equal(got, c.b) {
			t.Errorf("%v reads back as %v, %v", c.b, got, err)
		}
	}
	for _, value := range [][]byte{
		{recordVersion, 1, 0, 0, 1, 2},                // a run that begins before the block
		{recordVersion, 1, 1, 0x80, 0x08, 1, 2},       // one that ends behind it
		{recordVersion, 2, 1, 0, 1, 2, 0x81, 8, 0, 1}, // one that lies behind it
		{recordVersion, 2, 1, 0, 1, 2},                // one is missing
		{},
	} {
		var b flagBlock
		if err := b.decode(1, value); err == nil {
			t.Errorf("%x reads as %v", value, b)
		}
	}
}

// TestFlagBlockWith puts random runs over others and compares with what each
// message then has.
func TestFlagBlockWith(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	random := func(modSeq ModSeq) (b flagBlock) {
		for u := UID(1); ; {
			u += UID(r.IntN(6))
			hi := u + UID(r.IntN(6))
			if hi > 40 {
				return b
			}
			b = append(b, flagRun{u, hi, Flags(r.IntN(3)), modSeq})
			u = hi + 1
		}
	}
	at := func(b flagBlock, u UID) flagRun {
		for _, run := range b {
			if run.lo <= u && u <= run.hi {
				return flagRun{u, u, run.flags, run.modSeq}
			}
		}
		return flagRun{}
	}
	for range 2000 {
		old, newer := random(1), random(2)
		given := slices.Clone(old)
		got := old.with(newer)
		for u := UID(1); u <= 40; u++ {
			want := at(newer, u)
			if want.hi == 0 {
				want = at(given, u)
			}
			if at(got, u) != want {
				t.Fatalf("%v with %v is %v at %d: %v", given, newer, at(got, u), u, got)
			}
		}
		for i := 1; i < len(got); i++ {
			if got[i].lo <= got[i-1].hi || got[i].lo > got[i].hi {
				t.Fatalf("%v with %v is %v", given, newer, got)
			}
		}
	}
}
