package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// maxAnswer bounds the answer about a token, in octets, maxKeySet that with keys.
const (
	maxAnswer = 64 << 10
	maxKeySet = 512 << 10
)

// introspect asks the issuer about a token, unless its answer is known.
//
// RFC 7662 section 2.
func (c *Checker) introspect(ctx context.Context, token string) (string, error) {
	if login, ok := c.remembered.get(token); ok {
		return login, nil
	}
	answer, err := c.ask(ctx, token)
	if err != nil {
		return "", unavailable("introspection", err)
	}
	told, err := parseClaims(answer)
	if err != nil {
		return "", unavailable("introspection: the answer", err)
	}
	login, err := c.judge(told)
	if err != nil {
		return "", err
	}
	until := c.Now().Add(c.Remember)
	if told.Expires != nil && told.Expires.Before(until) {
		until = told.Expires.Time
	}
	c.remembered.put(token, login, until)
	return login, nil
}

// judge decides by what the issuer told.
func (c *Checker) judge(told *claims) (string, error) {
	if !told.Active {
		return "", errors.New("the issuer says that it is not active")
	}
	if c.Issuer != "" && told.Issuer != "" && told.Issuer != c.Issuer {
		return "", errors.New("it is from another issuer")
	}
	if err := told.within(c.Now()); err != nil {
		return "", err
	}
	if err := told.meant(&c.Options); err != nil {
		return "", err
	}
	return told.address(c.Claim)
}

// ask sends the question. The client's name and secret go as RFC 6749 section
// 2.3.1 wants them.
func (c *Checker) ask(ctx context.Context, token string) ([]byte, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Introspection, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.ClientID != "" {
		r.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(c.ClientSecret))
	}
	return c.fetch(r, maxAnswer)
}

// fetch carries out a request whose answer is JSON.
func (c *Checker) fetch(r *http.Request, most int64) ([]byte, error) {
	r.Header.Set("Accept", "application/json")
	resp, err := c.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %s", resp.Status)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil, fmt.Errorf("the server answers with %q, not with JSON", kind)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err == nil && int64(len(b)) > most {
		err = errors.New("the answer is too long")
	}
	return b, err
}
