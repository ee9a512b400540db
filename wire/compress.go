package wire

import (
	"compress/flate"
	"errors"
	"net"
	"sync"
)

// Compress puts DEFLATE (RFC 1951, as RFC 4978 uses it) over the connection, after
// sending what has been written. What has been read and not consumed is taken for
// the beginning of the peer's compressed data.
//
// While it waits, a compressed connection holds what the peer may still refer to of
// the input it sent, at most 32 KiB, and no buffers.
func (c *Conn) Compress() error {
	if c.Compressed() {
		return errors.New("compression is on already")
	}
	if err := c.Flush(); err != nil {
		return err
	}
	z := &deflated{Conn: c.nc}
	if n := c.Buffered(); n > 0 {
		z.takeRaw(n)
		z.w = copy(z.raw, c.in[c.r:c.w])
	}
	c.r, c.w, c.line, c.body = 0, 0, nil, nil
	c.releaseInput()
	c.nc, c.sys = z, nil
	return nil
}

// Compressed tells whether [Conn.Compress] has been called.
func (c *Conn) Compressed() bool {
	_, on := c.nc.(*deflated)
	return on
}

// below returns the connection that compression lies over, or the connection.
func (c *Conn) below() net.Conn {
	if z, on := c.nc.(*deflated); on {
		return z.Conn
	}
	return c.nc
}

// deflated is a connection with DEFLATE over it, both ways. It belongs to one
// goroutine.
type deflated struct {
	net.Conn
	in inflater

	raw    []byte  // raw[r:w] has been read and not inflated: small, or pooled.b
	pooled *buffer // nil: none
	r, w   int
	small  [smallInput]byte // to wait in
}

// Read reads what the peer has sent, as soon as it is determined.
func (z *deflated) Read(p []byte) (int, error) {
	for {
		n, taken, err := z.in.inflate(p, z.raw[z.r:z.w])
		if z.r += taken; z.r == z.w {
			z.releaseRaw()
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		z.takeRaw(len(p))
		if z.w, err = z.Conn.Read(z.raw); z.w == 0 {
			z.releaseRaw()
			return 0, err
		}
	}
}

// takeRaw makes sure that there is a buffer to read n octets or more into, or as
// many as there is use for.
func (z *deflated) takeRaw(n int) {
	if z.raw = z.small[:]; n > len(z.small) {
		z.pooled = inputPool.Get().(*buffer)
		z.raw = z.pooled.b
	}
}

func (z *deflated) releaseRaw() {
	if z.pooled != nil {
		inputPool.Put(z.pooled)
		z.pooled = nil
	}
	z.raw, z.r, z.w = nil, 0, 0
}

// compressors make DEFLATE data. They are large, and need nothing of what they
// compressed before, so connections only have one while they write.
var compressors = sync.Pool{New: func() any {
	k, _ := flate.NewWriter(nil, flate.BestSpeed) // fails for unknown levels alone
	return k
}}

// Write sends p compressed, and so that the peer can read all of it at once.
func (z *deflated) Write(p []byte) (int, error) {
	k := compressors.Get().(*flate.Writer)
	defer compressors.Put(k)
	buf := outputPool.Get().(*buffer)
	defer outputPool.Put(buf)
	s := sender{z.Conn, buf}
	k.Reset(s)
	_, err := k.Write(p)
	if err == nil {
		err = k.Flush()
	}
	if err == nil {
		err = s.flush()
	}
	buf.b = buf.b[:0]
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// sender collects the small pieces that a compressor writes.
type sender struct {
	to  net.Conn
	buf *buffer
}

func (s sender) Write(p []byte) (int, error) {
	s.buf.b = append(s.buf.b, p...)
	if len(s.buf.b) < directWrite {
		return len(p), nil
	}
	return len(p), s.flush()
}

func (s sender) flush() error {
	_, err := s.to.Write(s.buf.b)
	s.buf.b = s.buf.b[:0]
	return err
}
