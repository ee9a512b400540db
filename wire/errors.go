package wire

import "errors"

// Errors after which the session can go on: what was wrong has been read to its
// end and dropped.
var (
	ErrLineTooLong = errors.New("line too long")
	ErrBareCR      = errors.New("bare CR in message data")
	ErrBareLF      = errors.New("bare LF in message data")
	ErrNUL         = errors.New("NUL octet in message data")
	ErrDataTooLong = errors.New("message data over the size limit")
)

// Errors that tell why a wait ended without input.
var (
	ErrIdle  = errors.New("idle for too long") // no octet of a new command within the read timeout
	ErrWoken = errors.New("woken")             // by the channel given to WaitInput, or by Wake
)

// Errors after which the connection is of no more use.
var (
	ErrEndless = errors.New("line without an end") // ran on for maxDrain octets
	ErrNoTLS   = errors.New("TLS is not available")
	ErrProxy   = errors.New("malformed PROXY protocol header")
)
