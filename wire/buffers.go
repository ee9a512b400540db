package wire

import "sync"

const (
	inputSize   = 16 << 10 // of the buffer input is read into: a TLS record's worth
	outputStart = 4 << 10  // enough for nearly all responses
	flushAt     = 64 << 10 // octets of output that are sent without waiting for more
	outputKeep  = 4 * flushAt

	// smallInput is the buffer inside a Conn, in which it waits for a command
	// when it cannot wait without one. Most commands fit.
	smallInput = 128
)

// buffer is what the pools hold: a pointer goes in and out of them without
// allocation, a slice does not.
type buffer struct{ b []byte }

// The pools only spare allocations; what they hold has no meaning.
var (
	inputPool  = sync.Pool{New: func() any { return &buffer{make([]byte, inputSize)} }}
	outputPool = sync.Pool{New: func() any { return &buffer{make([]byte, 0, outputStart)} }}
)

// takeInput makes sure that there is a buffer of full size to read into.
func (c *Conn) takeInput() {
	if c.inPooled != nil {
		return
	}
	c.inPooled = inputPool.Get().(*buffer)
	c.w = copy(c.inPooled.b, c.in[c.r:c.w])
	c.in, c.r = c.inPooled.b, 0
}

// releaseInput gives the input buffer back when nothing is in it.
func (c *Conn) releaseInput() {
	if c.r != c.w {
		return
	}
	if c.inPooled != nil {
		inputPool.Put(c.inPooled)
		c.inPooled = nil
	}
	c.in, c.r, c.w = nil, 0, 0
}

// takeOutput makes sure that there is a buffer to append output to.
func (c *Conn) takeOutput() {
	if c.outPooled == nil {
		c.outPooled = outputPool.Get().(*buffer)
		c.out = c.outPooled.b[:0]
	}
}

// releaseOutput gives the output buffer back when nothing is in it. One that an
// encoder made very large is left to the garbage collector.
func (c *Conn) releaseOutput() {
	if c.outPooled == nil || len(c.out) > 0 {
		return
	}
	if cap(c.out) <= outputKeep {
		c.outPooled.b = c.out[:0]
		outputPool.Put(c.outPooled)
	}
	c.out, c.outPooled = nil, nil
}
