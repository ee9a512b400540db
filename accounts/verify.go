package accounts

import (
	"context"
	"fmt"
)

// verify reports whether the password fits. It is the one place where a
// password in clear is checked. At most as many are hashed at once as
// AuthOptions.Parallel says; the others queue until ctx ends.
func (a *Authenticator) verify(ctx context.Context, c credentials, password string) (bool, error) {
	if len(password) > maxPassword {
		return false, nil // no account has such a one
	}
	hash, exists := a.nobody, c.hash != ""
	if exists {
		var err error
		if hash, err = parseHash(c.hash); err != nil {
			return false, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	release, err := a.takeTurn(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	a.hashed.Add(1)
	fits := hash.fits(preparePassword(password))
	return fits && exists && password != "", nil
}

// takeTurn waits until a password may be hashed. release lets the next one in.
func (a *Authenticator) takeTurn(ctx context.Context) (release func(), err error) {
	select {
	case a.hashing <- struct{}{}:
		return func() { <-a.hashing }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// renew derives the credentials of a right password again if the directory's
// costs have changed since, so that no account stays behind with old ones, which
// would also show by their time that the account exists.
func (a *Authenticator) renew(ctx context.Context, rec signInRecord, password string) error {
	d := a.directory
	if rec.credentials.costs() == d.params {
		return nil
	}
	release, err := a.takeTurn(ctx)
	if err != nil {
		return err
	}
	fresh, err := d.derive(password)
	release()
	if err != nil {
		return err
	}
	key := idKey(keyPassword, rec.account.ID)
	return d.update(ctx, func(w *writer) error {
		kept, err := w.credentials(rec.account.ID)
		if err != nil || kept.hash != rec.credentials.hash { // it was changed meanwhile
			return err
		}
		w.put(key, encodeCredentials(fresh))
		return nil
	})
}

// costs returns what the credentials were made with.
func (c credentials) costs() PasswordParams {
	h, err := parseHash(c.hash)
	if err != nil {
		return PasswordParams{}
	}
	h.params.ScramRounds = c.scram.rounds
	return h.params
}
