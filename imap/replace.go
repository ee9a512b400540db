package imap

import (
	"bytes"
	"context"

	"tripost/store"
)

// isReplaceMessage says whether a literal after these arguments of REPLACE is the
// message, or a piece of it: not the mailbox name, which follows the number.
func isReplaceMessage(args []byte) bool {
	_, rest, _ := bytes.Cut(bytes.TrimLeft(args, " "), []byte(" "))
	return isAppendMessage(rest)
}

// replace answers REPLACE and UID REPLACE: a message is appended and another of the
// selected mailbox expunged, in one transaction. APPENDUID comes before the
// EXPUNGE, which is told with the other changes. RFC 8508.
func (s *session) replace(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	number := numRange{lo: p.setNumber()}
	number.hi = number.lo
	p.space()
	name := p.mailbox()
	up := uploads{s: s, cmd: cmd}
	defer up.close()
	if err := up.head(); err != nil {
		return completion{}, err
	}
	old, err := s.replaced(ctx, cmd.uid, number)
	if err != nil {
		return completion{}, err
	}
	if err := up.into(ctx, name); err != nil {
		return completion{}, err
	}
	if up.room >= 0 && up.target.Account == s.view.Mailbox().Account {
		up.room += old.Size
	}
	if err := up.one(ctx); err != nil {
		return completion{}, err
	}
	appended, err := s.view.Replace(ctx, old.UID, up.target, up.list[0])
	if err != nil {
		return completion{}, tryCreate(err)
	}
	s.stale = true
	s.ownMessages(up.target, appendedUIDs([]store.Appended{appended}))
	s.untagged("OK", appendUID([]store.Appended{appended}), "Replaced")
	return ok("Done"), nil
}

// replaced finds the message that is to go.
func (s *session) replaced(ctx context.Context, uid bool, number numRange) (store.Message, error) {
	if s.view.ReadOnly() {
		return store.Message{}, store.ErrReadOnlyView
	}
	q, err := s.messages(ctx, uid, []numRange{number})
	if err != nil {
		return store.Message{}, err
	}
	if len(q) == 0 || s.view.Gone(q[0].lo) {
		return store.Message{}, store.ErrNoMessage
	}
	if s.view.Mailbox().Rights&store.RightDelete == 0 {
		return store.Message{}, store.ErrNoRight
	}
	return s.view.At(q[0].lo), nil
}
