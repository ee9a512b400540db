// Package doctor looks at a domain as other hosts see it, and says what is wrong
// with it and what the DNS should have: where its mail leads, whether that host
// can be reached under TLS, who may send in its name, and with which keys it
// signs. It changes nothing.
//
// A [Doctor] may be shared by goroutines.
package doctor
