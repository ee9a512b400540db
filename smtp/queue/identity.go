package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"tripost/accounts"
	mail "tripost/message"
	"tripost/router"
	"tripost/store"
)

// Identities tells what addresses beside its own an account may send as: an
// address, "@domain" for all of a domain, or "*" for any.
type Identities interface {
	SendAs(ctx context.Context, a accounts.Account) ([]string, error)
}

// SenderError says that an account may not send as an address.
type SenderError struct {
	Address string // of the reverse-path, or of the From field
	Reason  string // for the reply, without the address
}

// Error returns the refusal in one line.
func (e *SenderError) Error() string { return "<" + e.Address + "> " + e.Reason }

// identity decides what one submission may be sent as. It asks for each address
// once.
type identity struct {
	q       *Queue
	account *accounts.Account
	may     map[string]bool
	sendAs  []string
	asked   bool
}

// identityOf returns nil for who is not held to addresses: those who have not
// signed in are known by where they are, not by an address.
func (q *Queue) identityOf(src *Source) *identity {
	if !q.o.OwnAddresses || src.Account == nil || src.Internal {
		return nil
	}
	return &identity{q: q, account: src.Account, may: make(map[string]bool)}
}

// CheckSender tells whether a source may use a reverse-path, without a message:
// it is the answer to MAIL. A refusal is a [*SenderError]; any other error means
// that the answer could not be found now. The null reverse-path is anybody's.
func (q *Queue) CheckSender(ctx context.Context, from string, src Source) error {
	if err := q.checkAccount(ctx, &src); err != nil {
		return err
	}
	return q.identityOf(&src).check(ctx, from)
}

// checkAccount refuses an account that was locked or removed after it signed in:
// a session may last long, and what has fallen into wrong hands must send nothing
// more, not even to recipients here.
func (q *Queue) checkAccount(ctx context.Context, src *Source) error {
	if src.Account == nil {
		return nil
	}
	now, err := q.dir.AccountByID(ctx, src.Account.ID)
	return src.stopped(now, err)
}

// mayStillSend is checkAccount within the transaction that records the message:
// what an account has submitted was recorded before it was locked, or never is.
func (q *Queue) mayStillSend(tx *store.Tx, src *Source) error {
	if src.Account == nil {
		return nil
	}
	now, err := q.dir.In(&tx.Snapshot).AccountByID(src.Account.ID)
	return src.stopped(now, err)
}

// stopped is the refusal for what became of the account, or nil.
func (s *Source) stopped(now accounts.Account, err error) error {
	switch {
	case errors.Is(err, accounts.ErrNoAccount), err == nil && now.Locked:
		return &SenderError{s.Account.Address(), "may not send mail now"}
	case err != nil:
		return fmt.Errorf("account %q: %w", s.Account.Address(), err)
	}
	return nil
}

func (id *identity) check(ctx context.Context, addr string) error {
	if id == nil || addr == "" || id.may[addr] {
		return nil
	}
	ok, err := id.owns(ctx, addr)
	if err == nil && !ok {
		ok, err = id.sendsAs(ctx, addr)
	}
	if err != nil {
		return err
	}
	if !ok {
		return &SenderError{addr, "is not an address of " + id.account.Address()}
	}
	id.may[addr] = true
	return nil
}

// owns tells whether mail to the address would get to the account.
func (id *identity) owns(ctx context.Context, addr string) (bool, error) {
	res, err := id.q.route(ctx, addr)
	if err != nil {
		return false, err
	}
	return res.Kind == router.Local && res.Account.ID == id.account.ID, nil
}

func (id *identity) sendsAs(ctx context.Context, addr string) (bool, error) {
	if id.q.o.Identities == nil {
		return false, nil
	}
	if !id.asked {
		var err error
		if id.sendAs, err = id.q.o.Identities.SendAs(ctx, *id.account); err != nil {
			return false, fmt.Errorf("addresses of %q: %w", id.account.Address(), err)
		}
		id.asked = true
	}
	at := strings.LastIndexByte(addr, '@')
	for _, allowed := range id.sendAs {
		switch {
		case allowed == "*", strings.EqualFold(allowed, addr):
			return true, nil
		case at >= 0 && strings.HasPrefix(allowed, "@") && strings.EqualFold(allowed, addr[at:]):
			return true, nil
		}
	}
	return false, nil
}

// checkHeader holds all From fields of a message against the account. A header
// in which they cannot be read for certain is refused: another program may read
// in it what this one does not. One without From claims nothing.
func (id *identity) checkHeader(ctx context.Context, head []byte) error {
	if id == nil {
		return nil
	}
	if len(head) >= holdAt && !bytes.Contains(head, []byte("\r\n\r\n")) {
		return &SenderError{id.account.Address(), "sends a header that is too long"}
	}
	for _, f := range mail.Fields(head) {
		if !f.Is("From") {
			continue
		}
		_, value, _ := strings.Cut(string(f.Raw), ":")
		list, err := mail.ParseAddressList(value)
		if err != nil || len(list) == 0 {
			return &SenderError{id.account.Address(), "sends a From field without a valid address"}
		}
		for _, a := range list {
			if err := id.check(ctx, a.Addr()); err != nil {
				return err
			}
		}
	}
	return nil
}
