package imap

import (
	"context"
	"strings"
	"unicode"

	"tripost/message"
	"tripost/syslog"
)

// maxIDFields is the most fields of an ID command, RFC 2971 section 3.3.
const maxIDFields = 30

// id logs who the client says it is and tells who the server is, its version only
// to those who have signed in. RFC 2971.
func (s *session) id(_ context.Context, cmd *command) (completion, error) {
	p := &cmd.args
	p.space()
	fields := p.idFields()
	if err := p.end(); err != nil {
		return completion{}, err
	}
	s.log.Log(syslog.Protocol, "client ID: "+strings.Join(fields, " "))
	s.client = clientName(fields)
	s.user.Actor.Client = s.client
	b := append(s.c.Out(), `* ID ("name" `...)
	b = message.AppendString(b, []byte(s.srv.cfg.Product))
	if late(s) && s.srv.cfg.Version != "" {
		b = append(b, ` "version" `...)
		b = message.AppendString(b, []byte(s.srv.cfg.Version))
	}
	s.c.Done(append(b, ")\r\n"...))
	return ok("Done"), nil
}

// idFields consumes the parameter list of ID: NIL or pairs of a string and a
// string or NIL.
func (p *parser) idFields() []string {
	if p.acceptWord("NIL") {
		return nil
	}
	var fields []string
	p.list(true, func() {
		name := p.str()
		p.space()
		value, _ := p.nstring()
		if len(fields) == maxIDFields {
			p.fail("More than 30 fields")
		}
		fields = append(fields, string(name)+"="+string(value))
	})
	return fields
}

// maxClient bounds what is kept of a client's name, in octets.
const maxClient = 100

// clientName is what a client calls itself, for the history of messages: its name
// and version without what could steer a terminal.
func clientName(fields []string) string {
	var name, version string
	for _, f := range fields {
		key, value, _ := strings.Cut(f, "=")
		switch strings.ToLower(key) {
		case "name":
			name = value
		case "version":
			version = value
		}
	}
	all := strings.ToValidUTF8(strings.TrimSpace(name+" "+version), "?")
	if len(all) > maxClient {
		all = strings.ToValidUTF8(all[:maxClient], "")
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, all)
}
