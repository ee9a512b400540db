// Package mtasts finds out which hosts a domain lets take its mail and whether
// they must have a valid certificate: SMTP MTA Strict Transport Security, RFC
// 8461.
//
// # Promises
//
//   - A policy that was fetched holds until its time is over, whatever an
//     attacker does to DNS or to the web server meanwhile.
//   - What a domain publishes is read in bounded memory and bounded time, and
//     only from a web server with a certificate for its name.
//   - That there is no policy to be had is never an error: mail goes out
//     without.
package mtasts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Mode says what becomes of mail where a policy is not fulfilled.
type Mode string

// The modes: RFC 8461 section 5.
const (
	Enforce Mode = "enforce" // it is not sent
	Testing Mode = "testing" // it is sent, and the fault is told
	Off     Mode = "none"    // there is no policy any more
)

// Policy is what a domain has published.
type Policy struct {
	ID      string // of the TXT record
	Mode    Mode
	Hosts   []string      // patterns: "mx.company.test", "*.company.test"
	MaxAge  time.Duration // from Fetched
	Fetched time.Time
}

const (
	// maxPolicy is the longest policy that is read, in octets: section 3.3.
	maxPolicy = 64 << 10
	maxHosts  = 100
	// maxAge is the longest time that a policy holds: section 3.2.
	maxAge = 31557600 * time.Second
)

var errPolicy = errors.New("malformed MTA-STS policy")

// Parse reads a policy: RFC 8461 section 3.2. Unknown fields are skipped.
func Parse(text string) (Policy, error) {
	var p Policy
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok {
			return p, fmt.Errorf("%w: a line without a colon", errPolicy)
		}
		if key != "mx" && seen[key] {
			continue // the first one counts
		}
		seen[key] = true
		if err := p.set(key, value); err != nil {
			return p, err
		}
	}
	switch {
	case !seen["version"] || !seen["mode"] || !seen["max_age"]:
		return p, fmt.Errorf("%w: version, mode or max_age is missing", errPolicy)
	case p.Mode != Off && len(p.Hosts) == 0:
		return p, fmt.Errorf("%w: it names no host", errPolicy)
	}
	return p, nil
}

func (p *Policy) set(key, value string) error {
	switch key {
	case "version":
		if value != "STSv1" {
			return fmt.Errorf("%w: unknown version", errPolicy)
		}
	case "mode":
		p.Mode = Mode(value)
		if p.Mode != Enforce && p.Mode != Testing && p.Mode != Off {
			return fmt.Errorf("%w: unknown mode", errPolicy)
		}
	case "max_age":
		n, err := strconv.ParseUint(value, 10, 40)
		if err != nil {
			return fmt.Errorf("%w: max_age is no number", errPolicy)
		}
		p.MaxAge = min(time.Duration(min(n, uint64(maxAge/time.Second)))*time.Second, maxAge)
	case "mx":
		if len(p.Hosts) == maxHosts {
			return fmt.Errorf("%w: too many hosts", errPolicy)
		}
		p.Hosts = append(p.Hosts, strings.ToLower(strings.TrimSuffix(value, ".")))
	}
	return nil
}

// Matches tells whether a host may take the domain's mail: RFC 8461 section 4.1.
// A star stands for one label.
func (p *Policy) Matches(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, parent, _ := strings.Cut(host, ".")
	for _, pattern := range p.Hosts {
		if rest, wild := strings.CutPrefix(pattern, "*."); wild && parent != "" && rest == parent || pattern == host {
			return true
		}
	}
	return false
}

// holds tells whether the policy's time is not yet over.
func (p *Policy) holds(now time.Time) bool {
	return !now.Before(p.Fetched) && now.Before(p.Fetched.Add(p.MaxAge))
}

// fresh tells whether the policy need not be fetched again while its record stays as
// it is.
func (p *Policy) fresh(now time.Time) bool {
	return now.Before(p.Fetched.Add(min(refreshAfter, p.MaxAge/2)))
}

// recordID reads the TXT records of _mta-sts.DOMAIN: there must be exactly one of
// ours (RFC 8461 section 3.1).
func recordID(records []string) (string, bool) {
	id, found := "", 0
	for _, txt := range records {
		fields := strings.Split(txt, ";")
		if strings.TrimRight(fields[0], " \t") != "v=STSv1" {
			continue
		}
		found++
		for _, f := range fields[1:] {
			if key, value, _ := strings.Cut(strings.TrimSpace(f), "="); strings.TrimSpace(key) == "id" {
				id = strings.TrimSpace(value)
			}
		}
	}
	valid := id != "" && len(id) <= 32 && !strings.ContainsFunc(id, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	})
	return id, found == 1 && valid
}

// Encode renders a policy for keeping.
func (p *Policy) Encode() []byte {
	b := fmt.Appendf(nil, "1 %d %s\nversion: STSv1\nmode: %s\nmax_age: %d\n",
		p.Fetched.Unix(), p.ID, p.Mode, p.MaxAge/time.Second)
	for _, h := range p.Hosts {
		b = fmt.Appendf(b, "mx: %s\n", h)
	}
	return b
}

// Decode reads what Encode has rendered.
func Decode(b []byte) (Policy, error) {
	head, text, _ := strings.Cut(string(b), "\n")
	words := strings.Split(head, " ")
	if len(words) != 3 || words[0] != "1" {
		return Policy{}, fmt.Errorf("%w: unknown form of the record", errPolicy)
	}
	fetched, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		return Policy{}, fmt.Errorf("%w: no time in the record", errPolicy)
	}
	p, err := Parse(text)
	p.ID, p.Fetched = words[2], time.Unix(fetched, 0)
	return p, err
}

// Expired tells whether a record that was kept is of no use any more.
func Expired(b []byte, now time.Time) bool {
	p, err := Decode(b)
	return err != nil || !p.holds(now)
}
