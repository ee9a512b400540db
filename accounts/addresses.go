package accounts

import (
	"fmt"
	"net/netip"
	"slices"
)

// maxAddresses bounds the record of one domain.
const maxAddresses = 200

// A domain may have IP addresses of this host for itself. A login name without
// a domain that comes in on one of them belongs to it: POP and IMAP clients
// never say which server name their user typed.

func addressKey(ip netip.Addr) []byte {
	b := ip.As16()
	return append([]byte{keyAddress}, b[:]...)
}

// DomainAt returns the domain that a local IP address is assigned to, or
// ErrNoDomain.
func (n *Names) DomainAt(local netip.Addr) (Domain, error) {
	if !local.IsValid() {
		return Domain{}, ErrNoDomain
	}
	b, err := n.get(addressKey(local.Unmap().WithZone("")))
	if err != nil {
		return Domain{}, err
	}
	if b == nil {
		return Domain{}, fmt.Errorf("address %s: %w", local, ErrNoDomain)
	}
	f := readRecord(b)
	name := f.Text()
	if err := f.end(keyAddress); err != nil {
		return Domain{}, err
	}
	return n.Domain(name)
}

// replaceAddresses assigns the addresses of dom to it, and no longer the old
// ones that are not among them.
func (w *writer) replaceAddresses(dom *Domain, old []netip.Addr) error {
	if len(dom.Addresses) > maxAddresses {
		return fmt.Errorf("%d addresses: %w: at most %d", len(dom.Addresses), ErrBadValue, maxAddresses)
	}
	for i, ip := range dom.Addresses {
		ip = ip.Unmap().WithZone("")
		if !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() {
			return fmt.Errorf("address %s: %w: nobody connects to it", ip, ErrBadValue)
		}
		dom.Addresses[i] = ip
	}
	slices.SortFunc(dom.Addresses, netip.Addr.Compare)
	dom.Addresses = slices.Compact(dom.Addresses)
	for _, ip := range old {
		if !slices.Contains(dom.Addresses, ip) {
			w.delete(addressKey(ip))
		}
	}
	for _, ip := range dom.Addresses {
		if slices.Contains(old, ip) {
			continue
		}
		if b, err := w.get(addressKey(ip)); err != nil {
			return err
		} else if b != nil {
			return fmt.Errorf("address %s is another domain's: %w", ip, ErrExists)
		}
		w.put(addressKey(ip), newStored().text(dom.Name).b)
	}
	return nil
}
