package dkim

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/emersion/go-msgauth/dkim"

	"tripost/message"
)

// signed are the fields that a signature covers, where they are there (RFC 6376
// section 5.4.1). Those that stand twice are signed once more than they are
// there, so that none can be added.
func signed() []string {
	return []string{
		"From", "From", "Sender", "Reply-To", "Reply-To", "To", "To", "Cc", "Cc", "Subject", "Subject", "Date", "Date",
		"Message-ID", "In-Reply-To", "References", "MIME-Version", "MIME-Version", "Content-Type", "Content-Type",
		"Content-Transfer-Encoding", "Auto-Submitted",
		"List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner", "List-Archive",
	}
}

// Sign returns a DKIM-Signature field for each key that signs for a domain now,
// with its CRLF, over a message of size octets in the form in which it is sent.
// as is the name that the signature is for: the domain's own, or an alias of it.
func (k *Keys) Sign(ctx context.Context, domain, as string, body io.ReaderAt, size int64) ([]byte, error) {
	keys, err := k.signing(ctx, domain)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	signers := make([]*dkim.Signer, 0, len(keys))
	writers := make([]io.Writer, 0, len(keys))
	defer func() {
		for _, s := range signers {
			_ = s.Close() // again, or because signing has failed
		}
	}()
	for _, key := range keys {
		s, err := dkim.NewSigner(&dkim.SignOptions{
			Domain: as, Selector: key.Selector, Signer: key.signer, HeaderKeys: signed(),
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		})
		if err != nil {
			return nil, fmt.Errorf("sign with %s: %w", key.Selector, err)
		}
		signers, writers = append(signers, s), append(writers, s)
	}
	text := io.Reader(io.NewSectionReader(body, 0, size))
	if !hasEnd(body, size) {
		text = io.MultiReader(text, bytes.NewReader([]byte("\r\n\r\n")))
	}
	if _, err := io.Copy(io.MultiWriter(writers...), text); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	var fields []byte
	for i, s := range signers {
		if err := s.Close(); err != nil {
			return nil, fmt.Errorf("sign with %s: %w", keys[i].Selector, err)
		}
		fields = append(fields, s.Signature()...)
	}
	return fields, nil
}

// maxHeader is how far into a message its From is looked for, in octets.
const maxHeader = 256 << 10

func readHead(body io.ReaderAt, size int64) []byte {
	b := make([]byte, min(size, maxHeader))
	n, _ := body.ReadAt(b, 0) // what cannot be read is not there
	return b[:n]
}

// hasEnd tells whether the header ends, so that there is a body, empty perhaps.
func hasEnd(body io.ReaderAt, size int64) bool {
	b := readHead(body, size)
	return int64(len(b)) < size || bytes.HasPrefix(b, []byte("\r\n")) || bytes.Contains(b, []byte("\r\n\r\n"))
}

// Author returns the domain of the first address in From, as it is written; ""
// when there is none.
func Author(body io.ReaderAt, size int64) string {
	for _, f := range message.Fields(readHead(body, size)) {
		if !f.Is("From") {
			continue
		}
		_, value, _ := bytes.Cut(f.Raw, []byte{':'})
		list, _ := message.ParseAddressList(string(value)) // the first that can be read
		for _, a := range list {
			if a.Domain != "" {
				return a.Domain
			}
		}
		return ""
	}
	return ""
}
