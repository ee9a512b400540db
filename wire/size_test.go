package wire

import (
	"testing"
	"unsafe"
)

// TestConnSize: thousands of connections wait, so what one takes is bounded. What only
// some need for a moment has a place apart.
func TestConnSize(t *testing.T) {
	t.Parallel()
	const most = 480 // octets, a size in which the runtime hands out memory
	if size := unsafe.Sizeof(Conn{}); size > most {
		t.Errorf("a Conn takes %d octets, want at most %d", size, most)
	}
}
