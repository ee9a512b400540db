package rules

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"

	"tripost/message"
)

// NoReply says why a message must not be answered by a program, "" when it may:
// RFC 3834 section 2. Whether it is addressed to the account is not looked at:
// see [Message.Addressees].
func (m *Message) NoReply() string {
	switch {
	case m.From == "":
		return "it has the null reverse-path"
	case systemSender(m.From):
		return "its sender is a program"
	}
	for _, f := range m.all() {
		name := strings.ToLower(string(f.Name))
		switch {
		case name == "auto-submitted" && !strings.EqualFold(firstWord(f.Value()), "no"):
			return "it was sent by a program"
		case strings.HasPrefix(name, "list-"):
			return "it comes from a mailing list"
		case name == "precedence" && bulk(firstWord(f.Value())):
			return "it is bulk mail"
		case name == "x-auto-response-suppress":
			if v := strings.ToLower(f.Value()); strings.Contains(v, "oof") || strings.Contains(v, "all") || strings.Contains(v, "autoreply") {
				return "its sender wants no reply by a program"
			}
		}
	}
	return ""
}

// firstWord is the value of a field without its comments and parameters.
func firstWord(s string) string {
	s, _, _ = strings.Cut(s, ";")
	s, _, _ = strings.Cut(s, "(")
	return strings.TrimSpace(s)
}

func bulk(precedence string) bool {
	switch strings.ToLower(precedence) {
	case "bulk", "list", "junk":
		return true
	}
	return false
}

// systemSender knows the local parts that stand for programs: RFC 3834 section 2
// and RFC 5230 section 4.6.
func systemSender(addr string) bool {
	local, _, _ := strings.Cut(strings.ToLower(addr), "@")
	switch local {
	case "mailer-daemon", "listserv", "majordomo", "noreply", "no-reply", "donotreply", "do-not-reply":
		return true
	}
	return strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request") ||
		strings.HasSuffix(local, "-owner") || strings.HasSuffix(local, "-bounces") || strings.Contains(local, "-bounces+")
}

// maxAddressees bounds the addresses of a header that are compared with those of
// an account.
const maxAddressees = 100

// Addressees returns the addresses in the fields in which an account must be
// named for its reply to be sent (RFC 3834 section 2): at most 100.
func (m *Message) Addressees() []string {
	var all []string
	for _, f := range m.all() {
		switch strings.ToLower(string(f.Name)) {
		case "to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc":
		default:
			continue
		}
		list, _ := message.ParseAddressList(f.Value())
		for _, a := range list {
			if len(all) == maxAddressees {
				return all
			}
			if a.Domain != "" {
				all = append(all, a.Addr())
			}
		}
	}
	return all
}

// Delivered tells whether the message carries the trace of having been forwarded
// by an account before (RFC 9228).
func (m *Message) Delivered(address string) bool {
	for _, f := range m.all() {
		if f.Is("Delivered-To") && strings.EqualFold(strings.Trim(f.Value(), "<> \t"), address) {
			return true
		}
	}
	return false
}

const (
	maxIDs     = 900 // octets of References
	maxID      = 250 // octets of Message-ID that are repeated
	autoPrefix = "Auto: "
)

// Reply writes the answer to a message: RFC 3834 section 3. address and name are
// the account's. What a submission lacks, Date and Message-ID, is not in it.
func (a *Action) Reply(m *Message, address, name string) []byte {
	var b bytes.Buffer
	from := address
	if name != "" {
		from = mime.QEncoding.Encode("utf-8", name)
		if from == name {
			from = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
		}
		from += " <" + address + ">"
	}
	fmt.Fprintf(&b, "From: %s\r\nTo: <%s>\r\n", from, m.From)
	fmt.Fprintf(&b, "Subject: %s\r\n", foldedWords(a.subject(m)))
	b.WriteString("Auto-Submitted: auto-replied\r\n")
	if id := messageID(m.raw("Message-ID")); id != "" {
		fmt.Fprintf(&b, "In-Reply-To: %s\r\n", id)
		fmt.Fprintf(&b, "References: %s\r\n", references(m.raw("References"), m.raw("In-Reply-To"), id))
	}
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n")
	w := quotedprintable.NewWriter(&b)
	text := strings.ReplaceAll(strings.TrimRight(a.Text, "\n"), "\n", "\r\n")
	io.WriteString(w, text+"\r\n") // a bytes.Buffer takes everything
	w.Close()
	return b.Bytes()
}

// subject is what the rule says, or that of the message behind a prefix (RFC 3834
// section 3.1.5).
func (a *Action) subject(m *Message) string {
	if a.Subject != "" {
		return a.Subject
	}
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, message.DecodeHeader(m.raw("Subject")))
	if len(s) > maxSubject {
		s = strings.ToValidUTF8(s[:maxSubject], "")
	}
	return strings.TrimSpace(autoPrefix + s)
}

// foldedWords encodes a text for a field where it is not ASCII (RFC 2047). The
// words that come out are on lines of their own.
func foldedWords(s string) string {
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", s), "?= =?", "?=\r\n =?")
}

// messageID returns the first identifier of a text, "" where there is none that
// can be repeated.
func messageID(s string) string {
	begin := strings.IndexByte(s, '<')
	if begin < 0 {
		return ""
	}
	end := strings.IndexByte(s[begin:], '>')
	if end < 3 || end > maxID {
		return ""
	}
	id := s[begin : begin+end+1]
	for i := range len(id) {
		if id[i] <= ' ' || id[i] >= 0x7f {
			return ""
		}
	}
	return id
}

// references makes the field of a reply: RFC 5322 section 3.6.4. Of a long list
// the last ones stay.
func references(refs, inReplyTo, id string) string {
	if refs == "" {
		refs = inReplyTo
	}
	var ids []string
	for refs != "" {
		one := messageID(refs)
		if _, rest, found := strings.Cut(refs, ">"); found {
			refs = rest
		} else {
			refs = ""
		}
		if one != "" && one != id {
			ids = append(ids, one)
		}
	}
	size := len(id)
	keep := len(ids)
	for keep > 0 && size+len(ids[keep-1])+3 <= maxIDs {
		keep--
		size += len(ids[keep]) + 3
	}
	return strings.Join(append(ids[keep:], id), "\r\n ")
}
