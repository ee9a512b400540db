package queue

import (
	"context"
	"fmt"
	"io"
	"slices"

	"tripost/accounts"
	"tripost/store"
)

// Inspector decides about a message when all of it has come in and nothing of it
// is recorded. Sessions set one for messages of strangers.
type Inspector interface {
	// Inspect may read the message as long as it runs. An error refuses the
	// message for all recipients: with a [*Refusal] the client learns why, any
	// other error is temporary.
	Inspect(ctx context.Context, m *Inspected) (Verdict, error)
}

// Inspected is what an [Inspector] is asked about.
type Inspected struct {
	ID    string             // queue id
	Local []accounts.Account // who get a copy into their mailboxes, each once
	Other bool               // some recipient is not among them
	Body  io.ReaderAt        // the message as it came, with CRLF
	Size  int64              // of Body, in octets
}

// Verdict is what becomes of a message that is taken.
type Verdict struct {
	Fields []byte            // header fields for its top, each with its CRLF
	Junk   []store.AccountID // whose copy goes to the mailbox for unwanted mail instead of the INBOX
}

// Refusal refuses a message, in the terms of an SMTP reply.
type Refusal struct {
	Code     int    // 4yz or 5yz
	Enhanced string // RFC 3463, "5.7.1"
	Reason   string // for the client
}

// Error returns the refusal in one line.
func (r *Refusal) Error() string { return fmt.Sprintf("%d %s %s", r.Code, r.Enhanced, r.Reason) }

// junkMailbox is where unwanted mail goes.
const junkMailbox = "Junk"

// inspect has the message judged, and returns a reader of it. Without an
// inspector that is the one that came.
func (p *parcel) inspect(ctx context.Context, body io.Reader) (io.Reader, error) {
	if p.env.Inspector == nil {
		return body, nil
	}
	p.spool = &spool{dir: p.q.o.SpoolDirectory}
	if _, err := io.Copy(&meter{w: p.spool, max: p.q.o.MaxSize}, body); err != nil {
		return nil, err
	}
	m := &Inspected{ID: formatID(p.id), Body: p.spool, Size: p.spool.size}
	for _, part := range p.plan.all() {
		m.Other = m.Other || len(part.dests) > 0 || len(part.discarded) > 0
		for _, c := range part.copies {
			same := func(a accounts.Account) bool { return a.ID == c.account.ID }
			if !slices.ContainsFunc(m.Local, same) {
				m.Local = append(m.Local, c.account)
			}
		}
	}
	v, err := p.env.Inspector.Inspect(ctx, m)
	if err != nil {
		return nil, err
	}
	p.fields = v.Fields
	for _, part := range p.plan.all() {
		part.toJunk(v.Junk)
	}
	return io.NewSectionReader(p.spool, 0, p.spool.size), nil
}

// toJunk leads copies for the INBOX of accounts to their mailbox for unwanted
// mail.
func (p *plan) toJunk(whose []store.AccountID) {
	for _, c := range slices.Clone(p.copies) {
		if c.mailbox != "" || !slices.Contains(whose, c.account.ID) {
			continue
		}
		c.mailbox, c.junk = junkMailbox, true
		at := place{c.account.ID, junkMailbox}
		other := p.byPlace[at]
		if other == nil {
			p.byPlace[at] = c
			continue
		}
		other.junk = true
		other.owners = append(other.owners, c.owners...)
		other.members = append(other.members, c.members...)
		for _, name := range c.individuals {
			other.add(name)
		}
		p.remove(c)
	}
}
