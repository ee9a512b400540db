package alerts

import (
	"errors"
	"fmt"
	"time"

	"tripost/accounts"
	"tripost/store"
	"tripost/syslog"
)

// MaxText bounds the octets of an alert's text: with "-ERR [SYS/TEMP] ALERT: "
// before it and CRLF behind it is within the 512 octets of a POP reply.
const MaxText = 480

// Errors callers may test for with [errors.Is].
var (
	// ErrNoAlert is returned for an id that no alert has, or no longer.
	ErrNoAlert = errors.New("no such alert")
	// ErrBadText is returned for a text that cannot be shown.
	ErrBadText = errors.New("not a usable text")
	// ErrTooMany is returned when a server, domain or account has as many
	// alerts as [Options.Limit] allows.
	ErrTooMany = errors.New("too many alerts")
	// ErrBadID is returned for what is not an alert's time stamp.
	ErrBadID = errors.New("not the time stamp of an alert")
)

// Options are the settings of [Alerts]. The zero value is usable.
type Options struct {
	// QuotaPercent is the share of an account's quota from which on it is told,
	// unless its policy says otherwise; 0: 90, below 0: never.
	QuotaPercent int
	// Limit is how many alerts there may be for the server, for one domain and
	// for one account, each counted by itself; 0: 100.
	Limit int
	Now   func() time.Time // nil: time.Now
	Log   *syslog.Logger   // tag ALERT; nil is silent
}

// Alerts keeps the alerts that are in a store.
type Alerts struct {
	store     *store.Store
	directory *accounts.Directory
	o         Options
}

// New returns the alerts that are in st, for the accounts and domains of d,
// which must be in the same store.
func New(st *store.Store, d *accounts.Directory, o Options) *Alerts {
	if o.QuotaPercent == 0 {
		o.QuotaPercent = 90
	}
	if o.Limit == 0 {
		o.Limit = 100
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Alerts{store: st, directory: d, o: o}
}

// Scope tells whom an alert is for. The values are those of the records.
type Scope byte

// The scopes.
const (
	Quota   Scope = iota // one account, made by the server and not posted
	Server               // every account
	Domain               // every account of one domain
	Account              // one account
)

// wide reports whether many accounts are shown the alert.
func (s Scope) wide() bool { return s == Server || s == Domain }

// Target says whom an alert is for.
type Target struct {
	Scope Scope
	// Name is that of the domain, or the account's address: as it was typed,
	// an alias for instance, where it is asked for, and canonical in an [Alert].
	Name string
}

// String returns "server", "domain company.test" or "account ann@company.test".
func (t Target) String() string {
	switch t.Scope {
	case Server:
		return "server"
	case Domain:
		return "domain " + t.Name
	default:
		return "account " + t.Name
	}
}

// Alert is one alert. A quota alert has no ID.
type Alert struct {
	ID     ID
	Target Target
	Text   string
}

// ID is an alert's time stamp: microseconds since 1970.
type ID uint64

const idForm = "2006-01-02T15:04:05.000000Z07:00"

// Time returns when the alert was posted, or at most a moment later.
func (id ID) Time() time.Time { return time.UnixMicro(int64(id)).UTC() }

// String returns the form in which an id is shown and typed:
// "2027-01-15T08:00:00.000001Z".
func (id ID) String() string { return id.Time().Format(idForm) }

// ParseID reads what [ID.String] writes, in any time zone. ErrBadID.
func ParseID(s string) (ID, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.UnixMicro() <= 0 {
		if len(s) > len(idForm) {
			s = s[:len(idForm)] + "..."
		}
		return 0, fmt.Errorf("%q: %w: it looks like %q", s, ErrBadID, ID(1_800_000_000_000_001))
	}
	return ID(t.UnixMicro()), nil
}
