package smtp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tripost/smtp/queue"
	"tripost/smtp/resolve"
	"tripost/wire/wiretest"
)

// names is a DNS in which one domain has one address.
type names struct{ domain, addr string }

func (n names) MX(_ context.Context, name string) ([]*net.MX, bool, error) {
	return nil, false, &net.DNSError{Err: "no MX", Name: name, IsNotFound: true}
}

func (n names) Host(_ context.Context, name string) (resolve.Host, error) {
	if name == n.domain {
		return resolve.Host{Addrs: []netip.Addr{netip.MustParseAddr(n.addr)}, Name: name}, nil
	}
	return resolve.Host{}, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (n names) TLSA(_ context.Context, _ uint16, host string) ([]resolve.TLSA, bool, error) {
	return nil, false, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// Two of our own servers: a user of one writes to a user of the other and to
// somebody who is not there. The message goes over TLS, and the failure comes
// back as a report.
func TestBetweenServers(t *testing.T) {
	t.Parallel()
	here, there := newWorld(t), newWorld(t)
	here.config.Mode = Submission
	here.options.Hostname = "mail.here.test"
	_, err := there.dir.AddDomain(there.ctx, "there.test")
	must(t, err)
	_, err = there.dir.AddAccount(there.ctx, "dora@there.test", "")
	must(t, err)
	here.listen()
	there.listen()

	talk(t, here, "submission", "HI\nSECURE\nIN ann@example.test\n"+
		"C: MAIL FROM:<ann@example.test>\nS: 250 *\nC: RCPT TO:<dora@there.test>\nS: 250 *\nC: RCPT TO:<nobody@there.test>\nS: 250 *\n"+
		"C: DATA\nS: 354 *\nC: Subject: between\nC:\nC: ..dot\nC: .\nS: 250 *\n")

	sender := queue.NewSender(here.queue, queue.SenderOptions{
		DNS: names{"there.test", "192.0.2.1"},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != "192.0.2.1:25" {
				return nil, fmt.Errorf("dialling %s", address)
			}
			var d net.Dialer
			return d.DialContext(ctx, network, there.addr)
		},
	})
	ctx, cancel := context.WithCancel(here.ctx)
	ended := make(chan error, 1)
	go func() { ended <- sender.Run(ctx) }()
	deadline := time.After(wiretest.Patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for here.queued() != "" {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still queued: %s", here.queued())
		}
	}
	cancel()
	must(t, <-ended)

	there.compare("dora@there.test/INBOX", []string{`Return-Path: <ann@example.test>
Received: from [127.0.0.1] (HELO mail.here.test)
	by mail.example.test (tripost SMTP 0.1)
	with ESMTPS id 1; *
Received: from [127.0.0.1] (account ann@example.test HELO pc7.client.test)
	by mail.here.test (tripost SMTP 0.1)
	with ESMTPSA id 1; *
Date: *
Message-ID: <*@mail.here.test>
Subject: between

.dot
`})
	reports := here.mailbox("ann@example.test/INBOX")
	if len(reports) != 1 || !strings.Contains(reports[0], "Final-Recipient: rfc822; nobody@there.test\r\nAction: failed\r\nStatus: 5.1.1\r\n") ||
		strings.Contains(reports[0], "dora") {
		t.Errorf("reports: %q", reports)
	}
}
