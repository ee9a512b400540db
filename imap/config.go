package imap

import (
	"time"

	"tripost/accounts"
	"tripost/store"
	"tripost/syslog"
)

// Config is what a [Server] needs. Auth, Directory and Store are required.
type Config struct {
	Hostname  string // in the greeting
	Product   string // in the greeting and in answers to ID
	Version   string // in answers to ID, to users that have signed in
	Auth      *accounts.Authenticator
	Directory *accounts.Directory
	Store     *store.Store
	Alerts    Alerts // nil: none
	Limits    Limits
	Timeouts  Timeouts
	Log       *syslog.Logger // of the module; sessions log with their connection's
}

// Limits bound what a client can make the server hold or do. A zero field takes
// its default.
type Limits struct {
	Line         int   // octets of one line of a command with its end; 64 KiB
	Command      int   // octets of one command's lines and literals together; 256 KiB
	EarlyLine    int   // Line before sign-in; 16 KiB, enough for AUTHENTICATE with an initial response
	EarlyLiteral int   // octets of one literal before sign-in; 4 KiB
	EarlyCommand int   // Command before sign-in; 32 KiB
	SASL         int   // octets of one line of a SASL exchange; 12,288 (RFC 4954 section 4)
	Message      int64 // octets of a message appended; 50 MiB
	EarlyDrain   int64 // octets of a refused non-synchronising literal read and dropped before sign-in; 64 KiB. After it Message is the limit. A longer one ends the connection.
	Messages     int   // that one command may deal with (MESSAGELIMIT); 0, the default: any number
	SetRanges    int   // ranges in one set; 20,000
	SearchDepth  int   // nesting of search keys; 50
	SearchKeys   int   // search keys in one command; 1,000
	SearchText   int   // octets of a string to be found, in UTF-8; 4 KiB
	SearchOctets int64 // octets of messages that one SEARCH, SORT or THREAD may read; 64 GiB
	SortMemory   int64 // octets of keys that one SORT or THREAD may keep in memory; 256 MiB
	SearchKept   int64 // octets that stay in memory after SEARCHes and SORTs, for all sessions together; 32 MiB
	FetchItems   int   // items, section parts and field names in one FETCH; 500
	Pattern      int   // octets of a LIST pattern; 4 KiB
	Header       int   // octets of a header block read for HEADER.FIELDS and SEARCH; 1 MiB
	BadCommands  int   // BAD responses in a row that end a session; 20
	Failures     int   // failed sign-ins that end a connection; 5
}

// Timeouts of a session. A zero field takes its default.
type Timeouts struct {
	SignIn    time.Duration // from the connection to a successful sign-in; 60 s
	Idle      time.Duration // without input after sign-in; 30 min, as RFC 3501 section 5.4 asks
	Command   time.Duration // for the next octets of a command that has begun; 5 min
	StillHere time.Duration // between the signs of life in IDLE; 4 min
	Progress  time.Duration // between the signs of life of a long SEARCH; 10 s
}

func (l Limits) withDefaults() Limits {
	def(&l.Line, 64<<10)
	def(&l.Command, 256<<10)
	def(&l.EarlyLine, 16<<10)
	def(&l.EarlyLiteral, 4<<10)
	def(&l.EarlyCommand, 32<<10)
	def(&l.SASL, 12288)
	def(&l.Message, 50<<20)
	def(&l.EarlyDrain, 64<<10)
	def(&l.SetRanges, 20_000)
	def(&l.SearchDepth, 50)
	def(&l.SearchKeys, 1000)
	def(&l.SearchText, 4<<10)
	def(&l.SearchOctets, 64<<30)
	def(&l.SortMemory, 256<<20)
	def(&l.SearchKept, 32<<20)
	def(&l.FetchItems, 500)
	def(&l.Pattern, 4<<10)
	def(&l.Header, 1<<20)
	def(&l.BadCommands, 20)
	def(&l.Failures, 5)
	return l
}

func (t Timeouts) withDefaults() Timeouts {
	def(&t.SignIn, time.Minute)
	def(&t.Idle, 30*time.Minute)
	def(&t.Command, 5*time.Minute)
	def(&t.Progress, 10*time.Second)
	def(&t.StillHere, 4*time.Minute)
	return t
}

// def gives a field that was left zero its default.
func def[T int | int64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}
