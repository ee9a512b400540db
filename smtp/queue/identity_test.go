package queue

import (
	"context"
	"errors"
	"strings"
	"testing"

	"tripost/accounts"
)

type allowed []string

func (a allowed) SendAs(context.Context, accounts.Account) ([]string, error) { return a, nil }

func TestOwnAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{OwnAddresses: true, Identities: allowed{"info@client.test", "@shop.test"}})
	must(t, w.dir.AddAlias(w.ctx, "annie@example.test", "ann@example.test"))
	ann, err := w.dir.Account(w.ctx, "ann@example.test")
	must(t, err)
	long := strings.Repeat("X-Filler: "+strings.Repeat("x", 100)+"\r\n", 1+holdAt/100)
	for _, c := range []struct {
		name, from, msg string
		ok              bool
	}{
		{"own", "ann@example.test", "From: Ann <annie@example.test>\r\n\r\n", true},
		{"no From", "annie@example.test", "Subject: x\r\n\r\nFrom: bob@example.test\r\n", true},
		{"null", "", "\r\n", true},
		{"allowed", "info@client.test", "From: any@SHOP.test\r\n\r\n", true},
		{"below what is allowed", "any@sub.shop.test", "\r\n", false},
		{"another's", "bob@example.test", "\r\n", false},
		{"nobody's", "nobody@example.test", "\r\n", false},
		{"another's From", "ann@example.test", "From: bob@example.test\r\n\r\n", false},
		{"folded", "ann@example.test", "From:\r\n bob@example.test\r\n\r\n", false},
		{"second", "ann@example.test", "From: ann@example.test\r\nFROM : bob@example.test\r\n\r\n", false},
		{"group", "ann@example.test", "From: us: bob@example.test;\r\n\r\n", false},
		{"empty group", "ann@example.test", "From: us:;\r\n\r\n", false},
		{"without a header's end", "ann@example.test", "From: bob@example.test", false},
		{"far down", "ann@example.test", long + "From: bob@example.test\r\n\r\n", false},
		{"long body", "ann@example.test", "From: ann@example.test\r\n\r\n" + long, true},
		{"the name lies", "ann@example.test", "From: \"bob@example.test\" <ann@example.test>\r\n\r\n", true},
	} {
		env := envelope(c.from, "team@example.test")
		env.Source.Account, env.Source.Client, env.Submission = &ann, false, true
		_, err := w.Submit(w.ctx, env, strings.NewReader(c.msg))
		var refused *SenderError
		if c.ok && err != nil || !c.ok && !errors.As(err, &refused) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	env := envelope("bob@example.test", "team@example.test")
	if _, err := w.Submit(w.ctx, env, strings.NewReader("From: x@y.test\r\n\r\n")); err != nil {
		t.Errorf("a client address: %v", err)
	}
}

// Who was locked after signing in sends nothing more, to nobody.
func TestLockedAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, err := w.dir.Account(w.ctx, "ann@example.test")
	must(t, err)
	_, err = w.dir.SetAccount(w.ctx, "ann@example.test", func(a *accounts.Account) error {
		a.Locked = true
		return nil
	})
	must(t, err)
	env := envelope("ann@example.test", "bob@example.test")
	env.Source.Account = &ann
	var refused *SenderError
	if err := w.CheckSender(w.ctx, env.From, env.Source); !errors.As(err, &refused) {
		t.Errorf("at MAIL: %v", err)
	}
	if _, err := w.Submit(w.ctx, env, strings.NewReader(hello)); !errors.As(err, &refused) || len(w.inbox("bob")) != 0 {
		t.Errorf("at the message: %v", err)
	}
}

// A refused message is not charged to the account, and one to recipients here
// neither.
func TestFlowOfSubmissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Flow: Flow{Recipients: 2}, MaxItems: 1})
	ann, err := w.dir.Account(w.ctx, "ann@example.test")
	must(t, err)
	send := func(to ...string) error {
		env := envelope("ann@example.test", to...)
		env.Source.Account = &ann
		_, err := w.Submit(w.ctx, env, strings.NewReader(hello))
		return err
	}
	must(t, send("bob@example.test", "team@example.test"))
	if err := send("a@x.test", "b@x.test", "c@y.test"); !errors.Is(err, ErrFlow) {
		t.Errorf("too many: %v", err)
	}
	w.quota("bob", 10)
	var refused *RecipientError
	if err := send("a@x.test", "b@x.test", "bob@example.test"); !errors.As(err, &refused) {
		t.Errorf("over quota: %v", err)
	}
	must(t, send("a@x.test", "b@x.test"))
}
