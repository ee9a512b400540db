// Package certify obtains a TLS certificate for the server's names from a
// certification authority by ACME (RFC 8555), and renews it in time.
//
// The authority convinces itself that the names are this server's by asking it
// something: on port 80 (http-01, RFC 8555 section 8.3) or, in a TLS handshake,
// on port 443 (tls-alpn-01, RFC 8737). What listens there answers that and
// nothing else.
//
// The account's key and the certificate with its key are kept in a directory of
// their own, with mode 0600, so that a restart asks for nothing.
package certify
