package send

import (
	"maps"
	"strconv"
	"strings"
)

// defaultRecipients is how many recipients one transaction has with a peer that
// says nothing: as many as every host takes (RFC 5321 section 4.5.3.1.8).
const defaultRecipients = 100

// MaxRecipients returns how many recipients one transaction may have: what the
// peer says (RFC 9422 section 4.2), else 100. It is at least 1.
func (c *Conn) MaxRecipients() int {
	if n := c.limit("RCPTMAX"); n > 0 {
		return min(n, maxRecipients)
	}
	return defaultRecipients
}

// maxRecipients bounds a transaction, whatever the peer says.
const maxRecipients = 1000

// Exhausted tells that the peer takes no further transaction over this connection
// (RFC 9422 section 4.1).
func (c *Conn) Exhausted() bool {
	n := c.limit("MAILMAX")
	return n > 0 && c.mails >= n
}

// Admits returns a function that tells of recipients in turn whether they may be in
// the next transaction: some hosts take recipients in so many domains alone over one
// connection (RFC 9422 section 4.3).
func (c *Conn) Admits() func(path string) bool {
	most := c.limit("RCPTDOMAINMAX")
	seen := make(map[string]bool)
	maps.Copy(seen, c.domains)
	return func(path string) bool {
		domain := domainOf(path)
		if most > 0 && !seen[domain] && len(seen) >= most {
			return false
		}
		seen[domain] = true
		return true
	}
}

// count notes the domains of a transaction, where they count.
func (c *Conn) count(m *Message) {
	if c.limit("RCPTDOMAINMAX") == 0 {
		return
	}
	if c.domains == nil {
		c.domains = make(map[string]bool)
	}
	for _, path := range m.Recipients {
		c.domains[domainOf(path)] = true
	}
}

func domainOf(path string) string {
	path = asciiDomain(path)
	return strings.ToLower(path[strings.LastIndexByte(path, '@')+1:])
}

// limit returns one of the peer's limits, 0 for one that it does not give.
func (c *Conn) limit(name string) int {
	for _, word := range strings.Fields(c.extensions["LIMITS"]) {
		key, value, _ := strings.Cut(word, "=")
		if !strings.EqualFold(key, name) {
			continue
		}
		if n, err := strconv.Atoi(value); err == nil && n > 0 {
			return n
		}
	}
	return 0
}
