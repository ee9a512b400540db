package mailauth

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"
)

// DNS answers what the checks ask for. A [net.Resolver] is one.
type DNS interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// Result is the outcome of one check, as RFC 8601 section 2.7 names it.
type Result string

// Results. Not each check has all of them.
const (
	None      Result = "none"     // nothing to check
	Neutral   Result = "neutral"  // nothing follows
	Pass      Result = "pass"     //
	Fail      Result = "fail"     //
	SoftFail  Result = "softfail" // SPF: probably not
	Policy    Result = "policy"   // DKIM: not accepted here, whatever its worth
	TempError Result = "temperror"
	PermError Result = "permerror"
)

// Checker checks messages. Zero values take the defaults.
type Checker struct {
	DNS        DNS
	Time       time.Duration    // for all checks of one message together; default 10 s
	Signatures int              // most DKIM signatures that are verified; default 5
	Now        func() time.Time // default time.Now
	// Percent returns a number from 0 to 99, by chance: it decides for which share
	// of its failures a domain wants its policy obeyed. Default: a random one.
	Percent func() int
}

// Client is who hands a message over.
type Client struct {
	Remote netip.Addr
	Helo   string // as it named itself
	From   string // reverse-path without <>
}

// Report is what was found out about one message.
type Report struct {
	Name  Name
	SPF   SPF
	DKIM  []Signature // in the order of their fields
	DMARC DMARC
}

func (c *Checker) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, cmp.Or(c.Time, 10*time.Second))
}

func (c *Checker) percent() int {
	if c.Percent != nil {
		return c.Percent()
	}
	return rand.IntN(100)
}

// Check checks a message of size octets. name is what [Checker.Reverse] found, or
// zero.
func (c *Checker) Check(ctx context.Context, client Client, name Name, body io.ReaderAt, size int64) *Report {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	r := &Report{Name: name}
	var spf sync.WaitGroup
	panicked := "" // what is wrong there is for the caller to bear, not for the process
	spf.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
		}()
		r.SPF = c.spf(ctx, client)
	})
	header := readHeader(body, size)
	r.DKIM = c.dkim(ctx, header, body, size)
	if spf.Wait(); panicked != "" {
		panic(panicked)
	}
	r.DMARC = c.dmarc(ctx, header, r)
	return r
}
