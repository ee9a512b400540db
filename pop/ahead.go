package pop

import (
	"context"

	"tripost/store/engine"
)

// aheadMost is how many bodies are opened with one look into the store.
const aheadMost = 16

// shortRETR is the shortest command that opens a message, in octets with its line
// end.
const shortRETR = len("RETR 1\r\n")

// ahead keeps bodies that were opened for commands which have been received but
// not run: a client that pipelines RETR takes one message after the other (RFC
// 2449 section 6.6), and one look into the store does for several. They are closed
// before the session waits, so that no idle client keeps the space of what was
// removed.
type ahead struct {
	last   int // message-number that was opened last
	bodies []engine.Body
	kept   []engine.Body // room for them
	seqs   []int         // scratch
	never  bool          // some message could not be opened: from then on one by one, as the view does
}

// take returns the body of message n if it was opened and is the next one.
func (a *ahead) take(n int) engine.Body {
	if len(a.bodies) == 0 || n != a.last+1 {
		return nil
	}
	b := a.bodies[0]
	a.bodies = a.bodies[1:]
	a.last = n
	return b
}

// close lets go of what was not asked for.
func (a *ahead) close() {
	if a == nil {
		return
	}
	for _, b := range a.bodies {
		b.Close()
	}
	a.bodies = nil
}

// openBody opens the octets of message n as the view does, and those of the next
// messages with it when it looks as if the commands that wait, in so many octets,
// ask for them. What was opened ahead counts only as long as nothing has touched
// the mailbox: then opening it now would give the same.
func (s *session) openBody(ctx context.Context, n, waiting int) (engine.Body, error) {
	if s.ahead == nil {
		s.ahead = new(ahead)
	}
	a, v := s.ahead, s.drop.view
	untouched := !v.Changed()
	if untouched {
		if b := a.take(n); b != nil {
			return b, nil
		}
	}
	a.close()
	following := n == a.last+1
	a.last = n
	if a.never || !untouched || !following || waiting < shortRETR {
		return v.OpenBody(ctx, n)
	}
	return s.openSome(ctx, n, waiting/shortRETR)
}

// openSome opens message n, and small ones behind it for at most so many commands
// more.
func (s *session) openSome(ctx context.Context, n, more int) (engine.Body, error) {
	a, d := s.ahead, s.drop
	most := min(aheadMost, 1+more, d.size()-n+1)
	a.seqs = append(a.seqs[:0], n)
	for m := n + 1; len(a.seqs) < most && !d.isMarked(m) && d.message(m).Size <= smallMessage; m++ {
		a.seqs = append(a.seqs, m)
	}
	var first error
	a.bodies = a.kept[:0]
	err := d.view.OpenBodies(ctx, a.seqs, func(i int, b engine.Body, err error) {
		switch {
		case err != nil && i == 0:
			first, a.never = err, true
		case err != nil:
			a.never = true // why is told when that message is asked for
		case a.never:
			b.Close()
		default:
			a.bodies = append(a.bodies, b)
		}
	})
	if err == nil {
		err = first
	}
	if err != nil {
		return nil, err
	}
	a.kept = a.bodies
	b := a.bodies[0]
	a.bodies = a.bodies[1:]
	return b, nil
}
