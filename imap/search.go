package imap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tripost/imap/search"
	"tripost/store"
	"tripost/syslog"
)

// search answers SEARCH and UID SEARCH. RFC 9051 section 6.4.4, RFC 4731.
func (s *session) search(ctx context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	ret := p.returns()
	if s.has(featureRev2) && !ret.asked {
		ret = returns{asked: true, all: true} // RFC 9051 section 6.4.4
	}
	var lowest store.UID
	root, err := p.searchProgram(s.searchTerms())
	if err == nil {
		err = scorable(&ret, nil, root)
	}
	if err == nil {
		lowest, err = s.find(ctx, cmd, &ret, root)
	}
	done, err := s.searched(&ret, err)
	if err == nil {
		done = s.asFarAs(done, lowest)
	}
	return done, err
}

// searched completes a search. One that was to be saved and is refused leaves an
// empty result (RFC 5182 section 2.1); a syntax error leaves what there was.
func (s *session) searched(ret *returns, err error) (completion, error) {
	s.tellDamaged()
	if err == nil {
		return ok("Done"), nil
	}
	if ret.save && !errors.Is(err, errSyntax) {
		s.saved = nil
	}
	if errors.Is(err, search.ErrTooMuch) {
		err = &limitError{"The search would take too much: narrow it"}
	}
	return completion{}, err
}

// find searches the selected mailbox and tells what it found. It returns the lowest
// UID that it looked at, 0 where it looked at all messages.
func (s *session) find(ctx context.Context, cmd *command, ret *returns, root *search.Key) (lowest store.UID, err error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	lowest = s.cutSearch(root, s.view)
	var f findings
	if err := f.search(ctx, s.searching(cmd, root), ret); err != nil {
		return 0, err
	}
	if lowest != 0 && !ret.asked {
		slices.Reverse(f.seqs) // as they were dealt with
	}
	s.tellResult("SEARCH", cmd, ret, root, &f)
	return lowest, nil
}

// findAll finds the messages that a SORT or THREAD is about.
func (s *session) findAll(ctx context.Context, cmd *command, root *search.Key) (e *search.Search, f findings, err error) {
	if err := s.ready(ctx); err != nil {
		return nil, f, err
	}
	if lowest := s.cutSearch(root, s.view); lowest != 0 {
		return nil, f, s.withinLimit(s.view.Len()) // RFC 9738 section 3.3
	}
	e = s.searching(cmd, root)
	err = f.search(ctx, e, &returns{})
	return e, f, err
}

// ready makes the selected mailbox's index ready to be read.
func (s *session) ready(ctx context.Context) error {
	if err := s.view.Load(ctx); err != nil {
		return err
	}
	return s.view.Readable(ctx)
}

// searching prepares a search of the selected mailbox, which is ready.
func (s *session) searching(cmd *command, root *search.Key) *search.Search {
	if root.Has(search.ModSeq) {
		s.enableCondstore()
	}
	return search.New(s.view, root, s.searchOptions(cmd, s.view))
}

// tellResult writes the answer of SEARCH or SORT, and keeps the result for "$".
func (s *session) tellResult(name string, cmd *command, ret *returns, root *search.Key, f *findings) {
	if ret.save {
		s.saved = uidSet(f.kept(ret), s.view)
	}
	modSeq := store.ModSeq(0)
	if root.Has(search.ModSeq) {
		modSeq = f.modSeq(ret, s.view)
	}
	switch {
	case !ret.asked:
		s.tellFound(name, f.seqs, numbering(s.view, cmd.uid), modSeq)
	case ret.tells():
		s.tellExtended(searchCorrelator(cmd), cmd.uid, ret, f, numbering(s.view, cmd.uid), modSeq)
	}
}

// numbering gives messages their number in an answer: the UID or the sequence
// number.
func numbering(v *store.View, uid bool) func(seq int) uint64 {
	if !uid {
		return func(seq int) uint64 { return uint64(seq) }
	}
	return func(seq int) uint64 { return uint64(v.At(seq).UID) }
}

// searchOptions are those of a search of a mailbox.
func (s *session) searchOptions(cmd *command, v *store.View) search.Options {
	limits := s.srv.cfg.Limits
	return search.Options{
		Store: s.srv.cfg.Store, Pool: s.srv.searches, Columns: s.srv.columns, Collation: s.comparator.Collation,
		Header: limits.Header, Octets: limits.SearchOctets, Memory: limits.SortMemory,
		Alive:   s.searchProgress(cmd.tag, v.Len()),
		Damaged: func(u store.UID, err error) { s.noteDamaged(damagedMessage{keyOf(v), u}, v.Mailbox().Name, err) },
	}
}

// damagedMessage is one that a search could not look at.
type damagedMessage struct {
	mailboxKey
	uid store.UID
}

// noteDamaged logs that a search could not look at a message, once in a command.
func (s *session) noteDamaged(m damagedMessage, mailbox string, err error) {
	if s.damaged[m] {
		return
	}
	if s.damaged == nil {
		s.damaged = make(map[damagedMessage]bool)
	}
	s.damaged[m] = true
	s.log.Logf(syslog.Failure, "search passes over message %d of %q: %v", m.uid, mailbox, err)
}

// tellDamaged warns the client that the answer it has got may lack messages, which
// is no reason to refuse it the others: an untagged NO is a warning (RFC 9051
// section 7.1.2), the code is that of RFC 5530.
func (s *session) tellDamaged() {
	if n := len(s.damaged); n > 0 {
		s.untagged("NO", "CORRUPTION", fmt.Sprintf("Damaged messages, taken not to match: %d", n))
	}
	s.damaged = nil
}

// lookEvery is how often a search looks whether its client is still there.
const lookEvery = 100 * time.Millisecond

// searchProgress returns what a long search calls. The client is told from time to
// time how far it is (RFC 9585), and noticed when it has gone. One that has closed
// its side may still be waiting for the answer: whether it is there shows when it
// is told something.
func (s *session) searchProgress(tag string, n int) func(done int) error {
	told, looked := time.Now(), time.Now()
	return func(done int) error {
		now := time.Now()
		wait := s.srv.cfg.Timeouts.Progress
		if now.Sub(looked) >= lookEvery {
			looked = now
			if s.c.HungUp() {
				wait = min(wait, lookEvery)
			}
		}
		if now.Sub(told) < wait {
			return nil
		}
		told = now
		s.untagged("OK", fmt.Sprintf("INPROGRESS (%q %d %d)", tag, done, n), "Still searching")
		return broken(s.c.Flush())
	}
}
