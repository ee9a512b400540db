package store

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"tripost/store/engine"
)

// A message of an account that several people share names those it is for in a
// field of its header: [Options.IndividualField]. What one of them is shown is a
// mailbox within the mailbox, and has an index of its own: the message's record
// stands once more under each name. The names of a body are kept beside it, so
// that an index can be kept without reading the header again.

const (
	// maxIndividuals bounds the names that one message is indexed under; those
	// behind them do not count.
	maxIndividuals = 4096
	// maxIndividual bounds one name in octets; RFC 5321 section 4.5.3.1.1 allows
	// a local part 64.
	maxIndividual = 255
)

// OpenIndividual opens the part of a mailbox that is for one of the people who
// share its account: the messages whose [Options.IndividualField] lists the
// name, alone or with a domain, in any case. What the others have is not there
// for the view, whatever it is asked to do. Its counters are those of the part,
// UIDs and modseqs those of the mailbox. It costs what the part holds, not what
// the mailbox does. The view claims no \Recent messages. See [Store.Open].
func (s *Store) OpenIndividual(ctx context.Context, id Identity, ref MailboxRef, name string, readOnly bool) (*View, error) {
	v := &View{s: s, id: id, readOnly: readOnly, withIDs: true, only: foldName(name)}
	if v.only == "" {
		v.only = noName
	}
	return s.open(ctx, v, ref, func(v *View, _ context.Context) error {
		v.setRecent()
		return nil
	})
}

// noName is a name that no message lists: the part for it is empty.
const noName = "\n"

// foldName brings a name to the form that its index has: letters that differ by
// case alone become one. It is empty for what cannot be a name.
func foldName(name string) string {
	if name == "" || len(name) > maxIndividual || strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name) {
		return ""
	}
	return strings.Map(foldRune, name)
}

func foldRune(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}

// individualNames returns the names that a message is indexed under, in order
// and once each, from the values of the field.
func individualNames(values []string) []string {
	var names []string
	add := func(name string) {
		if name = foldName(name); name != "" {
			names = append(names, name)
		}
	}
	for _, list := range values {
		for item := range strings.SplitSeq(list, ",") {
			if len(names) >= maxIndividuals {
				break
			}
			item = strings.Trim(item, " \t<>")
			add(item)
			if at := strings.LastIndexByte(item, '@'); at >= 0 {
				add(item[:at])
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func appendNames(names []string) []byte { return appendTexts([]byte{recordVersion}, names) }

// readNames returns the individuals that a body is for, nil for none.
func readNames(r engine.Reader, b Body) ([]string, error) {
	value, err := r.Get(namesKey(b))
	if err != nil || value == nil {
		return nil, err
	}
	d := newDecoder(value)
	names := d.texts()
	return names, d.err("individuals of a body")
}

// individuals returns the names that a message is indexed under. A failure is
// remembered for the end of the transaction.
func (tx *Tx) individuals(e *entry) []string {
	if !e.Individual {
		return nil
	}
	names, err := readNames(tx.r, e.Body)
	if err != nil && tx.err == nil {
		tx.err = err
	}
	return names
}

// putIndividuals writes a message's record into the indexes of its individuals.
func (tx *Tx) putIndividuals(k boxKey, e *entry, record []byte) {
	for _, name := range tx.individuals(e) {
		tx.tx.Put(individualKey(k, name, e.UID), record)
	}
}

// dropIndividuals takes a message out of the indexes of its individuals.
func (tx *Tx) dropIndividuals(k boxKey, e *entry) {
	for _, name := range tx.individuals(e) {
		tx.tx.Delete(individualKey(k, name, e.UID))
	}
}

// readPart reads the messages of the part that the view is limited to, as of the
// state, and puts the part's counters into the state.
func (v *View) readPart(ctx context.Context, r engine.Reader, st *State) (*index, error) {
	var b builder
	part := state{State: *st}
	part.clear()
	lo, hi := individualRange(v.key(), v.only)
	var e entry
	flags := flagReader{r: r, k: v.key()}
	n := 0
	for item, err := range r.Range(lo, hi) {
		if err == nil {
			err = flags.decode(&e, uidOf(item.Key), item.Value)
		}
		if n++; err == nil && n%askEvery == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		b.add(e.Message)
		part.count(&e, 1)
	}
	*st = part.State
	return b.index(st.HighestModSeq), nil
}

// recount brings the counters of a view of a part to its messages.
func (v *View) recount() {
	part := state{State: v.state}
	part.clear()
	for _, c := range v.x.chunks {
		for i := range c {
			if !v.gone.Contains(c[i].UID) {
				part.count(&entry{Message: c[i]}, 1)
			}
		}
	}
	v.state = part.State
}

// clear sets what is counted from messages to nothing.
func (s *state) clear() {
	s.Exists, s.Octets, s.Unseen, s.Deleted, s.Recent = 0, 0, 0, 0, 0
	s.Unended, s.UTF8Headers = 0, 0
}

// within returns the part of a set that the view may touch: all, unless it is a
// view of a part.
func (v *View) within(set UIDSet) UIDSet {
	if v.only == "" {
		return set
	}
	return set.minus(set.minus(v.x.uids()))
}

// partOf returns which messages of the part an Expunge is about: see there.
func (v *View) partOf(set UIDSet, any bool) UIDSet {
	if set == nil && !any {
		return v.x.uids()
	}
	return v.within(set)
}

// readPartDelta finds what happened to the part since the view's picture of it.
func (v *View) readPartDelta(ctx context.Context, r engine.Reader, d *delta) error {
	x, err := v.readPart(ctx, r, &d.state.State)
	if err != nil {
		return err
	}
	d.now = x
	return v.compare(ctx, r, d)
}
