package mailauth

import (
	"strings"
)

// Results returns the Authentication-Results field of a report, with its CRLF.
// hostname is the authserv-id.
//
// RFC 8601 section 2.2; RFC 6008 (header.b), RFC 7489 section 11.2 (dmarc).
func (r *Report) Results(hostname string) []byte {
	b := []byte("Authentication-Results: " + hostname)
	for _, one := range r.results() {
		b = append(b, ";\r\n\t"...)
		b = append(b, one...)
	}
	return append(b, "\r\n"...)
}

// String returns the results in one line, for the log.
func (r *Report) String() string {
	return strings.Join(r.results(), "; ")
}

// results renders each result as a resinfo.
func (r *Report) results() []string {
	var all []string
	if n := r.Name; n.Result != "" {
		s := "iprev=" + string(n.Result)
		if n.Host != "" {
			s += comment(n.Host)
		}
		all = append(all, s+" policy.iprev="+value(n.Addr.String()))
	}
	all = append(all, r.SPF.text())
	for _, s := range r.DKIM {
		all = append(all, s.text())
	}
	if len(r.DKIM) == 0 {
		all = append(all, "dkim=none")
	}
	return append(all, r.DMARC.text())
}

func (s SPF) text() string {
	t := "spf=" + string(s.Result) + comment(s.Reason)
	switch {
	case s.Domain == "":
	case s.Helo:
		t += " smtp.helo=" + value(s.Domain)
	default:
		t += " smtp.mailfrom=" + value(s.Domain)
	}
	return t
}

func (s Signature) text() string {
	t := "dkim=" + string(s.Result) + comment(s.Reason)
	for _, p := range [...]struct{ name, text string }{
		{"header.d", s.Domain}, {"header.s", s.Selector}, {"header.a", s.Algorithm}, {"header.b", s.Begin},
	} {
		if p.text != "" {
			t += " " + p.name + "=" + value(p.text)
		}
	}
	return t
}

func (d DMARC) text() string {
	t := "dmarc=" + string(d.Result)
	switch {
	case d.Reason != "":
		t += comment(d.Reason)
	case d.Result == Pass || d.Result == Fail:
		t += comment("p=" + d.Policy.String())
	}
	if d.Domain != "" {
		t += " header.from=" + value(d.Domain)
	}
	return t
}

// maxShown is how much of what others chose is shown, in octets.
const maxShown = 255

// value renders a value as a token, or as a quoted string.
//
// RFC 8601 section 2.2, pvalue; RFC 2045 section 5.1, token.
func value(s string) string {
	s = shown(s)
	if s != "" && !strings.ContainsAny(s, `()<>@,;:\"/[]?= `) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// comment renders text as a comment (RFC 5322 section 3.2.2), nothing for none.
func comment(s string) string {
	if s == "" {
		return ""
	}
	return " (" + strings.NewReplacer(`\`, `?`, `(`, `[`, `)`, `]`).Replace(shown(s)) + ")"
}

// shown leaves printable ASCII.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s[:min(len(s), maxShown)])
}
