package screen

import (
	"context"
	"io"
	"net/netip"
	"sync"

	"tripost/syslog"
)

// Mail is a message that filters are asked about.
type Mail struct {
	ID         string // queue id
	Remote     netip.Addr
	Name       string // of Remote, "" when it has none that leads back to it
	Helo       string
	From       string
	Recipients []string
	Body       io.ReaderAt
	Size       int64 // of Body, in octets
}

// reader reads the message from its begin.
func (m *Mail) reader() io.Reader { return io.NewSectionReader(m.Body, 0, m.Size) }

// Advice is what a filter says about a message.
type Advice struct {
	Finding          // Name and Detail tell who says what
	Refuse    bool   // the message is not to be taken
	Temporary bool   // it may be taken later; only with Refuse
	Reply     string // for the client; "" leaves it to the caller
	Junk      bool   // it is unwanted
	Fields    []byte // header fields that the filter adds, each with its CRLF
}

// Filters asks rspamd and the milters, all at once. They see the message as it
// came. Who does not answer has no advice, or with Options.MustFilter refuses the
// message until later.
func (s *Screen) Filters(ctx context.Context, m *Mail) []Advice {
	n := len(s.o.Milters)
	answers := make([]*Advice, n+1)
	var all sync.WaitGroup
	for i := range s.o.Milters {
		mi := &s.o.Milters[i]
		all.Go(func() { answers[i] = s.advice(ctx, "milter", mi.String(), m, mi.ask) })
	}
	if s.o.Rspamd.URL != "" {
		all.Go(func() { answers[n] = s.advice(ctx, "rspamd", s.o.Rspamd.URL, m, s.askRspamd) })
	}
	all.Wait()
	var list []Advice
	for _, a := range answers {
		if a != nil {
			list = append(list, *a)
		}
	}
	return list
}

func (s *Screen) advice(ctx context.Context, name, where string, m *Mail, ask func(context.Context, *Mail) (*Advice, error)) *Advice {
	ctx, cancel := context.WithTimeout(ctx, s.o.Time)
	defer cancel()
	a, err := ask(ctx, m)
	switch {
	case err == nil:
		a.Name = name
		return a
	case s.o.MustFilter:
		a = &Advice{Refuse: true, Temporary: true, Reply: "the message cannot be checked now, try again later"}
		a.Finding = Finding{Name: name, Detail: "no answer"}
	default:
		a = nil
	}
	s.o.Log.Logf(syslog.Failure, "%s at %s: %v", name, where, err)
	return a
}
