package dkim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

	"tripost/message"
)

// sealed are the fields that are signed once more than they are there, so that none
// can be added: what a reader is shown of a message, or how (RFC 6376 section 8.15).
var sealed = []string{
	"From", "Reply-To", "To", "Cc", "Subject", "Date", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}

// covered are further fields that are signed where they are there (RFC 6376 section
// 5.4.1). A mailing list may add them: whoever names one that is not there says
// that there is none, and the signature is broken on the way.
var covered = []string{
	"Sender", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
	"List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner", "List-Archive",
}

// maxInstances bounds how often one name is signed.
const maxInstances = 10

// signed returns the names of the fields that a signature of a message covers, each
// as often as it covers them.
func signed(body io.ReaderAt, size int64) []string {
	count := make(map[string]int)
	for _, f := range message.Fields(readHead(body, size)) {
		count[strings.ToLower(string(f.Name))]++
	}
	var names []string
	add := func(name string, more int) {
		for range min(count[strings.ToLower(name)], maxInstances) + more {
			names = append(names, name)
		}
	}
	for _, name := range sealed {
		add(name, 1)
	}
	for _, name := range covered {
		add(name, 0)
	}
	return names
}

// Sign returns a DKIM-Signature field for each key that signs for a domain now,
// with its CRLF, over a message of size octets in the form in which it is sent.
// as is the name that the signature is for: the domain's own, or an alias of it.
func (k *Keys) Sign(ctx context.Context, domain, as string, body io.ReaderAt, size int64) ([]byte, error) {
	keys, err := k.signing(ctx, domain)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	names := signed(body, size)
	signers := make([]*dkim.Signer, 0, len(keys))
	writers := make([]io.Writer, 0, len(keys))
	defer func() {
		for _, s := range signers {
			_ = s.Close() // again, or because signing has failed
		}
	}()
	for _, key := range keys {
		s, err := dkim.NewSigner(&dkim.SignOptions{
			Domain: as, Selector: key.Selector, Signer: key.signer, HeaderKeys: names,
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
