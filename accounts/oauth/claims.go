package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// claims are what is known of a token: the members of a JWT (RFC 7519 section
// 4) or of the answer of an introspection (RFC 7662 section 2.2).
type claims struct {
	Issuer    string     `json:"iss"`
	Audience  audience   `json:"aud"`
	Expires   *numericAt `json:"exp"`
	NotBefore *numericAt `json:"nbf"`
	Scope     scopes     `json:"scope"`
	Active    bool       `json:"active"`
	Verified  *bool      `json:"email_verified"`

	all map[string]json.RawMessage
}

// parseClaims reads a JSON object.
func parseClaims(b []byte) (*claims, error) {
	c := &claims{}
	if err := json.Unmarshal(b, &c.all); err != nil || c.all == nil {
		return nil, errors.New("it is not a JSON object")
	}
	if err := json.Unmarshal(b, c); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return nil, fmt.Errorf("%s has not the form it should have", kind.Field)
		}
		return nil, errors.New("a member has not the form it should have")
	}
	return c, nil
}

// audience is a string or a list of them.
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// scopes are words in a string, or a list, as some issuers have it.
type scopes []string

func (s *scopes) UnmarshalJSON(b []byte) error {
	var words string
	if json.Unmarshal(b, &words) == nil {
		*s = strings.Fields(words)
		return nil
	}
	return json.Unmarshal(b, (*[]string)(s))
}

// numericAt is a NumericDate: seconds since 1970, with or without a fraction.
type numericAt struct{ time.Time }

// latest is the last time that counts; what an issuer means by a later one is
// for ever.
const latest = 1 << 40

func (t *numericAt) UnmarshalJSON(b []byte) error {
	var seconds float64
	if err := json.Unmarshal(b, &seconds); err != nil {
		return err
	}
	t.Time = time.Unix(int64(min(max(seconds, 0), latest)), 0)
	return nil
}

// within refuses what has expired or is not valid yet.
func (c *claims) within(now time.Time) error {
	if c.Expires != nil && !now.Before(c.Expires.Add(leeway)) {
		return fmt.Errorf("it expired at %s", c.Expires.UTC().Format(time.RFC3339))
	}
	if c.NotBefore != nil && now.Before(c.NotBefore.Add(-leeway)) {
		return fmt.Errorf("it is not valid before %s", c.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// meant refuses what was issued for somebody else, or for less.
func (c *claims) meant(o *Options) error {
	if o.Audience != "" && !slices.Contains(c.Audience, o.Audience) {
		return errors.New("it is for another audience")
	}
	if o.Scope != "" && !slices.Contains(c.Scope, o.Scope) {
		return errors.New("it has not the scope")
	}
	return nil
}

// longestAddress bounds the address in a claim, in octets (RFC 5321 section
// 4.5.3.1.3).
const longestAddress = 254

// address returns whom the token signs in. Which of the account's mailboxes is
// wanted is the client's to say, not the issuer's.
func (c *claims) address(claim string) (string, error) {
	var s string
	raw, ok := c.all[claim]
	switch {
	case !ok:
		return "", fmt.Errorf("it has no %q", claim)
	case json.Unmarshal(raw, &s) != nil || s == "" || len(s) > longestAddress || strings.ContainsAny(s, "# \t\r\n"):
		return "", fmt.Errorf("its %q is not an address", claim)
	case claim == defaultClaim && c.Verified != nil && !*c.Verified:
		return "", errors.New("its email is not verified")
	}
	return s, nil
}
