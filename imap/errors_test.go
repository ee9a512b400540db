package imap

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"tripost/accounts"
	"tripost/store"
	"tripost/store/engine"
)

func TestErrorToResponse(t *testing.T) {
	s := &session{}
	for _, test := range []struct {
		err          error
		status, code string
	}{
		{&syntaxError{"x"}, "BAD", ""},
		{&limitError{"x"}, "NO", "LIMIT"},
		{context.Canceled, "NO", "UNAVAILABLE"},
		{engine.ErrReadOnly, "NO", "UNAVAILABLE"},
		{engine.ErrDamaged, "NO", "CORRUPTION"},
		{store.ErrNoMailbox, "NO", "NONEXISTENT"},
		{accounts.ErrNoMailbox, "NO", "NONEXISTENT"},
		{tryCreate(store.ErrNoMailbox), "NO", "TRYCREATE"},
		{tryCreate(store.ErrNotSelectable), "NO", "TRYCREATE"},
		{tryCreate(store.ErrOverQuota), "NO", "OVERQUOTA"},
		{&store.RightError{Right: store.RightDelete, Mailbox: "x"}, "NO", "NOPERM"},
		{store.ErrMailboxExists, "NO", "ALREADYEXISTS"},
		{store.ErrBadName, "NO", "CANNOT"},
		{store.ErrInbox, "NO", "CANNOT"},
		{store.ErrKeywords, "NO", "LIMIT"},
		{store.ErrNoMessage, "NO", "EXPUNGEISSUED"},
		{store.ErrReadOnlyView, "NO", "READ-ONLY"},
		{errors.New("the disk is on fire"), "NO", "SERVERBUG"},
		{refuse(okCode("X", "y")), "OK", "X"},
	} {
		got := s.errorToResponse(fmt.Errorf("doing it: %w", test.err))
		if got.status != test.status || got.code != test.code {
			t.Errorf("%v gives %s [%s], want %s [%s]", test.err, got.status, got.code, test.status, test.code)
		}
		if got.code == "SERVERBUG" && got.text == test.err.Error() {
			t.Errorf("the client is told %q", got.text)
		}
	}
}
