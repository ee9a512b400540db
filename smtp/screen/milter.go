package screen

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-milter"

	"tripost/message"
)

// Milter says where a milter answers.
type Milter struct {
	Network string // "tcp" or "unix"
	Address string
}

// ParseMilter reads "unix:/path", "inet:port@host" as Postfix and Sendmail write
// it, or "host:port".
func ParseMilter(s string) (Milter, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok && path != "" {
		return Milter{"unix", path}, nil
	}
	rest, inet := strings.CutPrefix(s, "inet:")
	if port, host, ok := strings.Cut(rest, "@"); inet && ok {
		rest = net.JoinHostPort(host, port)
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil || host == "" || port == "" {
		return Milter{}, fmt.Errorf("%q is no milter: use unix:/path or host:port", s)
	}
	return Milter{"tcp", rest}, nil
}

// String returns the address as [ParseMilter] reads it.
func (m *Milter) String() string {
	if m.Network == "unix" {
		return "unix:" + m.Address
	}
	return m.Address
}

// maxMilterHeader is how much of a header a milter is told of, field by field, in
// octets; what is longer it gets as a part of the body.
const maxMilterHeader = 256 << 10

// ask shows one message to the milter, as if it just came in. It may refuse it,
// put it aside, and add header fields; it is told that it can do no more.
func (m *Milter) ask(ctx context.Context, mail *Mail) (*Advice, error) {
	d := &milterDialer{ctx: ctx}
	defer d.close()
	timeout := time.Minute
	if end, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(end), time.Millisecond)
	}
	client := milter.NewClientWithOptions(m.Network, m.Address, milter.ClientOptions{
		Dialer: d, ReadTimeout: timeout, WriteTimeout: timeout,
		ActionMask: milter.OptAddHeader | milter.OptQuarantine,
	})
	session, err := client.Session()
	if err != nil {
		return nil, err
	}
	defer session.Close()
	t := talk{session: session, mail: mail}
	if err := t.run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	return t.advice(), nil
}

// milterDialer holds the connection, so that it ends with the context, and is
// closed also when the two sides cannot agree on a version.
type milterDialer struct {
	ctx  context.Context
	conn net.Conn
	stop func() bool
}

func (d *milterDialer) Dial(network, addr string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(d.ctx, network, addr)
	if err != nil {
		return nil, err
	}
	d.conn = conn
	d.stop = context.AfterFunc(d.ctx, func() { conn.Close() })
	return conn, nil
}

func (d *milterDialer) close() {
	if d.conn != nil {
		d.stop()
		d.conn.Close()
	}
}

// talk is the conversation about one message.
type talk struct {
	session *milter.ClientSession
	mail    *Mail
	last    *milter.Action
	changes []milter.ModifyAction
}

// run goes on until the milter has decided.
func (t *talk) run() error {
	for _, step := range []func() error{t.connect, t.hello, t.envelope, t.header, t.body} {
		if err := step(); err != nil {
			return err
		}
		if t.decided() {
			return nil
		}
	}
	var err error
	t.changes, t.last, err = t.session.End()
	return err
}

// decided tells whether the milter wants to hear no more.
func (t *talk) decided() bool { return t.last != nil && t.last.Code != milter.ActContinue }

func (t *talk) connect() (err error) {
	family, addr := milter.FamilyUnknown, ""
	if a := t.mail.Remote.Unmap().WithZone(""); a.IsValid() {
		family, addr = milter.FamilyInet6, a.String()
		if a.Is4() {
			family = milter.FamilyInet
		}
	}
	host := cmp.Or(t.mail.Name, "["+addr+"]")
	t.last, err = t.session.Conn(host, milter.ProtoFamily(family), 0, addr)
	return err
}

func (t *talk) hello() (err error) {
	t.last, err = t.session.Helo(t.mail.Helo)
	return err
}

func (t *talk) envelope() (err error) {
	if err := t.session.Macros(milter.CodeMail, "i", t.mail.ID, "{mail_addr}", t.mail.From); err != nil {
		return err
	}
	if t.last, err = t.session.Mail(t.mail.From, nil); err != nil || t.decided() {
		return err
	}
	for _, to := range t.mail.Recipients {
		if t.last, err = t.session.Rcpt(to, nil); err != nil || t.decided() {
			return err
		}
	}
	return nil
}

func (t *talk) header() error {
	head := make([]byte, min(t.mail.Size, maxMilterHeader))
	n, err := t.mail.Body.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, f := range message.Fields(head[:n]) {
		if len(f.Name) == 0 || bytes.IndexByte(f.Raw, 0) >= 0 {
			continue
		}
		_, value, _ := bytes.Cut(f.Raw, []byte{':'})
		text := strings.TrimPrefix(strings.TrimRight(string(value), "\r\n"), " ")
		if t.last, err = t.session.HeaderField(string(f.Name), strings.ReplaceAll(text, "\r\n", "\n")); err != nil || t.decided() {
			return err
		}
	}
	t.last, err = t.session.HeaderEnd()
	return err
}

// body sends what stands behind the empty line.
func (t *talk) body() error {
	from, err := t.bodyBegin()
	if err != nil {
		return err
	}
	chunk := make([]byte, milter.MaxBodyChunk)
	for at := from; at < t.mail.Size; {
		n, err := t.mail.Body.ReadAt(chunk[:min(int64(len(chunk)), t.mail.Size-at)], at)
		if n == 0 && err != nil {
			return err
		}
		at += int64(n)
		if t.last, err = t.session.BodyChunk(chunk[:n]); err != nil {
			return err
		}
		switch t.last.Code {
		case milter.ActContinue:
		case milter.ActSkip:
			t.last = nil
			return nil
		default:
			return nil
		}
	}
	return nil
}

func (t *talk) bodyBegin() (int64, error) {
	head := make([]byte, min(t.mail.Size, maxMilterHeader))
	n, err := t.mail.Body.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	head = head[:n]
	if bytes.HasPrefix(head, []byte("\r\n")) {
		return 2, nil
	}
	if i := bytes.Index(head, []byte("\r\n\r\n")); i >= 0 {
		return int64(i) + 4, nil
	}
	return int64(n), nil
}

// advice turns the milter's decision into ours. What it wants thrown away goes to
// the mailbox for unwanted mail: nothing that was accepted is lost.
func (t *talk) advice() *Advice {
	a := &Advice{Finding: Finding{Detail: "accepted"}}
	switch t.last.Code {
	case milter.ActReject:
		a.Refuse, a.Detail = true, "refused"
	case milter.ActTempFail:
		a.Refuse, a.Temporary, a.Detail = true, true, "put off"
	case milter.ActReplyCode:
		a.Refuse, a.Temporary, a.Detail = true, t.last.SMTPCode < 500, "refused"
		a.Reply = plain(withoutEnhanced(t.last.SMTPText), maxReason)
	case milter.ActDiscard:
		a.Junk, a.Detail = true, "discarded"
	}
	for _, c := range t.changes {
		switch c.Code {
		case milter.ActQuarantine:
			a.Junk, a.Detail = true, plain("put aside: "+c.Reason, maxReason)
		case milter.ActAddHeader, milter.ActInsertHeader:
			a.Fields = append(a.Fields, field(c.HeaderName, c.HeaderValue)...)
		}
	}
	return a
}

// withoutEnhanced takes the code of RFC 3463 off a reply, which gets ours.
func withoutEnhanced(s string) string {
	code, rest, ok := strings.Cut(s, " ")
	if ok && strings.Count(code, ".") == 2 && strings.Trim(code, "0123456789.") == "" {
		return rest
	}
	return s
}

// field renders a header field that a milter adds; nothing when it is none.
func field(name, value string) []byte {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }) {
		return nil
	}
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(value, "\r\n", "\n"), "\n") {
		line = strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' || r == 0x7f {
				return '?'
			}
			return r
		}, strings.TrimLeft(line, " \t"))
		if strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return []byte(name + ": " + strings.Join(lines, "\r\n\t") + "\r\n")
}
