package dkim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"tripost/store/storetest"
)

// world has keys in a real store, and a clock that the test sets.
type world struct {
	*Keys
	t   *testing.T
	ctx context.Context
	at  time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, ctx: context.Background(), at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.Keys = New(storetest.New(t), func() time.Time { return w.at })
	return w
}

func (w *world) must(keys []*Key, err error) []*Key {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return keys
}

// states lists the keys of a domain as "20260301r signing".
func (w *world) states(domain string) string {
	w.t.Helper()
	var all []string
	for _, k := range w.must(w.List(w.ctx, domain)) {
		all = append(all, k.Selector+" "+string(k.State(w.at)))
	}
	return strings.Join(all, ", ")
}

func (w *world) want(domain, states string) {
	w.t.Helper()
	if got := w.states(domain); got != states {
		w.t.Errorf("keys of %s: %s, want %s", domain, got, states)
	}
}

// lookup answers with the records of a domain's keys.
func (w *world) lookup(domain string) func(string) ([]string, error) {
	return func(name string) ([]string, error) {
		for _, k := range w.must(w.List(w.ctx, domain)) {
			if k.Name(domain) == name {
				return []string{k.Record()}, nil
			}
		}
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
}

const letter = "From: Ann <ann@company.test>\r\nTo: joe@client.test\r\nSubject: hello\r\n\r\nfirst line\r\n\r\n"

func (w *world) sign(msg string) string {
	w.t.Helper()
	fields, err := w.Sign(w.ctx, "company.test", "company.test", strings.NewReader(msg), int64(len(msg)))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(fields) + msg
}

// verify returns "rsa-sha256 ed25519-sha256" for the signatures that are good.
func (w *world) verify(msg string) string {
	w.t.Helper()
	found, err := dkim.VerifyWithOptions(strings.NewReader(msg), &dkim.VerifyOptions{LookupTXT: w.lookup("company.test")})
	if err != nil {
		w.t.Fatal(err)
	}
	var good []string
	for _, v := range found {
		if v.Err == nil {
			good = append(good, v.Domain)
		}
	}
	return strings.Join(good, " ")
}

func TestSign(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.sign(letter); got != letter {
		t.Errorf("signed without a key:\n%s", got)
	}
	w.must(w.Add(w.ctx, "company.test", RSA, Ed25519))
	for _, msg := range []string{
		letter, "From: ann@company.test\r\n", "From: ann@company.test\r\n\r\n", "\r\nno header\r\n",
		"From: ann@company.test\r\n\r\n" + strings.Repeat("0123456789\r\n", 50_000),
	} {
		signed := w.sign(msg)
		if n := strings.Count(signed, "DKIM-Signature: "); n != 2 {
			t.Errorf("%d signatures:\n%.500s", n, signed)
		}
		if strings.Contains(msg, "From:") {
			if !strings.Contains(msg, "\r\n\r\n") {
				signed += "\r\n"
			}
			if got := w.verify(signed); got != "company.test company.test" {
				t.Errorf("good signatures: %q\n%.1500s", got, signed)
			}
		}
	}
	// Neither what is signed nor a second field of its name can be added.
	signed := w.sign(letter)
	for _, changed := range []string{
		strings.Replace(signed, "hello", "hullo", 1), strings.Replace(signed, "first", "other", 1),
		"From: eve@evil.test\r\n" + signed, "Subject: other\r\n" + signed, "Reply-To: eve@evil.test\r\n" + signed,
	} {
		if got := w.verify(changed); got != "" {
			t.Errorf("still good: %q\n%s", got, changed)
		}
	}
}

// What a mailing list adds breaks no signature, where there was nothing of it.
func TestSignedForLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.Add(w.ctx, "company.test", RSA, Ed25519))
	signed := w.sign(letter)
	for _, field := range []string{
		"List-Id: <news.list.test>", "Sender: news@list.test", "List-Unsubscribe: <https://list.test/leave>", "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
		"Auto-Submitted: auto-generated", "References: <1@list.test>", "In-Reply-To: <1@list.test>", "Message-ID: <2@list.test>", "X-Other: x",
	} {
		if good := w.verify(field + "\r\n" + signed); good != "company.test company.test" {
			t.Errorf("with %s: good signatures %q", field, good)
		}
	}
	// What shows, or how, cannot be added; nor changed what was there.
	for _, field := range []string{"From", "Reply-To", "To", "Cc", "Subject", "Date", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"} {
		if good := w.verify(field + ": 7bit\r\n" + signed); good != "" {
			t.Errorf("with %s: good signatures %q", field, good)
		}
	}
	whole := "To: jim@client.test\r\nList-Id: <a.test>\r\nsender: ann@company.test\r\nList-Id: <b.test>\r\nContent-Transfer-Encoding: 8bit\r\n" + letter
	signed = w.sign(whole)
	if good := w.verify(signed); good != "company.test company.test" {
		t.Errorf("good signatures %q", good)
	}
	for _, changed := range []string{
		strings.Replace(signed, "<a.test>", "<c.test>", 1), strings.Replace(signed, "<b.test>", "<c.test>", 1),
		strings.Replace(signed, "sender: ann", "sender: eve", 1), strings.Replace(signed, "jim@", "eve@", 1),
		"To: eve@client.test\r\n" + signed, "Content-Transfer-Encoding: base64\r\n" + signed,
	} {
		if good := w.verify(changed); good != "" {
			t.Errorf("good signatures %q of\n%s", good, changed)
		}
	}
}

// A rotation never leaves the domain without a key whose record is known.
func TestRotate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const domain = "company.test"
	if _, err := w.Rotate(w.ctx, domain, time.Hour); !errors.Is(err, ErrNoKey) {
		t.Errorf("rotate nothing: %v", err)
	}
	w.must(w.Add(w.ctx, domain, RSA, Ed25519))
	w.want(domain, "20260301e signing, 20260301r signing")
	if _, err := w.Add(w.ctx, domain, RSA); !errors.Is(err, ErrHasKey) {
		t.Errorf("a second one: %v", err)
	}
	w.at = w.at.Add(time.Hour)
	w.must(w.Rotate(w.ctx, domain, 72*time.Hour))
	w.want(domain, "20260301e signing, 20260301r signing, 20260301e2 waiting, 20260301r2 waiting")
	if _, err := w.Rotate(w.ctx, domain, time.Hour); !errors.Is(err, ErrWaiting) || !strings.HasPrefix(err.Error(), "20260301e2 waits to sign already: ") {
		t.Errorf("rotate twice: %v", err)
	}
	if _, err := w.Add(w.ctx, domain, RSA); !errors.Is(err, ErrWaiting) || !strings.HasPrefix(err.Error(), "20260301r2 waits to sign already: ") {
		t.Errorf("a third one: %v", err)
	}
	if signed := w.sign(letter); !strings.Contains(signed, "s=20260301r;") || strings.Contains(signed, "s=20260301r2;") {
		t.Errorf("signed by:\n%s", signed)
	}
	w.at = w.at.Add(72 * time.Hour)
	w.want(domain, "20260301e fading, 20260301r fading, 20260301e2 signing, 20260301r2 signing")
	if signed := w.sign(letter); strings.Contains(signed, "s=20260301r;") || !strings.Contains(signed, "s=20260301r2;") {
		t.Errorf("signed by:\n%s", signed)
	}
	w.at = w.at.Add(afterEnd)
	w.want(domain, "20260301e over, 20260301r over, 20260301e2 signing, 20260301r2 signing")
	w.must(w.Rotate(w.ctx, domain, 0))
	w.want(domain, "20260301e2 fading, 20260301r2 fading, 20260311e signing, 20260311r signing")
	if err := w.Remove(w.ctx, domain, "20260301e"); !errors.Is(err, ErrNoKey) {
		t.Errorf("remove what is gone: %v", err)
	}
	if err := w.Remove(w.ctx, domain, "20260311e"); err != nil {
		t.Error(err)
	}
	w.want(domain, "20260301e2 fading, 20260301r2 fading, 20260311r signing")
	for _, overlap := range []time.Duration{maxOverlap + 1, -1} {
		if _, err := w.Rotate(w.ctx, domain, overlap); !errors.Is(err, ErrOverlap) {
			t.Errorf("an overlap of %s: %v", overlap, err)
		}
	}
	if _, err := w.Add(w.ctx, domain, "dsa"); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("dsa: %v", err)
	}
	if err := w.Remove(w.ctx, domain, ""); err != nil {
		t.Error(err)
	}
	w.want(domain, "")
}

// A key that is removed within a rotation leaves its place to the other one: the
// domain goes on signing with both algorithms, now and when the overlap is over.
func TestRemoveWithinRotation(t *testing.T) {
	t.Parallel()
	const domain = "company.test"
	for removed, want := range map[string]struct{ now, later string }{
		"20260301r": {
			"20260301e signing, 20260301e2 waiting, 20260301r2 signing",
			"20260301e fading, 20260301e2 signing, 20260301r2 signing",
		},
		"20260301r2": {
			"20260301e signing, 20260301r signing, 20260301e2 waiting",
			"20260301e fading, 20260301r signing, 20260301e2 signing",
		},
	} {
		w := newWorld(t)
		w.must(w.Add(w.ctx, domain, RSA, Ed25519))
		w.at = w.at.Add(time.Hour)
		w.must(w.Rotate(w.ctx, domain, 72*time.Hour))
		if err := w.Remove(w.ctx, domain, removed); err != nil {
			t.Error(err)
		}
		w.want(domain, want.now)
		w.at = w.at.Add(72 * time.Hour)
		w.want(domain, want.later)
		if good := w.verify(w.sign(letter)); good != "company.test company.test" {
			t.Errorf("without %s: good signatures %q", removed, good)
		}
	}
}

// Domains of which one is the begin of another keep their keys apart.
func TestKeysAreTheDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.Add(w.ctx, "a.test", Ed25519))
	w.must(w.Add(w.ctx, "a.test.company.test", Ed25519))
	w.want("a.test", "20260301e signing")
	w.want("a.tes", "")
	if err := w.Remove(w.ctx, "a.test", ""); err != nil {
		t.Error(err)
	}
	w.want("a.test.company.test", "20260301e signing")
}

func TestZone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, k := range w.must(w.Add(w.ctx, "company.test", RSA, Ed25519)) {
		line := k.Zone("alias.test")
		name, text, _ := strings.Cut(line, ". IN TXT ")
		if name != k.Selector+"._domainkey.alias.test" {
			t.Errorf("name %q", name)
		}
		var joined string
		for part := range strings.SplitSeq(strings.Trim(text, `"`), `" "`) {
			if len(part) > 255 {
				t.Errorf("a string of %d octets", len(part))
			}
			joined += part
		}
		if joined != k.Record() {
			t.Errorf("%s\nis not\n%s", joined, k.Record())
		}
	}
}

func TestAuthor(t *testing.T) {
	t.Parallel()
	for msg, want := range map[string]string{
		letter: "company.test",
		"Subject: x\r\nFROM: a@b.test, c@d.test\r\n\r\n": "b.test",
		"From: nobody\r\n\r\n":                           "",
		"From:\r\n\r\nFrom: a@b.test\r\n":                "",
		"":                                               "",
	} {
		if got := Author(strings.NewReader(msg), int64(len(msg))); got != want {
			t.Errorf("%q: %q, want %q", msg, got, want)
		}
	}
}

// A key in a record that cannot be read shows nothing of itself.
func TestDamagedRecord(t *testing.T) {
	t.Parallel()
	k, err := newKey("company.test", "s", Ed25519, time.Now(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b, err := k.encode()
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(b) {
		if _, err := decode("company.test\x00s", b[:n]); !errors.Is(err, errRecord) {
			t.Fatalf("%d octets: %v", n, err)
		}
	}
	if _, err := decode("company.test", b); !errors.Is(err, errRecord) {
		t.Error(err)
	}
}

// Another program says the same of our signatures.
func TestSignedForOthers(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3" // Debian's, which has Debian's modules
	if exec.Command(python, "-c", "import dkim, nacl").Run() != nil {
		t.Skip("no python3 with dkim and nacl")
	}
	w := newWorld(t)
	keys := w.must(w.Add(w.ctx, "company.test", RSA, Ed25519))
	var records strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&records, "%s.\t%s\n", k.Name("company.test"), k.Record())
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"records": records.String(), "mail": w.sign(letter),
		"verify.py": `import sys, dkim
records = dict(l.rstrip("\n").split("\t") for l in open(sys.argv[1]))
def txt(name, timeout=5):
    r = records.get(name.decode() if isinstance(name, bytes) else name)
    return r.encode() if r else None
d = dkim.DKIM(open(sys.argv[2], "rb").read())
print(d.verify(0, dnsfunc=txt), d.verify(1, dnsfunc=txt))
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(python, filepath.Join(dir, "verify.py"), filepath.Join(dir, "records"), filepath.Join(dir, "mail")).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "True True" {
		t.Errorf("%v: %s", err, out)
	}
}

// verifyByOpenDKIM has OpenDKIM's library verify a message, with the records in a
// file instead of the DNS, and prints how many signatures there are and how many
// are good. The numbers are those of its dkim.h.
const verifyByOpenDKIM = `import sys, ctypes as c
lib = c.CDLL("libopendkim.so.11")
lib.dkim_init.restype = lib.dkim_verify.restype = c.c_void_p
records, mail = sys.argv[1].encode(), open(sys.argv[2], "rb").read()
h, status, file = c.c_void_p(lib.dkim_init(None, None)), c.c_int(), c.c_int(1)
lib.dkim_options(h, 1, 6, c.byref(file), c.sizeof(file))
lib.dkim_options(h, 1, 7, records, len(records))
d = c.c_void_p(lib.dkim_verify(h, b"test", None, c.byref(status)))
head, body = mail.split(b"\r\n\r\n", 1)
for field in head.replace(b"\r\n\t", b"\0\t").replace(b"\r\n ", b"\0 ").split(b"\r\n"):
    field = field.replace(b"\0", b"\r\n")
    assert lib.dkim_header(d, field, c.c_size_t(len(field))) == 0, field
assert lib.dkim_eoh(d) == 0
assert lib.dkim_body(d, body, c.c_size_t(len(body))) == 0
lib.dkim_eom(d, None)
sigs, n = c.POINTER(c.c_void_p)(), c.c_int()
assert lib.dkim_getsiglist(d, c.byref(sigs), c.byref(n)) == 0
good = 0
for i in range(n.value):
    sig = c.c_void_p(sigs[i])
    lib.dkim_sig_process(d, sig)
    good += lib.dkim_sig_getflags(sig) & 4 != 0 and lib.dkim_sig_getbh(sig) == 0
print(n.value, good)
`

// OpenDKIM finds both signatures good, and none of a message that was changed on
// the way.
func TestSignedForOpenDKIM(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3"
	if out, err := exec.Command(python, "-c", `import ctypes; ctypes.CDLL("libopendkim.so.11")`).CombinedOutput(); err != nil {
		t.Skipf("no python3 with libopendkim: %v", lastLine(out))
	}
	w := newWorld(t)
	var records strings.Builder
	for _, k := range w.must(w.Add(w.ctx, "company.test", RSA, Ed25519)) {
		fmt.Fprintf(&records, "%s %s\n", k.Name("company.test"), k.Record())
	}
	signed := w.sign(letter)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"records": records.String(), "verify.py": verifyByOpenDKIM,
		"signed": signed, "changed": strings.Replace(signed, "first line", "other line", 1), "renamed": strings.Replace(signed, "\nSubject: hello", "\nSubject: hallo", 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for mail, want := range map[string]string{"signed": "2 2", "changed": "2 0", "renamed": "2 0"} {
		cmd := exec.Command(python, filepath.Join(dir, "verify.py"), filepath.Join(dir, "records"), filepath.Join(dir, mail))
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: %v: %s, want %s", mail, err, got, want)
		}
	}
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}
