package smtp

import (
	"io"
	"time"
)

// paceGrace is how long mail data may come as slowly as it likes.
const paceGrace = time.Minute

// pace holds a client to the least rate at which its mail data must come, so that
// nobody keeps a session busy for long by sending an octet now and then. It passes
// the data on to w.
type pace struct {
	s     *session
	w     io.Writer
	begin time.Time
	total int64
}

// begin starts the clock for mail data, or for a chunk of it.
func (s *session) pace(w io.Writer) *pace {
	p := &pace{s: s, w: w, begin: s.server.config.Now()}
	p.limit()
	return p
}

// limit sets the time by which more must have come.
func (p *pace) limit() {
	rate := p.s.server.config.Limits.DataRate
	if rate <= 0 {
		return
	}
	allowed := paceGrace + time.Duration(p.total/rate)*time.Second
	p.s.conn.SetDeadline(p.begin.Add(allowed))
}

// Write takes data that has come.
func (p *pace) Write(b []byte) (int, error) {
	p.note(len(b))
	return p.w.Write(b)
}

func (p *pace) note(n int) {
	p.total += int64(n)
	p.limit()
}

// end stops the clock.
func (p *pace) end() { p.s.conn.SetDeadline(time.Time{}) }

// pacedData is mail data that is held to its rate.
type pacedData struct {
	body interface {
		io.Reader
		io.WriterTo
	}
	pace *pace
}

// Read is [io.Reader].
func (d pacedData) Read(p []byte) (int, error) {
	n, err := d.body.Read(p)
	d.pace.note(n)
	return n, err
}

// WriteTo writes the data to w, without a copy in between.
func (d pacedData) WriteTo(w io.Writer) (int64, error) {
	d.pace.w = w
	return d.body.WriteTo(d.pace)
}
