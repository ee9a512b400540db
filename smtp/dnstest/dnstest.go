// Package dnstest gives tests a DNS server on loopback: a recursive one to those
// who ask, with zones that the test writes, signed where it wants, and failing
// in the ways that a test names.
package dnstest

import (
	"crypto"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Failure is a way in which a name fails.
type Failure int

// The ways.
const (
	None     Failure = iota
	ServFail         // the server says that it could not find out
	Refused          // the server refuses to answer
	Silent           // no answer at all
	Cut              // over UDP the answer is cut: the asker must come by TCP
	CutTCP           // the answer is cut over TCP too
	Other            // the reply is to another question
	Garbage          // the reply is no DNS message
	Held             // no answer until the name fails in another way, or no longer
)

// Server is a DNS server. Its methods may be called from any goroutine.
type Server struct {
	Addr string // "127.0.0.1:port", UDP and TCP

	t    testing.TB
	key  *dns.DNSKEY
	priv crypto.Signer

	mu      sync.Mutex // guards what follows
	news    *sync.Cond // a question has come
	records map[string][]dns.RR
	signed  []string                 // apexes
	spoiled map[string]bool          // names whose signatures are wrong
	fail    map[string]Failure       // by name
	held    map[string]chan struct{} // of Held: closed when it is over
	asked   map[string]int           // by "name TYPE"
}

// New starts a server with records in the form of a zone file, all names
// absolute. It ends with the test.
func New(t testing.TB, zone string) *Server {
	t.Helper()
	s := &Server{t: t, records: map[string][]dns.RR{}, spoiled: map[string]bool{}, fail: map[string]Failure{}, held: map[string]chan struct{}{}, asked: map[string]int{}}
	s.news = sync.NewCond(&s.mu)
	s.key = &dns.DNSKEY{
		Hdr:   dns.RR_Header{Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 300},
		Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	priv, err := s.key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	s.priv = priv.(crypto.Signer)
	s.Add(zone)
	s.listen()
	return s
}

// listen opens UDP and TCP on one port.
func (s *Server) listen() {
	s.t.Helper()
	var ln net.Listener
	var pc net.PacketConn
	for range 50 { // until a port is free for both
		var err error
		if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			s.t.Fatal(err)
		}
		s.Addr = ln.Addr().String()
		if pc, err = net.ListenPacket("udp", s.Addr); err == nil {
			break
		}
		ln.Close()
		pc = nil
	}
	if pc == nil {
		s.t.Fatal("no port is free for UDP and TCP")
	}
	defer s.t.Cleanup(s.release) // before the ends below, which wait for what is asked
	for _, one := range []*dns.Server{{Listener: ln}, {PacketConn: pc}} {
		one.Handler = dns.HandlerFunc(s.answer)
		started, ended := make(chan struct{}), make(chan struct{})
		one.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(ended)
			_ = one.ActivateAndServe() // ends with Shutdown
		}()
		<-started
		s.t.Cleanup(func() {
			_ = one.Shutdown()
			<-ended
		})
	}
}

// Add adds records.
func (s *Server) Add(zone string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	z := dns.NewZoneParser(strings.NewReader(zone), ".", "")
	z.SetDefaultTTL(300)
	for rr, ok := z.Next(); ok; rr, ok = z.Next() {
		name := dns.CanonicalName(rr.Header().Name)
		s.records[name] = append(s.records[name], rr)
	}
	if err := z.Err(); err != nil {
		s.t.Fatal(err)
	}
}

// Remove takes all records of a name away.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, dns.CanonicalName(name))
}

// Fail lets a name fail from now on, or with None no longer.
func (s *Server) Fail(name string, how Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name = dns.CanonicalName(name)
	s.fail[name] = how
	if held := s.held[name]; held != nil && how != Held {
		close(held)
		delete(s.held, name)
	} else if held == nil && how == Held {
		s.held[name] = make(chan struct{})
	}
}

// release answers all who still wait, when the test is over.
func (s *Server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, held := range s.held {
		close(held)
		delete(s.held, name)
	}
}

// Sign signs a name and all below it. The server is a validating one: it says
// that an answer is authentic when the signature is right.
func (s *Server) Sign(apex string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signed = append(s.signed, dns.CanonicalName(apex))
}

// Spoil makes the signatures of a name wrong: the answer is SERVFAIL, as a
// validating server gives it.
func (s *Server) Spoil(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoiled[dns.CanonicalName(name)] = true
}

// Asked returns how often a name was asked for records of a type.
func (s *Server) Asked(name, kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[dns.CanonicalName(name)+" "+kind]
}

// WaitAsked waits until a name was asked for records of a type.
func (s *Server) WaitAsked(name, kind string) {
	s.t.Helper()
	over := false
	timer := time.AfterFunc(time.Minute, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		over = true
		s.news.Broadcast()
	})
	defer timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.asked[dns.CanonicalName(name)+" "+kind] == 0 {
		if over {
			s.t.Fatalf("nobody asks for %s of %s", kind, name)
		}
		s.news.Wait()
	}
}

func (s *Server) answer(w dns.ResponseWriter, q *dns.Msg) {
	if len(q.Question) != 1 {
		return
	}
	name, kind := dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	s.mu.Lock()
	s.asked[name+" "+dns.TypeToString[kind]]++
	s.news.Broadcast()
	for held := s.held[name]; held != nil; held = s.held[name] {
		s.mu.Unlock()
		<-held
		s.mu.Lock()
	}
	how := s.fail[name]
	m := s.reply(q, name, kind)
	s.mu.Unlock()
	_, tcp := w.RemoteAddr().(*net.TCPAddr)
	switch how {
	case Silent:
		return
	case Garbage:
		_, _ = w.Write([]byte("no message"))
		return
	case ServFail:
		m = new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
	case Refused:
		m = new(dns.Msg).SetRcode(q, dns.RcodeRefused)
	case Other:
		m.Question[0].Name = "another.question."
	case Cut, CutTCP:
		if !tcp || how == CutTCP {
			m.Truncated, m.Answer = true, nil
		}
	}
	if !tcp && m.Len() > 1232 {
		m.Truncated, m.Answer = true, nil
	}
	_ = w.WriteMsg(m) // who asked may be gone
}

// reply finds the records behind all aliases. The caller holds mu.
func (s *Server) reply(q *dns.Msg, name string, kind uint16) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	secure := true
	for range 20 {
		set, alias := s.pick(name, kind)
		if len(set) == 0 {
			if !s.exists(name) {
				m.Rcode = dns.RcodeNameError
			}
			break
		}
		ok, authentic := s.validate(name, set)
		if !ok {
			return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		}
		secure = secure && authentic
		m.Answer = append(m.Answer, set...)
		if alias == "" {
			break
		}
		name = alias
	}
	if len(m.Answer) == 0 || m.Rcode != dns.RcodeSuccess {
		if s.spoiled[name] {
			return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		}
		_, secure = s.apex(name)
		m.Ns = append(m.Ns, &dns.SOA{
			Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
			Ns:  "ns.test.", Mbox: "hostmaster.test.", Serial: 1, Refresh: 60, Retry: 60, Expire: 60, Minttl: 60,
		})
	}
	m.AuthenticatedData = secure && q.AuthenticatedData
	return m
}

// pick returns the records of a name and type, or its alias with where it leads.
func (s *Server) pick(name string, kind uint16) (set []dns.RR, alias string) {
	for _, rr := range s.records[name] {
		if rr.Header().Rrtype == kind {
			set = append(set, rr)
		}
	}
	if len(set) > 0 {
		return set, ""
	}
	for _, rr := range s.records[name] {
		if c, ok := rr.(*dns.CNAME); ok {
			return []dns.RR{rr}, dns.CanonicalName(c.Target)
		}
	}
	return nil, ""
}

// exists tells whether a name or one below it has records.
func (s *Server) exists(name string) bool {
	for n := range s.records {
		if n == name || strings.HasSuffix(n, "."+name) {
			return true
		}
	}
	return false
}

func (s *Server) apex(name string) (string, bool) {
	for _, a := range s.signed {
		if dns.IsSubDomain(a, name) {
			return a, true
		}
	}
	return "", false
}

// validate signs a set as its zone does and verifies the signature as a
// validating server does.
func (s *Server) validate(name string, set []dns.RR) (ok, secure bool) {
	apex, signed := s.apex(name)
	if !signed || len(set) == 0 {
		return true, signed
	}
	key := *s.key
	key.Hdr.Name = apex
	now := time.Now()
	sig := &dns.RRSIG{
		Hdr:       dns.RR_Header{Name: name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: set[0].Header().Ttl},
		Algorithm: key.Algorithm, KeyTag: key.KeyTag(), SignerName: apex,
		Inception: uint32(now.Add(-time.Hour).Unix()), Expiration: uint32(now.Add(time.Hour).Unix()),
	}
	if err := sig.Sign(s.priv, set); err != nil {
		panic(fmt.Sprintf("sign %s: %v", name, err))
	}
	if s.spoiled[name] {
		sig.Expiration++
	}
	err := sig.Verify(&key, set)
	return err == nil, err == nil
}
