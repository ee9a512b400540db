package doctor

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"tripost/smtp/mtasts"
)

// mtaSTS looks whether other hosts are told to insist on TLS, and are told right.
func (e *examination) mtaSTS() {
	if e.Policies == nil {
		return
	}
	txt, err := e.DNS.LookupTXT(e.ctx, absolute("_mta-sts."+e.name))
	if err != nil && !absent(err) {
		e.add(Wrong, "MTA-STS", "the DNS does not answer: "+err.Error())
		return
	}
	if len(txt) == 0 {
		e.add(Advice, "MTA-STS", "there is no policy: nothing tells other hosts to insist on TLS")
		return
	}
	p, ok := e.Policies.Policy(e.ctx, e.name)
	if !ok {
		e.add(Wrong, "MTA-STS", "there is a record, and no policy at https://mta-sts."+e.name+"/.well-known/mta-sts.txt that can be fetched and read")
		return
	}
	e.strict = p.Mode == mtasts.Enforce
	for _, host := range e.hosts {
		if !p.Matches(host) {
			e.add(Wrong, "MTA-STS", "the policy does not name "+host+", to which the MX leads")
			return
		}
	}
	e.add(OK, "MTA-STS", "the policy is "+string(p.Mode))
}

// maxReached is how many exchangers of a domain are called.
const maxReached = 5

// reach calls the exchangers of the domain.
func (e *examination) reach() {
	for _, host := range e.hosts[:min(len(e.hosts), maxReached)] {
		addrs, err := e.DNS.LookupNetIP(e.ctx, "ip", absolute(host))
		if err != nil || len(addrs) == 0 {
			continue // told already
		}
		chain, called := e.call(host, addrs[0].Unmap())
		if called {
			e.dane(host, chain)
		}
	}
}

// callTime bounds the conversation with one exchanger.
const callTime = 15 * time.Second

func (d *Doctor) port() int { return cmp.Or(d.Port, 25) }

// call talks to an exchanger as another host would, and returns the certificates
// that it shows, nil for none. called tells that it was there.
func (e *examination) call(host string, addr netip.Addr) (chain []*x509.Certificate, called bool) {
	where := net.JoinHostPort(addr.String(), strconv.Itoa(e.port()))
	d := net.Dialer{Timeout: callTime}
	nc, err := d.DialContext(e.ctx, "tcp", where)
	if err != nil {
		e.add(Wrong, "SMTP", fmt.Sprintf("%s does not answer at %s: %v", host, where, err))
		return nil, false
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(callTime)) // a socket has deadlines
	text := textproto.NewConn(nc)
	extensions, err := greet(text, e.Hostname)
	if err != nil {
		e.add(Wrong, "SMTP", fmt.Sprintf("%s answers at %s, and not as a mail server should: %v", host, where, err))
		return nil, false
	}
	e.answered(host, where, extensions)
	if !strings.Contains(extensions, "\nSTARTTLS") {
		e.add(Wrong, "TLS", host+" offers no STARTTLS")
		return nil, true
	}
	if _, err = text.Cmd("STARTTLS"); err == nil {
		_, _, err = text.ReadResponse(220)
	}
	if err != nil {
		e.add(Wrong, "TLS", host+" refuses STARTTLS: "+err.Error())
		return nil, true
	}
	conn := tls.Client(nc, &tls.Config{
		ServerName: host, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, // what is wrong with the certificate is told below
	})
	if err := conn.HandshakeContext(e.ctx); err != nil {
		e.add(Wrong, "TLS", host+" offers STARTTLS, and the handshake fails: "+err.Error())
		return nil, true
	}
	chain = conn.ConnectionState().PeerCertificates
	e.certificate(host, chain)
	return chain, true
}

// answered tells who answers as an exchanger, by the name in the reply to EHLO. A
// domain may have exchangers of others, and some have several names; but where our
// own name leads to somebody else, so does the mail.
func (e *examination) answered(host, where, extensions string) {
	line, _, _ := strings.Cut(extensions, "\n")
	name, _, _ := strings.Cut(line, " ")
	name = strings.ToLower(name[:min(len(name), 255)])
	ours := strings.EqualFold(host, plain(e.Hostname))
	switch {
	case name == strings.ToLower(host):
		e.add(OK, "SMTP", host+" answers at "+where)
	case ours:
		e.add(Wrong, "SMTP", fmt.Sprintf("at %s, where %s should be, somebody answers who is called %q", where, host, name))
	default:
		e.add(OK, "SMTP", fmt.Sprintf("%s answers at %s, and is called %q", host, where, name))
	}
}

// greet takes the greeting and says EHLO.
func greet(text *textproto.Conn, name string) (extensions string, err error) {
	if _, _, err = text.ReadResponse(220); err != nil {
		return "", err
	}
	if _, err = text.Cmd("EHLO %s", name); err != nil {
		return "", err
	}
	_, extensions, err = text.ReadResponse(250)
	return strings.ToUpper(extensions), err
}

// soon is how long before its end a certificate is worth a word.
const soon = 14 * 24 * time.Hour

// certificate looks at the certificate of an exchanger.
func (e *examination) certificate(host string, chain []*x509.Certificate) {
	state := Advice // most hosts send all the same
	if e.strict {
		state = Wrong
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: host, Roots: e.RootCAs, Intermediates: between, CurrentTime: e.now()})
	if err != nil {
		e.add(state, "TLS", fmt.Sprintf("the certificate of %s is not one that others can verify: %v", host, err))
		return
	}
	end := chain[0].NotAfter
	if left := end.Sub(e.now()); left < soon {
		e.add(Advice, "TLS", fmt.Sprintf("the certificate of %s ends on %s", host, end.Format("2 January 2006")))
		return
	}
	e.add(OK, "TLS", fmt.Sprintf("%s has a certificate until %s", host, end.Format("2 January 2006")))
}
