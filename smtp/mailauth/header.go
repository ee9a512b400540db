package mailauth

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"tripost/message"
)

// Bounds of a header that is looked at.
const (
	maxHeader    = 256 << 10 // octets
	maxFields    = 1000
	maxSignature = 8 << 10 // octets of a DKIM-Signature field
	maxSigned    = 250     // names that it signs
)

// header is the header of a message.
type header struct {
	fields []message.Field
	whole  bool // its end was found within the bounds
	empty  bool // an empty line stands behind it
}

// readHeader reads the header of a message as far as it is looked at.
func readHeader(body io.ReaderAt, size int64) *header {
	b := make([]byte, min(size, maxHeader))
	n, _ := body.ReadAt(b, 0) // what cannot be read is not there
	b = b[:n]
	h := &header{whole: int64(n) == size}
	if end := endOfHeader(b); end >= 0 {
		b, h.whole, h.empty = b[:end], true, true
	}
	h.fields = message.Fields(b)
	h.whole = h.whole && len(h.fields) <= maxFields
	return h
}

// endOfHeader returns where the empty line begins, -1 when there is none.
func endOfHeader(b []byte) int {
	if bytes.HasPrefix(b, []byte("\r\n")) {
		return 0
	}
	if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
		return i + 2
	}
	return -1
}

// values returns the bodies of all fields of a name.
func (h *header) values(name string) []string {
	var all []string
	for _, f := range h.fields {
		if f.Is(name) {
			_, value, _ := strings.Cut(string(f.Raw), ":")
			all = append(all, value)
		}
	}
	return all
}

// maxAuthors is how many domains in From are looked at.
const maxAuthors = 5

var (
	errNoFrom   = errors.New("no address in From")
	errBadFrom  = errors.New("the From field cannot be read")
	errManyFrom = errors.New("too many domains in From")
)

// authors returns the domains of all addresses in all From fields. The error says
// why they are not, or not all, to be had.
func (h *header) authors() ([]string, error) {
	var domains []string
	for _, value := range h.values("From") {
		list, err := message.ParseAddressList(value)
		if err != nil {
			return domains, errBadFrom
		}
		for _, a := range list {
			addr := a.Addr()
			domain := canonical(addr[strings.LastIndexByte(addr, '@')+1:])
			switch {
			case domain == "":
				return domains, errBadFrom
			case slices.Contains(domains, domain):
			case len(domains) == maxAuthors:
				return domains, errManyFrom
			default:
				domains = append(domains, domain)
			}
		}
	}
	if len(domains) == 0 {
		return nil, errNoFrom
	}
	return domains, nil
}
