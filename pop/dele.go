package pop

import (
	"context"
	"fmt"

	"tripost/store"
)

// dele marks a message deleted. The mark is this session's own: nobody sees it,
// and nothing leaves the store before QUIT, so a client that vanishes loses no
// mail. Marking needs the right to delete as it is now.
//
// RFC 1939 section 5, DELE.
func (s *session) dele(ctx context.Context, arg string) error {
	d := s.drop
	if err := d.load(ctx); err != nil {
		return s.refuse("DELE", err)
	}
	n, err := d.number(arg)
	if err != nil {
		return s.refuse("DELE", err)
	}
	if err := s.mayDelete(ctx, d.message(n).UID); err != nil {
		return s.refuse("DELE", err)
	}
	d.mark(n)
	return s.ok(sayMarked, n)
}

// mayDelete checks that the message is still there and may be removed now.
func (s *session) mayDelete(ctx context.Context, u store.UID) error {
	rights, err := s.present(ctx)
	if err != nil {
		return err
	}
	if rights&store.RightDelete == 0 {
		return refusedDelete
	}
	if !s.drop.view.Changed() {
		return nil
	}
	if _, err := s.drop.view.Detail(ctx, u); err != nil {
		return fmt.Errorf("look for message %d: %w", u, err)
	}
	return nil
}

// present checks that the mailbox still goes by the name under which it was
// opened, and returns the rights in it as they are now. A mailbox renamed by
// another client, INBOX put aside under another name for one, is no longer the
// one that this session's user means.
func (s *session) present(ctx context.Context) (store.Rights, error) {
	d := s.drop
	moves := d.view.Moves()
	if d.confirmed && moves == d.moves {
		return d.rights, nil
	}
	mb, _, err := s.Store.Mailbox(ctx, s.in.Identity, s.in.Mailbox)
	if err != nil {
		return 0, fmt.Errorf("look for the mailbox: %w", err)
	}
	if mb.ID != s.drop.view.Mailbox().ID {
		return 0, refusedMoved
	}
	d.confirmed, d.moves, d.rights = true, moves, mb.Rights
	return mb.Rights, nil
}

// rset takes all deletion marks back.
//
// RFC 1939 section 5, RSET.
func (s *session) rset(context.Context, string) error {
	d := s.drop
	d.unmark()
	d.last = 0
	return s.ok(sayReset, d.size(), d.octets)
}

// lastNumber tells the highest message-number retrieved since sign-in or RSET.
// It is a courtesy to clients older than UIDL, and not announced.
//
// RFC 1460 section 5, LAST.
func (s *session) lastNumber(context.Context, string) error { return s.data("%d", s.drop.last) }
