package accounts

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"fmt"

	"github.com/xdg-go/scram"
)

// secretLength is the octets of the directory's secret.
const secretLength = 32

// scramKeys is what a server keeps for SCRAM-SHA-256. Whoever reads it can
// check guesses, but cannot sign in with it. RFC 5802 section 3.
type scramKeys struct {
	salt      string
	rounds    int
	storedKey []byte
	serverKey []byte
}

func deriveScramKeys(prepared string, salt []byte, rounds int) (scramKeys, error) {
	salted, err := pbkdf2.Key(sha256.New, prepared, salt, rounds, sha256.Size)
	if err != nil {
		return scramKeys{}, fmt.Errorf("deriving SCRAM keys: %w", err)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	return scramKeys{salt: string(salt), rounds: rounds, storedKey: stored[:], serverKey: mac(salted, "Server Key")}, nil
}

// noKeys returns keys that fit no password, for a name that does not exist or
// has no password. Asked again they are the same, as those of a real account
// are, so that the salt does not tell them apart.
func noKeys(secret []byte, name string, rounds int) scramKeys {
	return scramKeys{
		salt:      string(mac(secret, "salt of "+name)[:saltLength]),
		rounds:    rounds,
		storedKey: mac(secret, "stored key of "+name),
		serverKey: mac(secret, "server key of "+name),
	}
}

func (k scramKeys) stored() scram.StoredCredentials {
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: k.salt, Iters: k.rounds},
		StoredKey:  k.storedKey,
		ServerKey:  k.serverKey,
	}
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// ensureSecret keeps fresh as the directory's secret if there is none yet.
func (w *writer) ensureSecret(fresh []byte) error {
	b, err := w.get([]byte{keySecret})
	if err != nil || b != nil {
		return err
	}
	w.put([]byte{keySecret}, newStored().text(string(fresh)).b)
	return nil
}

// secret returns the directory's secret; it is made with the first domain.
func (n *Names) secret() ([]byte, error) {
	b, err := n.get([]byte{keySecret})
	if err != nil || b == nil {
		return nil, err
	}
	f := readRecord(b)
	s := []byte(f.Text())
	return s, f.end(keySecret)
}
