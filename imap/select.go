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
	p := &cmd.args
	p.space()
	given := p.astring()
	name := p.name(given)
	params := selectParams{ranges: s.srv.cfg.Limits.SetRanges}
	if p.accept(' ') {
		p.selectParams(&params)
	}
	if err := p.end(); err != nil {
		return completion{}, err
	}
	if params.resync != nil && !s.has(featureQresync) {
		return bad("QRESYNC has not been enabled"), nil
	}
	if s.view != nil {
		s.deselect()
		// What comes after it is about the mailbox that is opened: RFC 7162
		// section 3.2.11.
		s.untagged("OK", "CLOSED", "The mailbox that was selected is closed")
	}
	s.deselect()
	name, ref, err := s.resolveName(ctx, name)
	if err != nil {
		return completion{}, err
	}
	params.name = name
	if s.has(featureRev2) && name != string(given) {
		params.given = string(given)
	}
	view, err := s.openMailbox(ctx, ref, readOnly)
	if err != nil {
		return completion{}, err
	}
	s.view, s.state, s.opened = view, selected, name
	s.modSeqs = modSeqs{complete: view.State().HighestModSeq}
	err = s.tellSelected(ctx, &params)
	if err == nil && params.resync != nil {
		err = s.resync(ctx, params.resync)
	}
	if err == nil {
		err = s.followAnnotations(ctx)
	}
	if err != nil {
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
		s.unwatchSelected()
		s.view.Close()
		s.view = nil
	}
	s.lost, s.stale, s.saved = false, false, nil
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
func (s *session) tellSelected(ctx context.Context, params *selectParams) error {
	state := s.view.State()
	s.tellFlagNames()
	s.counted(int(state.Exists), "EXISTS")
	if err := s.tellByVersion(ctx, params, &state); err != nil {
		return err
	}
	s.untagged("OK", "UIDVALIDITY "+strconv.FormatUint(uint64(state.UIDValidity), 10), "UIDs are valid")
	s.untagged("OK", "UIDNEXT "+strconv.FormatUint(uint64(state.UIDNext), 10), "Predicted next UID")
	if params.condstore {
		s.features |= featureCondstore
	}
	s.tellHighestModSeq() // to every client: RFC 7162 section 3.1.2.1
	box := s.view.Mailbox()
	s.untagged("OK", "MAILBOXID ("+mailboxID(&box)+")", "Of this mailbox for ever") // RFC 8474 section 4.2
	return nil
}

// tellByVersion writes what SELECT tells to some clients only: RECENT and UNSEEN by
// RFC 3501, the mailbox's line of LIST by RFC 9051 section 6.3.2, with the name that the client
// has given as the old one if the mailbox goes by another.
func (s *session) tellByVersion(ctx context.Context, params *selectParams, state *store.State) error {
	s.recent = s.view.Recent()
	if !s.has(featureRev2) {
		s.counted(s.recent, "RECENT")
		if s.has(featureUIDOnly) {
			return nil
		}
		return s.tellFirstUnseen(ctx, *state)
	}
	box := s.view.Mailbox()
	whole, _, err := s.srv.cfg.Store.Mailbox(ctx, s.user, store.MailboxRef{Account: box.Account, Name: box.Name})
	if err == nil {
		s.listLine("LIST", attributes(&whole), params.name, s.oldName(params.given))
	}
	return err
}

// selectParams are the parameters of SELECT and EXAMINE, RFC 4466 section 2.1.
type selectParams struct {
	name      string  // of the mailbox
	given     string  // as the client writes it, if otherwise
	condstore bool    // RFC 7162 section 3.1.8
	resync    *resync // nil: none
	ranges    int     // allowed in a set
}

// selectParams consumes the list of parameters.
func (p *parser) selectParams(s *selectParams) {
	p.list(false, func() {
		switch p.word() {
		case "CONDSTORE":
			s.condstore = true
		case "QRESYNC":
			p.space()
			s.resync = p.resync(s.ranges)
		default:
			p.fail("Unknown parameter of SELECT")
		}
	})
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
