package imap

import (
	"context"
	"strconv"

	"tripost/store"
)

// selectMailbox answers SELECT. RFC 3501 section 6.3.1.
func (s *session) selectMailbox(ctx context.Context, cmd *command) (completion, error) {
	return s.open(ctx, cmd, false)
}

// examine answers EXAMINE, which opens a mailbox read-only. RFC 3501 section 6.3.2.
func (s *session) examine(ctx context.Context, cmd *command) (completion, error) {
	return s.open(ctx, cmd, true)
}

// open closes the selected mailbox, without removing anything, and opens another.
// If that fails none is selected.
func (s *session) open(ctx context.Context, cmd *command, readOnly bool) (completion, error) {
	cmd.args.space()
	name := cmd.args.mailbox()
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	s.deselect()
	ref, err := s.resolve(ctx, name)
	if err != nil {
		return completion{}, err
	}
	view, err := s.srv.cfg.Store.Open(ctx, s.user, ref, readOnly)
	if err != nil {
		return completion{}, err
	}
	s.view, s.state = view, selected
	if err := s.tellSelected(ctx); err != nil {
		s.deselect()
		return completion{}, err
	}
	if !s.writable() {
		return okCode("READ-ONLY", "Selected"), nil
	}
	return okCode("READ-WRITE", "Selected"), nil
}

// deselect gives up the selected mailbox, if there is one.
func (s *session) deselect() {
	if s.view != nil {
		s.view.Close()
		s.view = nil
	}
	s.lost, s.stale = false, false
	if s.state == selected {
		s.state = authenticated
	}
}

// changing are the rights of which one is enough to change something.
const changing = store.RightSeen | store.RightWrite | store.RightInsert | store.RightDelete

// writable says whether the user can change anything in the selected mailbox,
// RFC 4314 section 5.2.
func (s *session) writable() bool {
	return !s.view.ReadOnly() && s.view.Mailbox().Rights&changing != 0
}

// tellSelected writes what SELECT has to tell.
func (s *session) tellSelected(ctx context.Context) error {
	state := s.view.State()
	s.tellFlagNames()
	s.counted(int(state.Exists), "EXISTS")
	s.recent = s.view.Recent()
	s.counted(s.recent, "RECENT")
	if err := s.tellFirstUnseen(ctx, state); err != nil {
		return err
	}
	s.untagged("OK", "UIDVALIDITY "+strconv.FormatUint(uint64(state.UIDValidity), 10), "UIDs are valid")
	s.untagged("OK", "UIDNEXT "+strconv.FormatUint(uint64(state.UIDNext), 10), "Predicted next UID")
	return nil
}

// tellFlagNames writes FLAGS and PERMANENTFLAGS.
func (s *session) tellFlagNames() {
	const all = store.FlagAnswered | store.FlagFlagged | store.FlagDeleted | store.FlagSeen | store.FlagDraft
	s.keywords, s.rights = len(s.view.Keywords()), s.view.Mailbox().Rights
	b := append(s.c.Out(), "* FLAGS ("...)
	b = s.appendFlagNames(b, all, true)
	s.c.Done(append(b, ")\r\n"...))

	bits, keywords := s.permanent()
	code := s.appendFlagNames([]byte("PERMANENTFLAGS ("), bits, keywords)
	if keywords && s.keywords < store.MaxKeywords {
		if code[len(code)-1] != '(' {
			code = append(code, ' ')
		}
		code = append(code, `\*`...)
	}
	s.untagged("OK", string(append(code, ')')), "Flags that can be changed")
}

// scanUnseen is the largest mailbox that is looked through for its first unseen
// message: opening a large one must not read its index.
const scanUnseen = 1000

// tellFirstUnseen writes UNSEEN where that is cheap. Without it clients assume
// nothing (RFC 3501 section 6.3.1).
func (s *session) tellFirstUnseen(ctx context.Context, state store.State) error {
	if state.Unseen == 0 || state.Exists > scanUnseen {
		return nil
	}
	if err := s.view.Load(ctx); err != nil {
		return err
	}
	for seq := 1; seq <= s.view.Len(); seq++ {
		if s.view.At(seq).Flags&store.FlagSeen == 0 {
			s.untagged("OK", "UNSEEN "+strconv.Itoa(seq), "First unseen message")
			return nil
		}
	}
	return nil
}
