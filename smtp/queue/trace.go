package queue

import (
	"strings"
	"time"
)

// dateForm is the date-time of RFC 5322 section 3.3.
const dateForm = "Mon, 2 Jan 2006 15:04:05 -0700"

// foldAt is the length of a header line from which the next element goes to a
// line of its own. RFC 5322 section 2.1.1 recommends at most 78.
const foldAt = 72

// localFields returns the fields that stand only on local copies:
// Return-Path (RFC 5321 section 4.4) and the individual recipients. What is
// sent to other hosts begins behind them.
func (q *Queue) localFields(from string, individuals []string) []byte {
	b := make([]byte, 0, 128)
	b = append(b, "Return-Path: <"...)
	b = append(b, from...)
	b = append(b, ">\r\n"...)
	if len(individuals) == 0 {
		return b
	}
	b = append(b, q.o.Individual...)
	b = append(b, ':')
	line := len(q.o.Individual) + 1
	for i, name := range individuals {
		name = clean(name, maxPath)
		if i > 0 {
			b = append(b, ',')
			line++
		}
		if i > 0 && line+len(name) > foldAt {
			b = append(b, "\r\n"...)
			line = 0
		}
		b = append(b, ' ')
		b = append(b, name...)
		line += 1 + len(name)
	}
	return append(b, "\r\n"...)
}

// received returns the Received field of one message (RFC 5321 section 4.4):
//
//	Received: from [192.0.2.7] (account ann@company.test HELO pc7)
//		by mail.company.test (tripost SMTP 0.1.0)
//		with ESMTPSA id 1134; Mon, 2 Jan 2006 15:04:05 +0000
func (q *Queue) received(src *Source, id uint64, now time.Time) []byte {
	b := make([]byte, 0, 256)
	b = append(b, "Received: "...)
	if src.Remote.IsValid() {
		b = append(b, "from ["...)
		b = src.Remote.Unmap().WithZone("").AppendTo(b)
		b = append(b, ']')
		b = appendComment(b, src)
		b = append(b, "\r\n\t"...)
	} else if src.Account != nil {
		b = append(b, "from "...)
		b = appendComment(b, src)
		b = append(b, "\r\n\t"...)
	}
	b = append(b, "by "...)
	b = append(b, q.o.Hostname...)
	b = append(b, " ("...)
	name, version, _ := strings.Cut(q.o.Product, " ")
	b = append(b, name...)
	for _, part := range [...]string{src.Module, version} {
		if part != "" {
			b = append(b, ' ')
			b = append(b, part...)
		}
	}
	b = append(b, ")\r\n\t"...)
	if src.Protocol != "" {
		b = append(b, "with "...)
		b = append(b, src.Protocol...)
		b = append(b, ' ')
	}
	b = append(b, "id "...)
	b = append(b, formatID(id)...)
	b = append(b, "; "...)
	b = now.AppendFormat(b, dateForm)
	return append(b, "\r\n"...)
}

// appendComment appends who the source says it is. A comment's own characters
// are replaced in what a client chose (RFC 5322 section 3.2.2).
func appendComment(b []byte, src *Source) []byte {
	if src.Account == nil && src.Helo == "" {
		return b
	}
	if b[len(b)-1] != ' ' {
		b = append(b, ' ')
	}
	b = append(b, '(')
	if src.Account != nil {
		b = append(b, "account "...)
		b = appendSafe(b, src.Account.Address())
	}
	if src.Helo != "" {
		if src.Account != nil {
			b = append(b, ' ')
		}
		b = append(b, "HELO "...)
		b = appendSafe(b, src.Helo)
	}
	return append(b, ')')
}

// maxHelo is the longest domain name (RFC 1035 section 2.3.4); more of a HELO
// name is not recorded.
const maxHelo = 255

// appendSafe appends s as it may stand in a comment: printable ASCII without
// parentheses, backslashes and spaces.
func appendSafe(b []byte, s string) []byte {
	if len(s) > maxHelo {
		s = s[:maxHelo]
	}
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || c == '(' || c == ')' || c == '\\' {
			c = '?'
		}
		b = append(b, c)
	}
	return b
}

// missing returns the fields that a submitted message must have and that this
// one lacks (RFC 6409 section 8).
func (q *Queue) missing(id uint64, now time.Time, date, messageID bool) []byte {
	var b []byte
	if date {
		b = append(b, "Date: "...)
		b = now.AppendFormat(b, dateForm)
		b = append(b, "\r\n"...)
	}
	if messageID {
		b = append(b, "Message-ID: <"...)
		b = append(b, formatID(id)...)
		b = append(b, '.')
		b = now.UTC().AppendFormat(b, "20060102150405")
		b = append(b, '@')
		b = append(b, q.o.Hostname...)
		b = append(b, ">\r\n"...)
	}
	return b
}
