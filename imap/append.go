package imap

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"time"

	"tripost/store"
)

// isAppendMessage says whether a literal after these arguments of APPEND is a
// message, or a piece of one. The only other one is the mailbox name, which comes
// first.
func isAppendMessage(args []byte) bool { return len(bytes.TrimLeft(args, " ")) > 0 }

// append answers APPEND of one or several messages, which are all appended or none.
// What can be refused is refused before a message is asked for; then it goes to the
// store as it comes in. RFC 3501 section 6.3.11, RFC 3502, APPENDUID of RFC 4315
// section 3.
func (s *session) append(ctx context.Context, cmd *command) (completion, error) {
	cmd.args.space()
	name := cmd.args.mailbox()
	up := uploads{s: s, cmd: cmd}
	defer up.close()
	if err := up.head(); err != nil {
		return completion{}, err
	}
	if err := up.into(ctx, name); err != nil {
		return completion{}, err
	}
	if err := up.all(ctx); err != nil {
		return completion{}, err
	}
	appended, err := s.srv.cfg.Store.AppendAll(ctx, s.user, up.target, up.list)
	if err != nil {
		return completion{}, tryCreate(err)
	}
	s.stale = true // it may have been the selected mailbox
	s.ownMessages(up.target, appendedUIDs(appended))
	return okCode(appendUID(appended), "Appended"), nil
}

func appendedUIDs(list []store.Appended) (uids store.UIDSet) {
	for _, a := range list {
		uids.Add(a.UID, a.UID)
	}
	return uids
}

// appendUID is the response code APPENDUID.
func appendUID(list []store.Appended) string {
	var set store.UIDSet
	for _, a := range list {
		set.Add(a.UID, a.UID)
	}
	return string(set.Append(fmt.Appendf(nil, "APPENDUID %d ", list[0].UIDValidity)))
}

// Bounds of one APPEND.
const (
	maxUploads = 1000    // messages
	maxHeld    = 8 << 20 // octets of messages in memory: the others wait on disk
)

// uploads are the messages of one APPEND or REPLACE, as they come in.
type uploads struct {
	s      *session
	cmd    *command
	target store.MailboxRef
	room   int64 // octets that the quota leaves for them; below 0: it is none
	list   []store.Upload
	held   int64 // octets of messages in memory

	// What stands before the message that comes next.
	flags store.FlagSet
	date  time.Time
	form  uploadForm
}

// uploadForm is how a message is given.
type uploadForm uint8

const (
	formLiteral  uploadForm = iota
	formBinary              // literal8, RFC 3516 section 4.4
	formCatenate            // in pieces, RFC 4469
	formUTF8                // literal8, internationalized: RFC 6855 section 4
)

func (u *uploads) close() {
	for _, one := range u.list {
		one.Draft.Close()
	}
}

// head parses what stands before a message. RFC 3502 section 6.
func (u *uploads) head() error {
	p := &u.cmd.args
	u.flags, u.date, u.form = store.FlagSet{}, time.Time{}, formLiteral
	p.space()
	if p.peek() == '(' {
		u.flags = p.flagList()
		p.space()
	}
	if p.peek() == '"' {
		u.date = p.dateTime()
		p.space()
	}
	switch {
	case p.acceptWord("CATENATE"):
		u.form = formCatenate
		p.space()
		p.expect('(')
	case p.acceptWord("UTF8"):
		u.form = formUTF8
		p.space()
		p.expect('(')
		u.announced()
	case p.peek() == '~':
		u.form = formBinary
		u.announced()
	default:
		u.announced()
	}
	return p.err
}

// announced consumes the announcement of the literal that waits to be read.
func (u *uploads) announced() {
	p := &u.cmd.args
	if p.err == nil && !u.cmd.pending {
		p.fail("Expected a message literal")
	}
	if lit, n, found := literalHead(p.b[p.i:]); p.err == nil && (!found || n != len(p.b)-p.i || lit != u.cmd.announced) {
		p.fail("Expected a message literal")
	}
}

// dateTime consumes a date-time such as "17-Jul-1996 02:44:25 -0700".
func (p *parser) dateTime() time.Time {
	t, err := time.Parse("_2-Jan-2006 15:04:05 -0700", string(p.quoted()))
	if err != nil {
		p.fail("Expected a date such as \"17-Jul-1996 02:44:25 -0700\"")
	}
	return t
}

// into finds the mailbox and refuses early what would be refused late.
func (u *uploads) into(ctx context.Context, name string) (err error) {
	s := u.s
	if u.target, err = s.resolve(ctx, name); err != nil {
		return tryCreate(err)
	}
	box, _, err := s.srv.cfg.Store.Mailbox(ctx, s.user, u.target)
	switch {
	case err != nil:
		return tryCreate(err)
	case !box.Selectable:
		return tryCreate(store.ErrNotSelectable)
	case box.Rights&store.RightInsert == 0:
		return store.ErrNoRight
	case s.individual(u.target) != "": // it would be there, and not be shown
		return refuse(no("CANNOT", "This mailbox shows what came in for one name; use another one"))
	}
	return s.srv.cfg.Store.View(ctx, func(r *store.Snapshot) (err error) {
		if u.room, _, err = r.Room(u.target.Account); u.room == math.MaxInt64 {
			u.room = -1
		}
		return err
	})
}

// all takes the messages, of which the first one's head has been parsed.
func (u *uploads) all(ctx context.Context) error {
	for {
		if err := u.take(ctx); err != nil {
			return err
		}
		if !u.cmd.args.more() {
			return nil
		}
		if err := u.s.withinLimit(len(u.list) + 1); err != nil {
			return err
		}
		if len(u.list) == maxUploads {
			return refuse(no("LIMIT", "Too many messages in one command"))
		}
		if err := u.head(); err != nil {
			return err
		}
	}
}

// one takes the only message there may be.
func (u *uploads) one(ctx context.Context) error {
	if err := u.take(ctx); err != nil {
		return err
	}
	return u.cmd.args.end()
}

// take reads the message whose head has been parsed.
func (u *uploads) take(ctx context.Context) error {
	size := u.cmd.announced.size
	if u.form == formCatenate {
		size = 0
	} else if err := u.admit(size); err != nil {
		return err
	}
	hint := size
	if u.held+size > maxHeld {
		hint = maxHeld // too much to be held
	}
	draft, err := u.s.srv.cfg.Store.Draft(ctx, hint)
	if err != nil {
		return err
	}
	u.list = append(u.list, store.Upload{Draft: draft, Flags: u.flags, Date: u.date})
	if u.form == formCatenate {
		err = u.catenate(draft)
	} else {
		err = u.s.receive(u.cmd, draft)
	}
	if u.form == formUTF8 && err == nil {
		draft.International()
		u.cmd.args.expect(')')
		err = u.cmd.args.err
	}
	if err != nil {
		return err
	}
	if hint < maxHeld {
		u.held += draft.Size()
	}
	if u.room >= 0 {
		u.room -= draft.Size()
	}
	return nil
}

// admit refuses a message, or so much of one, that cannot be kept. An empty one
// gives up the whole command (RFC 3502 section 6.3.11).
func (u *uploads) admit(size int64) error {
	switch limit := u.s.srv.cfg.Limits.Message; {
	case size > limit:
		return refuse(no("TOOBIG", fmt.Sprintf("Messages may have %d octets", limit)))
	case size == 0:
		return refuse(no("CANNOT", "A message cannot be empty"))
	case u.room >= 0 && size > u.room:
		return store.ErrOverQuota
	}
	return nil
}
