package imap

import (
	"context"
	"strconv"
	"time"

	"tripost/message"
	"tripost/store"
	"tripost/syslog"
)

// completion is a command's tagged response, RFC 3501 section 7.1.
type completion struct {
	status string // OK, NO, BAD; "" while the command goes on (IDLE)
	code   string // response code without its brackets; "" none
	text   string
	// then is done after the response was written: what must not happen before
	// it. Its error ends the session.
	then func(context.Context) error
}

func ok(text string) completion             { return completion{status: "OK", text: text} }
func okCode(code, text string) completion   { return completion{status: "OK", code: code, text: text} }
func no(code, text string) completion       { return completion{status: "NO", code: code, text: text} }
func bad(text string) completion            { return completion{status: "BAD", text: text} }
func badCode(code, text string) completion  { return completion{status: "BAD", code: code, text: text} }
func (c completion) append(b []byte) []byte { return appendStatus(b, c.status, c.code, c.text) }

// goesOn says that the command has not come to its end.
func (c completion) goesOn() bool { return c.status == "" }

// appendStatus appends a status response without the tag or asterisk before it.
func appendStatus(b []byte, status, code, text string) []byte {
	b = append(b, status...)
	b = append(b, ' ')
	if code != "" {
		b = append(b, '[')
		b = append(b, code...)
		b = append(b, "] "...)
	}
	b = append(b, text...)
	return append(b, "\r\n"...)
}

// complete writes the tagged response.
func (s *session) complete(tag string, c completion) {
	b := s.c.Out()
	b = append(b, tag...)
	b = append(b, ' ')
	s.c.Done(c.append(b))
	if s.log.On(syslog.Protocol) {
		line := c.append(nil)
		s.log.Log(syslog.Protocol, "rsp: "+tag+" "+string(line[:len(line)-2]))
	}
}

// untagged writes an untagged status response: * OK [code] text.
func (s *session) untagged(status, code, text string) {
	s.c.Done(appendStatus(append(s.c.Out(), "* "...), status, code, text))
	if s.log.On(syslog.Protocol) {
		line := appendStatus(nil, status, code, text)
		s.log.Log(syslog.Protocol, "rsp: * "+string(line[:len(line)-2]))
	}
}

// proceed writes a command continuation request.
func (s *session) proceed(text string) {
	b := append(s.c.Out(), "+ "...)
	b = append(b, text...)
	s.c.Done(append(b, "\r\n"...))
}

// line writes one line of untagged data: * text.
func (s *session) line(text string) {
	b := append(s.c.Out(), "* "...)
	b = append(b, text...)
	s.c.Done(append(b, "\r\n"...))
}

// counted writes untagged data of one number: * 23 EXISTS.
func (s *session) counted(n int, name string) {
	b := append(s.c.Out(), "* "...)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, ' ')
	b = append(b, name...)
	s.c.Done(append(b, "\r\n"...))
}

// appendAstring appends s as an atom where it can be one, else as a string.
func appendAstring(b, s []byte) []byte {
	if len(s) == 0 || len(s) == 3 && equalFold(s, "NIL") {
		return message.AppendString(b, s)
	}
	for _, c := range s {
		if classes[c]&classAstring == 0 {
			return message.AppendString(b, s)
		}
	}
	return append(b, s...)
}

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// appendDateTime appends a date, quoted: "17-Jul-1996 02:44:25 +0200".
func appendDateTime(b []byte, unix int64, zone store.Zone) []byte {
	t := time.Unix(unix+zone.Seconds(), 0).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = append(b, '"')
	if day < 10 {
		b = append(b, ' ', byte('0'+day))
	} else {
		b = appendTwo(b, day)
	}
	b = append(b, '-')
	b = append(b, months[3*(month-1):3*month]...)
	b = append(b, '-')
	year = min(max(year, 0), 9999)
	b = appendTwo(appendTwo(b, year/100), year%100)
	b = append(b, ' ')
	b = append(appendTwo(b, hour), ':')
	b = append(appendTwo(b, minute), ':')
	b = append(appendTwo(b, second), ' ')
	sign, minutes := byte('+'), int(zone.Seconds())/60
	if minutes < 0 {
		sign, minutes = '-', -minutes
	}
	b = appendTwo(append(b, sign), minutes/60)
	return append(appendTwo(b, minutes%60), '"')
}

// appendTwo appends a number below 100 with two digits.
func appendTwo(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }
