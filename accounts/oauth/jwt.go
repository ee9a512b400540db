package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// jwtHeader is what of a JOSE header counts (RFC 7515 section 4).
type jwtHeader struct {
	Algorithm string          `json:"alg"`
	Key       string          `json:"kid"`
	Type      string          `json:"typ"`
	Critical  json.RawMessage `json:"crit"`
}

// jwtTypes are the types of tokens that are taken, in lower case: access tokens
// (RFC 9068 section 2.1), and what issuers write who knew no type for them. Others,
// such as logout tokens, are signed with the same key and mean something else (RFC
// 8725 section 3.11).
func jwtTypes() []string { return []string{"", "jwt", "at+jwt", "application/at+jwt"} }

// checkJWT checks a signed token.
//
// RFC 7519 section 7.2, RFC 9068 section 4.
func (c *Checker) checkJWT(ctx context.Context, token string) (string, error) {
	signed, payload, signature, header, err := parseJWS(token)
	if err != nil {
		return "", err
	}
	if !slices.Contains(jwtTypes(), strings.ToLower(header.Type)) {
		return "", errors.New("it is not an access token")
	}
	keys, err := c.keys.find(ctx, header.Algorithm, header.Key)
	if err != nil {
		return "", err
	}
	good := slices.ContainsFunc(keys, func(k *publicKey) bool { return k.verifies([]byte(signed), signature) })
	if !good {
		return "", errors.New("its signature is wrong")
	}
	told, err := parseClaims(payload)
	switch {
	case err != nil:
		return "", err
	case told.Issuer != c.Issuer:
		return "", errors.New("it is from another issuer")
	case told.Expires == nil:
		return "", errors.New("it never expires")
	}
	if err := told.within(c.Now()); err != nil {
		return "", err
	}
	if err := told.meant(&c.Options); err != nil {
		return "", err
	}
	return told.address(c.Claim)
}

// parseJWS takes a token in the compact form apart (RFC 7515 section 7.1).
func parseJWS(token string) (signed string, payload, signature []byte, header jwtHeader, err error) {
	malformed := errors.New("it is not a signed JWT")
	part := strings.Split(token, ".")
	if len(part) != 3 {
		return "", nil, nil, header, malformed
	}
	var decoded [3][]byte
	for i, p := range part {
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(p); err != nil {
			return "", nil, nil, header, malformed
		}
	}
	if json.Unmarshal(decoded[0], &header) != nil {
		return "", nil, nil, header, malformed
	}
	if header.Critical != nil {
		return "", nil, nil, header, errors.New("it needs an extension that is not there")
	}
	return part[0] + "." + part[1], decoded[1], decoded[2], header, nil
}
