package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"tripost/accounts"
	"tripost/accounts/oauth"
)

// OAuthConfig says whom to ask about the bearer tokens of OAUTHBEARER and
// XOAUTH2.
type OAuthConfig struct {
	Introspection    string   `toml:"introspection" comment:"URL where the issuer of tokens answers what one is worth (RFC 7662); this or keys offers OAUTHBEARER and XOAUTH2"`
	ClientID         string   `toml:"client_id" comment:"of this server, at the issuer's"`
	ClientSecretFile string   `toml:"client_secret_file"`
	Keys             string   `toml:"keys" comment:"URL or file of the issuer's JWK Set, for tokens that are signed: RS256, ES256, EdDSA"`
	Issuer           string   `toml:"issuer" comment:"iss of the tokens; needed with keys"`
	Audience         string   `toml:"audience" comment:"one of the aud of the tokens; needed with keys"`
	Scope            string   `toml:"scope" comment:"one that tokens must have; empty: any"`
	Claim            string   `toml:"claim" comment:"what holds the account's address, and users cannot choose"`
	Authorities      string   `toml:"authorities" comment:"PEM file of the authorities that the issuer's certificate is verified with; empty: the system's"`
	Time             Duration `toml:"time" comment:"longest wait for the issuer"`
	Remember         Duration `toml:"remember" comment:"how long an answer to introspection is known; 0: not at all"`
}

// on tells whether tokens are taken.
func (c *OAuthConfig) on() bool { return c.Introspection != "" || c.Keys != "" }

// tokenChecker returns what checks bearer tokens, nil where that is not
// configured.
func (c *OAuthConfig) tokenChecker() (accounts.TokenChecker, error) {
	if !c.on() {
		return nil, nil
	}
	o := oauth.Options{
		Introspection: c.Introspection, ClientID: c.ClientID, Keys: c.Keys,
		Issuer: c.Issuer, Audience: c.Audience, Scope: c.Scope, Claim: c.Claim,
		Timeout: c.Time.Duration, Remember: c.Remember.Duration,
	}
	if c.ClientSecretFile != "" {
		secret, err := os.ReadFile(c.ClientSecretFile)
		if err != nil {
			return nil, fmt.Errorf("security.oauth.client_secret_file: %w", err)
		}
		o.ClientSecret = strings.TrimRight(string(secret), "\r\n")
	}
	if c.Authorities != "" {
		pem, err := os.ReadFile(c.Authorities)
		if err != nil {
			return nil, fmt.Errorf("security.oauth.authorities: %w", err)
		}
		o.Authorities = x509.NewCertPool()
		if !o.Authorities.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("security.oauth.authorities: %s holds no certificate", c.Authorities)
		}
	}
	checker, err := oauth.New(o)
	if err != nil {
		return nil, fmt.Errorf("security.oauth: %w", err)
	}
	return checker, nil
}

// checkOAuth finds what is wrong with the values, without the files, which need
// be there only where the server runs.
func (c *Config) checkOAuth() error {
	o := c.Security.OAuth
	if o.ClientSecretFile != "" && o.ClientID == "" {
		return errors.New("security.oauth: client_id and client_secret_file go together")
	}
	o.ClientSecretFile, o.Authorities = "", ""
	_, err := o.tokenChecker()
	return err
}
