package accounts

import (
	"context"
	"crypto/sha256"
	"fmt"

	"tripost/store"
)

// Standing is what a session's right to go on rests on. As long as two of an
// account are equal, who had the first may have the second too. Each session keeps
// one, so it is short: of the stored form of the password, which is a hash with a salt
// already, a digest.
type Standing struct{ password [sha256.Size / 2]byte }

func standingOn(password string) (s Standing) {
	sum := sha256.Sum256([]byte(password))
	copy(s.password[:], sum[:])
	return s
}

// Standing returns what an account's sessions rest on. The errors say that nobody
// may have one: [ErrNoAccount], [ErrLocked], and [ErrService] where the service is
// off for the account or its domain.
func (d *Directory) Standing(ctx context.Context, id store.AccountID, service Service) (Standing, error) {
	rec, err := d.signInRecord(ctx, LoginRoute{Account: Account{ID: id}})
	switch {
	case err != nil:
		err = fmt.Errorf("standing of account %d: %w", id, err)
	case rec.account.Locked:
		err = ErrLocked
	case rec.missing(service) != "":
		err = ErrService
	}
	if err != nil {
		return Standing{}, err
	}
	return standingOn(rec.credentials.hash), nil
}

// WatchStanding calls wake after commits that may have changed an account's
// standing; it may be called without need. A service that is switched off for the
// domain is noticed with the next of them. wake must not block. After stop has
// returned, wake is not called again.
func (d *Directory) WatchStanding(id store.AccountID, wake func()) (stop func()) {
	account := d.store.Watch(store.SpaceDirectory, idKey(keyAccount, id), wake)
	password := d.store.Watch(store.SpaceDirectory, idKey(keyPassword, id), wake)
	return func() {
		account()
		password()
	}
}
