package local

import "testing"

func TestFreeIDs(t *testing.T) {
	t.Parallel()
	list := func(pages int, flags, count uint16, first uint64) []byte {
		b := make([]byte, pages*pageSize)
		machineOrder.PutUint16(b[8:], flags)
		machineOrder.PutUint16(b[10:], count)
		machineOrder.PutUint64(b[16:], first)
		return b
	}
	tests := []struct {
		name  string
		page  []byte
		count int // -1: an error
	}{
		{"empty", list(1, pageFreeList, 0, 0), 0},
		{"full", list(1, pageFreeList, 510, 0), 510},
		{"too many", list(1, pageFreeList, 511, 0), -1},
		{"many", list(129, pageFreeList, 0xffff, 65_535), 65_535},
		{"full of many", list(129, pageFreeList, 0xffff, 66_045), 66_045},
		{"too many of many", list(129, pageFreeList, 0xffff, 66_046), -1},
		{"absurdly many", list(129, pageFreeList, 0xffff, 1<<63), -1},
		{"another page", list(1, pageLeaf, 0, 0), -1},
	}
	for _, test := range tests {
		ids, err := freeIDs(test.page)
		if err != nil && test.count >= 0 || err == nil && len(ids) != 8*test.count {
			t.Errorf("%s: %d octets, %v, want %d numbers", test.name, len(ids), err, test.count)
		}
	}
}
