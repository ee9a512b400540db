package pop

import (
	"context"
	"fmt"
	"io"

	"tripost/message"
	"tripost/store"
	"tripost/store/engine"
)

// retr sends a message as it is stored, streamed from the store, and marks it
// Seen once the whole of it has gone out.
//
// RFC 1939 section 5, RETR.
func (s *session) retr(ctx context.Context, arg string) error {
	m, err := s.openMessage(ctx, arg)
	if err != nil {
		return s.refuse("RETR", err)
	}
	defer m.body.Close()
	size := s.drop.sentSize(m.number)
	reply := func() { s.ok(sayOctets, size) }
	if begun, err := s.conn.DotCopy(reply, m.whole(), s.needsDots(ctx, m)); err != nil {
		return s.unreadable("RETR", begun, fmt.Errorf("send message %d: %w", m.number, err))
	}
	s.count.retrieved++
	s.drop.view.Read(m.UID)
	s.count.octets += size
	s.drop.last = max(s.drop.last, m.number)
	if s.shouldMark(m) {
		s.seen.add(m.UID, s.conn.Wake)
	}
	return nil
}

// unreadable ends a command whose message could not be read: with a refusal while
// nothing of it was sent, else the session ends, for what was sent cannot be taken
// back.
func (s *session) unreadable(doing string, begun bool, err error) error {
	if begun {
		return err
	}
	return s.refuse(doing, err)
}

// shouldMark reports whether a message that was sent is to be marked Seen: it
// may be, and it is not known to be so already.
func (s *session) shouldMark(m *openMessage) bool {
	v := s.drop.view
	return m.rights&store.RightSeen != 0 && (m.Flags&store.FlagSeen == 0 || v.Changed())
}

// openMessage is a message that is being sent.
type openMessage struct {
	store.Message
	number int
	body   engine.Body
	rights store.Rights // in the mailbox, as they are now
	text   io.Reader    // of what is sent instead; nil: the body itself
}

// whole is the text of the message as it is sent.
func (m *openMessage) whole() io.WriterTo {
	if m.text != nil {
		return wholeText{m.text}
	}
	return m.body
}

// reader reads what whole writes.
func (m *openMessage) reader() io.Reader {
	if m.text != nil {
		return m.text
	}
	return io.NewSectionReader(m.body, 0, m.Size)
}

// wholeText writes a text that can only be read.
type wholeText struct{ text io.Reader }

func (t wholeText) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, t.text) }

// openMessage finds the message that a message-number names and opens it, if it
// is still there and may still be read.
func (s *session) openMessage(ctx context.Context, arg string) (*openMessage, error) {
	d := s.drop
	if err := d.load(ctx); err != nil {
		return nil, err
	}
	n, err := d.number(arg)
	if err != nil {
		return nil, err
	}
	rights, err := s.present(ctx)
	if err != nil {
		return nil, err
	}
	if rights&store.RightRead == 0 {
		return nil, refusedRead
	}
	m := &openMessage{Message: d.message(n), number: n, rights: rights}
	if m.body, err = s.openBody(ctx, n, s.conn.Buffered()); err != nil {
		return nil, fmt.Errorf("open message %d: %w", n, err)
	}
	if size := m.body.Size(); size != m.Size {
		m.body.Close()
		return nil, fmt.Errorf("message %d has %d octets instead of %d: %w", n, size, m.Size, engine.ErrDamaged)
	}
	if _, ok := d.growths[n]; ok {
		c, err := s.surrogateOf(ctx, m.Body, m.body)
		if err != nil {
			m.body.Close()
			return nil, fmt.Errorf("convert message %d: %w", n, err)
		}
		m.text = c.reader(m.body, m.Size)
	}
	return m, nil
}

// smallMessage is up to which size looking for dots costs less than asking
// whether there are any.
const smallMessage = 64 << 10

// needsDots reports whether some line of the message may begin with a dot. If
// that is not known, each line is looked at when it is sent.
func (s *session) needsDots(ctx context.Context, m *openMessage) bool {
	if m.Size <= smallMessage {
		return true
	}
	dots := true
	_, err := s.Store.Records(ctx, []store.Body{m.Body}, func(_ int, r message.Record) bool {
		dots = !r.ValidTexts() || r.Dots()
		return true
	})
	return err != nil || dots
}
