package store_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"tripost/store"
	"tripost/store/engine/local"
)

// A message is delivered while a session has the mailbox open.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	e, err := local.Open(dir, local.Options{})
	if err != nil {
		log.Fatal(err)
	}
	s, err := store.New(ctx, e, store.Options{Undelete: 14 * 24 * time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	// The account, and who acts for it.
	ann := store.Identity{Name: "ann@company.test"}
	err = s.Update(ctx, func(tx *store.Tx) (err error) {
		ann.Account, err = tx.CreateAccount()
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	inbox := store.MailboxRef{Account: ann.Account, Name: "INBOX"}

	view, err := s.Open(ctx, ann, inbox, false)
	if err != nil {
		log.Fatal(err)
	}
	defer view.Close()

	// The octets are written once, then kept and appended in one transaction.
	draft, err := s.Draft(ctx, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer draft.Close()
	io.WriteString(draft, "Subject: Hello\r\n\r\nHello, Ann!\r\n")
	done, err := s.Append(ctx, store.System(), inbox, draft, store.FlagSet{}, time.Time{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("appended with UID", done.UID)

	fmt.Println("the session knows", view.Len(), "messages; changed:", view.Changed())
	changes, err := view.Refresh(ctx, false)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the session knows", view.Len(), "message; arrivals:", changes.Exists)
	// Output:
	// appended with UID 1
	// the session knows 0 messages; changed: true
	// the session knows 1 message; arrivals: true
}
