package accounts

import (
	"errors"
	"fmt"

	"tripost/store"
)

// Errors of the directory.
var (
	// ErrNoDomain is returned for a domain that is not ours, and for a name
	// without a domain while there is none at all.
	ErrNoDomain = errors.New("no such domain")
	// ErrNoAccount is returned for a name that stands for nothing in its domain.
	ErrNoAccount = errors.New("no such account")
	// ErrNoAlias is returned when an alias is to be removed that is none.
	ErrNoAlias = errors.New("no such alias")
	// ErrNoForwarder is returned when a forwarder is wanted and there is none.
	ErrNoForwarder = errors.New("no such forwarder")
	// ErrNoGroup is returned when a group is wanted and there is none.
	ErrNoGroup = errors.New("no such group")
	// ErrExists is returned when a name is wanted that already stands for something.
	ErrExists = errors.New("the name is taken")
	// ErrBadName is returned for names that break the rules for names.
	ErrBadName = errors.New("not a valid name")
	// ErrBadValue is returned for settings out of their range.
	ErrBadValue = errors.New("not a valid value")
	// ErrBadPassword is returned for passwords that no client could send.
	ErrBadPassword = errors.New("not a usable password")
	// ErrNotEmpty is returned when a domain with names is to be removed.
	ErrNotEmpty = errors.New("the domain still has accounts, aliases, forwarders or groups")
	// ErrMainDomain is returned when the Main Domain is to be removed while
	// others exist, which need it for names without a domain.
	ErrMainDomain = errors.New("the Main Domain is needed while there are others")
	// ErrNoMailbox is the store's: the mailbox does not exist, or the identity
	// may not know that it does.
	ErrNoMailbox = store.ErrNoMailbox
)

// Errors of signing in. The comments name the answers of POP, IMAP and SMTP.
var (
	// ErrCredentials covers unknown names and wrong passwords alike.
	// -ERR [AUTH], NO [AUTHENTICATIONFAILED], 535 5.7.8
	ErrCredentials = errors.New("wrong name or password")
	// ErrThrottled means that the password was not even looked at. It is to be
	// answered as ErrCredentials is.
	ErrThrottled = errors.New("too many failed sign-ins, wait")
	// ErrService is returned after a right password.
	ErrService = errors.New("the service is off for this account")
	// ErrLocked is returned after a right password; it is an ErrService.
	ErrLocked = fmt.Errorf("the account is locked: %w", ErrService)
	// ErrInsecure is returned before anything is looked at.
	// -ERR [AUTH], NO [PRIVACYREQUIRED], 538 5.7.11
	ErrInsecure = errors.New("a password needs an encrypted connection")
	// ErrUnavailable is temporary: the store failed, or the session ended while
	// the attempt waited. -ERR [SYS/TEMP], NO [UNAVAILABLE], 454 4.7.0
	ErrUnavailable = errors.New("sign-in is not possible now")
	// ErrMalformed is a client's mistake. -ERR, BAD, 501 5.5.2
	ErrMalformed = errors.New("malformed authentication exchange")
	// ErrMechanism is returned for a SASL mechanism that we do not have.
	// -ERR, NO, 504 5.5.4
	ErrMechanism = errors.New("mechanism is not offered")
)
