package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tripost/smtp/dnstest"
)

// TestExchange lets two servers send mail to each other over loopback, while
// either is killed again and again. One domain publishes TLSA records in a
// signed zone, the other an MTA-STS policy, and both sign with DKIM. Each message
// that was acknowledged must arrive unharmed, over a connection that was
// verified, with a signature that was verified; none twice but those that were
// in flight when a server was killed, by the records of both. The number of
// messages is 200, or $TRIPOST_EXCHANGE_MESSAGES.
func TestExchange(t *testing.T) {
	t.Parallel()
	messages, kills := 200, 4
	if n, err := strconv.Atoi(os.Getenv("TRIPOST_EXCHANGE_MESSAGES")); err == nil && n > 0 {
		messages, kills = n, 20
	}
	x := newExchange(t)
	sent := &mailbag{t: t, acknowledged: map[string]bool{}}
	var next atomic.Int64
	var senders sync.WaitGroup
	for n := range 4 {
		from := x.sides[n%2]
		senders.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(messages) {
					return
				}
				sent.send(from, fmt.Sprintf("%s-%d", from.name, i))
			}
		})
	}
	crashes := x.crashes(sent, messages, kills)
	senders.Wait()
	x.settle()
	x.judge(sent, crashes)
}

// exchange is two sites and the little Internet between them.
type exchange struct {
	t     *testing.T
	dns   *dnstest.Server
	sides [2]*site
}

// site is one of them.
type site struct {
	*server
	name  string // "left"
	user  string // "ann@left.test"
	other *site
}

func newExchange(t *testing.T) *exchange {
	t.Helper()
	x := &exchange{t: t}
	ca := newCertifier(t)
	web := servePolicies(t, ca)
	x.dns = dnstest.New(t, "1.0.0.127.in-addr.arpa. PTR mx.left.test.\n")
	port := freePortOn(t, "127.0.0.2", "127.0.0.3")
	for i, name := range []string{"left", "right"} {
		s := &site{name: name, user: "user@" + name + ".test", server: prepare(t, "")}
		addr := fmt.Sprintf("127.0.0.%d", 2+i)
		cert := ca.files(s.dir, "mx."+name+".test")
		s.configure(map[string]string{
			`hostname = "mail.company.test"`:          fmt.Sprintf("hostname = %q", "mx."+name+".test"),
			fmt.Sprintf("smtp.listen = [%q]", s.smtp): fmt.Sprintf("smtp.listen = [%q]", net.JoinHostPort(addr, port)),
			`queue.resolver = "127.0.0.1:1"`:          fmt.Sprintf("queue.resolver = %q\nqueue.resolver_validates = true", x.dns.Addr),
			`log.level = 4`:                           "log.level = 3",
		}, fmt.Sprintf(`
tls.certificate = "cert.pem"
tls.key = "key.pem"
security.client_addresses = []
security.per_address = 0
queue.smtp_port = %s
queue.policy_port = %s
queue.authorities = "ca.pem"
queue.retry = ["1s"]
mailauth.time = "2m"
`, port, web))
		s.smtp = net.JoinHostPort(addr, port)
		x.dns.Add(fmt.Sprintf(`%[1]s.test. MX 10 mx.%[1]s.test.
%[1]s.test. TXT "v=spf1 ip4:127.0.0.1 -all"
mx.%[1]s.test. A %[2]s
`, name, addr))
		if name == "left" {
			sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
			x.dns.Sign("left.test")
			x.dns.Add(fmt.Sprintf("_%s._tcp.mx.left.test. TLSA 3 1 1 %s\n", port, hex.EncodeToString(sum[:])))
		} else {
			x.dns.Add("mta-sts.right.test. A 127.0.0.1\n_mta-sts.right.test. TXT \"v=STSv1; id=1\"\n")
		}
		s.start()
		t.Cleanup(s.stop)
		s.run("domain", "add", name+".test")
		s.runWith(password+"\n", "account", "add", s.user, "--password-stdin")
		for _, algorithm := range []string{"rsa", "ed25519"} {
			out := s.run("domain", "dkim", name+".test", "add", algorithm)
			for line := range strings.Lines(out) {
				if strings.Contains(line, " IN TXT ") {
					x.dns.Add(line)
				}
			}
		}
		x.sides[i] = s
	}
	x.sides[0].other, x.sides[1].other = x.sides[1], x.sides[0]
	return x
}

// configure changes the configuration of a server that was prepared.
func (s *server) configure(change map[string]string, more string) {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	config := string(text)
	for old, line := range change {
		if !strings.Contains(config, old) {
			s.t.Fatalf("the configuration has no %s", old)
		}
		config = strings.Replace(config, old, line, 1)
	}
	if err := os.WriteFile(s.config, []byte(config+more), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// freePortOn returns a port that is free on all addresses.
func freePortOn(t *testing.T, hosts ...string) string {
	t.Helper()
	for range 100 {
		p := port(freeAddresses(t, 1)[0])
		free := true
		for _, h := range hosts {
			ln, err := net.Listen("tcp", net.JoinHostPort(h, p))
			if err != nil {
				free = false
				continue
			}
			ln.Close()
		}
		if free {
			return p
		}
	}
	t.Fatal("no port is free on all addresses")
	return ""
}

// certifier makes certificates.
type certifier struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCertifier(t *testing.T) *certifier {
	c := &certifier{t: t}
	c.cert, c.key = c.certify(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return c
}

// certify makes a certificate, of the authority itself when there is none yet.
func (c *certifier) certify(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent, by := c.cert, c.key
	if parent == nil {
		parent, by = template, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		c.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		c.t.Fatal(err)
	}
	return cert, key
}

// files writes a host's certificate, its key and the authority into a directory.
func (c *certifier) files(dir, name string) *x509.Certificate {
	c.t.Helper()
	cert, key := c.certify(&x509.Certificate{DNSNames: []string{name}})
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		c.t.Fatal(err)
	}
	write(c.t, dir, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})), 0o600)
	write(c.t, dir, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), 0o600)
	write(c.t, dir, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})), 0o600)
	return cert
}

// servePolicies serves the policy of right.test and returns the port.
func servePolicies(t *testing.T, ca *certifier) string {
	t.Helper()
	cert, key := ca.certify(&x509.Certificate{DNSNames: []string{"mta-sts.right.test"}})
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/mta-sts.txt" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, "version: STSv1\nmode: enforce\nmx: mx.right.test\nmax_age: 86400\n")
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = web.Serve(ln) // ends with Close
	}()
	t.Cleanup(func() {
		web.Close()
		<-ended
	})
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
}

// mailbag is what was submitted and acknowledged.
type mailbag struct {
	t            *testing.T
	mu           sync.Mutex
	acknowledged map[string]bool
}

// send submits a message to the other side until it is acknowledged. A try of
// which the outcome is not known gets another name the next time.
func (m *mailbag) send(from *site, name string) {
	deadline := time.Now().Add(patience)
	for try := 0; time.Now().Before(deadline); try++ {
		id := fmt.Sprintf("%s-%d", name, try)
		if err := submit(from, id); err != nil {
			continue // the server is dead, or about to be there again
		}
		m.mu.Lock()
		m.acknowledged[id] = true
		m.mu.Unlock()
		return
	}
	m.t.Errorf("%s: nobody took it", name)
}

func submit(from *site, id string) error {
	nc, err := net.DialTimeout("tcp", from.submission, patience)
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	c, err := smtp.NewClient(nc, "127.0.0.1")
	if err != nil {
		return err
	}
	if err := c.Auth(smtp.PlainAuth("", from.user, password, "127.0.0.1")); err != nil {
		return err
	}
	if err := c.Mail(from.user); err != nil {
		return err
	}
	if err := c.Rcpt(from.other.user); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	text := exchangeText(id)
	if _, err := fmt.Fprintf(w, "From: <%s>\r\nTo: <%s>\r\nSubject: exchange\r\nX-Exchange: %s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%s",
		from.user, from.other.user, id, text); err != nil {
		return err
	}
	return w.Close()
}

// exchangeText is the text of a message: of another length for each, with what
// is easily damaged.
func exchangeText(id string) string {
	var b strings.Builder
	sum := sha256.Sum256([]byte(id))
	for i := range 3 + int(sum[0])%60 {
		fmt.Fprintf(&b, "%s line %d: grüße %s\r\n", id, i, strings.Repeat("x", int(sum[i%32])))
		b.WriteString([]string{".\r\n", "..\r\n", "\r\n", "  trailing  \r\n", "\t\r\n"}[int(sum[(i+7)%32])%5])
	}
	return b.String() + "end\r\n"
}

// await waits until so many messages were acknowledged.
func (m *mailbag) await(n int) {
	m.t.Helper()
	until(m.t, fmt.Sprint(n, " messages are acknowledged"), func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.acknowledged) >= n
	})
}

// until waits for a condition.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// settle waits until nothing is left to be sent.
func (x *exchange) settle() {
	x.t.Helper()
	for _, s := range x.sides {
		deadline := time.Now().Add(patience)
		for left := "all"; left != ""; {
			list := s.run("queue", "list")
			_, left, _ = strings.Cut(strings.TrimSpace(list), "\n")
			if time.Now().After(deadline) {
				x.t.Fatalf("the queue of %s does not become empty:\n%s", s.name, list[:min(len(list), 4000)])
			}
		}
	}
}

// judge compares what arrived with what was acknowledged.
func (x *exchange) judge(sent *mailbag, kills []crash) {
	x.t.Helper()
	arrived := map[string][]arrival{} // in the order in which they came
	for _, s := range x.sides {
		for _, m := range mboxMessages(s.run("message", "export", s.user, "INBOX", "-")) {
			id := m.field("X-Exchange")
			if id == "" {
				x.t.Errorf("%s has got:\n%s", s.name, m.text)
				continue
			}
			arrived[id] = append(arrived[id], x.arrivalOf(s, &m))
			if want := strings.ReplaceAll(exchangeText(id), "\r\n", "\n"); m.body != want {
				at := 0
				for at < min(len(m.body), len(want)) && m.body[at] == want[at] {
					at++
				}
				x.t.Errorf("%s arrived damaged: %d octets, want %d, of which the first %d are right", id, len(m.body), len(want), at)
			}
			if results := m.field("Authentication-Results"); !strings.Contains(results, "dkim=pass") {
				x.t.Errorf("%s: the signature was not verified: %s", id, results)
			}
		}
	}
	for id := range sent.acknowledged {
		if len(arrived[id]) == 0 {
			x.t.Errorf("%s was acknowledged and did not arrive", id)
		}
	}
	twice := x.excuse(arrived, kills)
	left, right := x.secured("left"), x.secured("right")
	if n := left["TLS 1.3, verified"]; n == 0 || len(left) != 1 {
		x.t.Errorf("left sent over %v, want MTA-STS alone", left)
	}
	if n := right["TLS 1.3, DANE"]; n == 0 || len(right) != 1 {
		x.t.Errorf("right sent over %v, want DANE alone", right)
	}
	x.t.Logf("%d acknowledged, %d arrived, %d copies too many, %d kills; left sent %v, right sent %v",
		len(sent.acknowledged), len(arrived), twice, len(kills), left, right)
}

// secured counts what a site has sent, by how the connection was secured.
func (x *exchange) secured(name string) map[string]int {
	x.t.Helper()
	count := map[string]int{}
	for _, s := range x.sides {
		if s.name != name {
			continue
		}
		for line := range strings.Lines(s.log()) {
			if _, rest, ok := strings.Cut(line, "> relayed via "); ok {
				_, rest, _ = strings.Cut(rest, " (")
				how, _, _ := strings.Cut(rest, "): ")
				count[how]++
			}
		}
	}
	return count
}

// exported is a message of an mbox file.
type exported struct{ text, header, body string }

func mboxMessages(mbox string) (all []exported) {
	for _, part := range strings.Split("\n"+mbox, "\nFrom ")[1:] {
		_, text, _ := strings.Cut(part, "\n")
		header, body, _ := strings.Cut(text, "\n\n")
		all = append(all, exported{text, strings.ReplaceAll(header, "\n\t", " "), strings.TrimRight(body, "\n") + "\n"})
	}
	return all
}

// field returns the value of the first field with a name.
func (m *exported) field(name string) string {
	lines := strings.Split(m.header, "\n")
	for i, line := range lines {
		value, ok := strings.CutPrefix(line, name+": ")
		for ok && i+1 < len(lines) && strings.HasPrefix(lines[i+1], " ") {
			i++
			value += lines[i]
		}
		if ok {
			return value
		}
	}
	return ""
}
