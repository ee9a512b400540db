package mailauth

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// Signature is what was found out about one DKIM signature.
type Signature struct {
	Result    Result
	Domain    string // d=, canonical; "" when it cannot be read
	Selector  string // s=
	Algorithm string // a=
	Begin     string // of b=, which tells it from others (RFC 6008)
	Reason    string // why it did not pass, for people
}

// maxKey is the longest key record that is read, in octets: one of 4,096 bits has
// about 750. A longer key would cost much time.
const maxKey = 2048

// maxEmpty is how many octets of line ends may follow each other in a message
// whose signature is verified: what they cost grows with the square of it.
const maxEmpty = 64 << 10

// dkim verifies the first signatures of a message.
//
// RFC 6376 section 6.
func (c *Checker) dkim(ctx context.Context, h *header, body io.ReaderAt, size int64) []Signature {
	values := h.values("DKIM-Signature")
	most := cmp.Or(max(c.Signatures, 0), 5)
	values = values[:min(len(values), most)]
	all := make([]Signature, len(values))
	for i, value := range values {
		all[i] = describe(value)
	}
	if len(all) == 0 {
		return nil
	}
	if why := unfit(h, values, body, size); why != "" {
		return fill(all, Policy, why)
	}
	var text io.Reader = io.NewSectionReader(body, 0, size)
	if !h.empty {
		text = io.MultiReader(text, strings.NewReader("\r\n\r\n"))
	}
	found, err := dkim.VerifyWithOptions(text, &dkim.VerifyOptions{
		MaxVerifications: most,
		LookupTXT: func(name string) ([]string, error) {
			txt, err := resolver{c.DNS}.LookupTXT(ctx, name)
			if err == nil && len(txt) == 1 && len(txt[0]) > maxKey {
				err = &net.DNSError{Err: "key record too long", Name: name}
			}
			return txt, err
		},
	})
	if err != nil && !errors.Is(err, dkim.ErrTooManySignatures) || len(found) != len(all) {
		return fill(all, TempError, "not verified")
	}
	for i, v := range found {
		all[i].Result, all[i].Reason = verdict(v.Err)
	}
	return all
}

func fill(all []Signature, r Result, why string) []Signature {
	for i := range all {
		all[i].Result, all[i].Reason = r, why
	}
	return all
}

// unfit says why no signature of a message is verified, "" when they are.
func unfit(h *header, values []string, body io.ReaderAt, size int64) string {
	if !h.whole {
		return "the header is too long"
	}
	for _, value := range values {
		if len(value) > maxSignature || strings.Count(value, ":") > maxSigned {
			return "a signature is too long"
		}
	}
	if emptyRun(io.NewSectionReader(body, 0, size)) {
		return "too many empty lines"
	}
	return ""
}

// emptyRun looks for line ends without anything between them.
func emptyRun(r io.Reader) bool {
	b := make([]byte, 32<<10)
	run := 0
	for {
		n, err := r.Read(b)
		for rest := b[:n]; len(rest) > 0; {
			if rest[0] == '\r' || rest[0] == '\n' {
				if run++; run > maxEmpty {
					return true
				}
				rest = rest[1:]
				continue
			}
			run = 0
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			rest = rest[i:]
		}
		if err != nil {
			return false
		}
	}
}

// verdict is the result of one signature.
func verdict(err error) (Result, string) {
	switch {
	case err == nil:
		return Pass, ""
	case dkim.IsTempFail(err):
		return TempError, reason(err)
	case dkim.IsPermFail(err):
		return PermError, reason(err)
	case strings.Contains(err.Error(), "body length tag"):
		return Policy, reason(err)
	default:
		return Fail, reason(err)
	}
}

func reason(err error) string { return strings.TrimPrefix(err.Error(), "dkim: ") }

// describe reads the tags of a signature that tell which one it is (RFC 6376
// section 3.5). Nothing depends on them that is not verified.
func describe(value string) Signature {
	var s Signature
	for tag := range strings.SplitSeq(value, ";") {
		name, v, _ := strings.Cut(tag, "=")
		v = strings.Join(strings.Fields(v), "")
		switch strings.TrimSpace(name) {
		case "d":
			s.Domain = canonical(v)
		case "s":
			s.Selector = v
		case "a":
			s.Algorithm = v
		case "b":
			s.Begin = v[:min(len(v), 8)]
		}
	}
	return s
}
