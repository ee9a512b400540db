package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// receiversBeside starts the other servers to which mail can come: each that keeps
// it, and Postfix before each of these. stop ends them; after an error nothing is
// left to be ended.
func receiversBeside(ctx context.Context, run string) (list []*receiver, stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	var behind []*receiver
	d, err := startDovecot(ctx, "lmtp", nil)
	if err == nil {
		stops, behind = append(stops, d.stop), append(behind, d.receivers()...)
	} else if err = absent(run, err); err != nil {
		return nil, stop, err
	}
	c, err := startCyrus(ctx, "lmtp", nil)
	if err == nil {
		stops, behind = append(stops, c.stop), append(behind, c.receiver())
	} else if err = absent(run, err); err != nil {
		stop()
		return nil, stop, err
	}
	list = behind
	if len(behind) > 0 {
		p, err := postfixBefore(behind)
		if err = absent(run, err); err != nil {
			stop()
			return nil, stop, err
		}
		if p != nil {
			stops, list = append(stops, p.stop), append(list, p.receivers(behind)...)
		}
	}
	return list, stop, nil
}

// errNoPostfix: there is none to measure.
var errNoPostfix = errors.New("no Postfix that could be started here")

// postfixBefore starts a Postfix that hands what comes to other servers by LMTP,
// each by its domain.
func postfixBefore(servers []*receiver) (*postfix, error) {
	if _, err := exec.LookPath("postfix"); err != nil || os.Getuid() != 0 {
		return nil, errNoPostfix
	}
	var domains, transports []string
	for _, r := range servers {
		domains = append(domains, r.domain)
		transports = append(transports, fmt.Sprintf("{ %s = lmtp:inet:%s }", r.domain, r.addr))
	}
	return startPostfix(fmt.Sprintf(`mydestination =
virtual_mailbox_domains = %s
transport_maps = inline:{ %s }
smtpd_relay_restrictions = reject_unauth_destination
in_flow_delay = 0
`, strings.Join(domains, ", "), strings.Join(transports, ", ")))
}

// receivers returns the Postfix before each of the others.
func (p *postfix) receivers(behind []*receiver) []*receiver {
	var list []*receiver
	for _, other := range behind {
		r := *other
		r.name = "postfix, " + other.name
		r.addr, r.lmtp = p.addr, false
		r.cpu = func() (time.Duration, error) {
			one, err1 := p.cpu()
			two, err2 := other.cpu()
			return one + two, errors.Join(err1, err2)
		}
		r.masters = func() ([]int, error) {
			pids, err1 := other.masters()
			pid, err2 := p.master()
			return append(pids, pid), errors.Join(err1, err2)
		}
		list = append(list, &r)
	}
	return list
}
