package main

import (
	"context"
	"errors"
	"strings"

	"tripost/accounts"
	"tripost/smtp/dkim"
	"tripost/smtp/queue"
)

// signer signs what goes out with the keys of the domain that it is from.
type signer struct {
	keys      *dkim.Keys
	directory *accounts.Directory
}

// Sign is [queue.Signer]. The domain in From signs; where that is none of ours,
// the domain of the reverse-path.
func (s signer) Sign(ctx context.Context, m *queue.Outgoing) ([]byte, error) {
	_, sender, _ := strings.Cut(m.From, "@")
	for _, name := range []string{dkim.Author(m.Body, m.Size), sender} {
		domain, as, err := s.ours(ctx, name)
		if err != nil {
			return nil, err
		}
		if domain != "" {
			return s.keys.Sign(ctx, domain, as, m.Body, m.Size)
		}
	}
	return nil, nil
}

// maxAbove is how many labels are left out to find the domain that a host name,
// such as that of this server in its reports, belongs to.
const maxAbove = 5

// ours finds our domain to which a name belongs: itself, or one above it. as is
// the domain, or the alias of it, as the name has it.
func (s signer) ours(ctx context.Context, name string) (domain, as string, err error) {
	for range maxAbove {
		if name == "" {
			break
		}
		dom, err := s.directory.Domain(ctx, name)
		if err == nil {
			as, err = accounts.CanonicalDomain(name)
			return dom.Name, as, err
		}
		if !errors.Is(err, accounts.ErrNoDomain) && !errors.Is(err, accounts.ErrBadName) {
			return "", "", err
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return "", "", nil
}
