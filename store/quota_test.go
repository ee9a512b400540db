package store_test

import (
	"errors"
	"fmt"
	"testing"

	"tripost/store"
)

func TestQuota(t *testing.T) {
	s, ann := open(t)
	bob := newAccount(t, s, "bob")
	inbox := box(ann, "INBOX")
	size := int64(len(mail("x")))
	quota := func(octets, messages int64) {
		t.Helper()
		if err := s.Update(ctx, func(tx *store.Tx) error { return tx.SetQuota(ann.Account, octets, messages) }); err != nil {
			t.Fatal(err)
		}
	}
	usage := func(want string) {
		t.Helper()
		u, err := s.Usage(ctx, ann.Account)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "usage", fmt.Sprint(u.Octets/size, u.Messages, u.OctetLimit/size, u.MessageLimit), want)
	}
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrOverQuota) {
			t.Errorf("%s: %v", what, err)
		}
	}
	quota(3*size, 0)
	for range 3 {
		appendTo(t, s, store.System(), inbox, mail("x"), store.FlagSet{})
	}
	usage("3 3 3 0")
	_, err := tryAppend(s, store.System(), inbox, mail("x"), store.FlagSet{})
	refused("a fourth by octets", err)

	v := openView(t, s, ann, inbox)
	_, err = v.Copy(ctx, span(1, 1), inbox)
	refused("a copy", err)
	if _, err := v.Move(ctx, span(1, 1), inbox); err != nil {
		t.Errorf("a move within the account: %v", err)
	}
	if _, err := v.Expunge(ctx, span(2, 2), true); err != nil {
		t.Errorf("expunging when full: %v", err)
	}
	usage("2 2 3 0") // what can be restored does not count
	quota(0, 2)
	_, err = tryAppend(s, ann, inbox, mail("x"), store.FlagSet{})
	refused("a third by number", err)
	appendBeyond := func(a store.Allowance) error {
		d, err := s.Draft(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		fmt.Fprint(d, mail("x"))
		return s.Update(ctx, func(tx *store.Tx) error {
			body, err := tx.Keep(d)
			if err == nil {
				_, err = tx.Append(store.System(), inbox, store.NewMessage{Body: body, Beyond: a})
			}
			if err == nil {
				err = tx.Drop(body)
			}
			return err
		})
	}
	quota(size, 1)
	for _, a := range []store.Allowance{{}, {Octets: 2 * size}, {Messages: 2}, {2*size - 1, 2}, {2 * size, 1}} {
		refused(fmt.Sprintf("a third with %+v", a), appendBeyond(a))
	}
	if err := appendBeyond(store.Allowance{Octets: 2 * size, Messages: 2}); err != nil {
		t.Errorf("a third beyond both limits: %v", err)
	}
	v = openView(t, s, ann, inbox)
	if _, err := v.Expunge(ctx, span(3, 3), true); err != nil {
		t.Fatal(err)
	}
	quota(0, 2)

	appendTo(t, s, bob, box(bob, "INBOX"), mail("x"), store.FlagSet{})
	setACL(t, s, ann, inbox, "bob@company.test lri")
	_, err = openView(t, s, bob, box(bob, "INBOX")).Move(ctx, span(1, 1), inbox)
	refused("a move from another account", err)
	usage("2 2 0 2")

	var items []store.Expunged
	for x := range s.Expunged(ctx, ann.Account) {
		items = append(items, x)
	}
	_, err = s.Restore(ctx, ann.Account, items)
	refused("restoring", err)
	if err := s.Update(ctx, func(tx *store.Tx) error { return tx.SetQuota(ann.Account, -1, 0) }); err == nil {
		t.Error("a limit below zero passes")
	}
}

// A refused append leaves nothing behind, so that the others of the same
// transaction can be made.
func TestOneTransactionSomeRecipients(t *testing.T) {
	s, ann := open(t)
	bob := newAccount(t, s, "bob")
	if err := s.Update(ctx, func(tx *store.Tx) error { return tx.SetQuota(bob.Account, 10, 0) }); err != nil {
		t.Fatal(err)
	}
	d, err := s.Draft(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	fmt.Fprint(d, mail("to both"))
	var errs []error
	err = s.Update(ctx, func(tx *store.Tx) error {
		errs = nil
		body, err := tx.Keep(d)
		if err != nil {
			return err
		}
		for _, ref := range []store.MailboxRef{box(ann, "INBOX"), box(bob, "INBOX"), box(bob, "none"), box(ann, "INBOX")} {
			_, err := tx.Append(store.System(), ref, store.NewMessage{Body: body})
			errs = append(errs, err)
		}
		return tx.Drop(body)
	})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []error{nil, store.ErrOverQuota, store.ErrNoMailbox, nil} {
		if !errors.Is(errs[n], want) {
			t.Errorf("append %d: %v, want %v", n, errs[n], want)
		}
	}
	equal(t, "ann's", show(openView(t, s, ann, box(ann, "INBOX"))), "1 2")
	equal(t, "bob's", show(openView(t, s, bob, box(bob, "INBOX"))), "")
} // the check at the end finds a reference too many
