package smtp

import (
	"strconv"
	"strings"

	"tripost/syslog"
)

// events writes what a session does to the System Log, under SMTPI. What becomes
// of a message is told by the queue.
type events struct{ log *syslog.Logger }

// command tells of a command; what AUTH carries is secret, however it is spelt.
func (e events) command(verb, arg string) {
	if !e.log.On(syslog.Protocol) {
		return
	}
	if arg != "" {
		verb += " " + arg
	}
	if words := strings.Fields(verb); len(words) > 1 && strings.HasPrefix(strings.ToUpper(words[0]), "AUTH") {
		verb = words[0] + " " + words[1]
		if len(words) > 2 {
			verb += " ***"
		}
	}
	e.log.Log(syslog.Protocol, "cmd: "+verb)
}

// response tells of a client's line within a sign-in.
func (e events) response() {
	if e.log.On(syslog.Protocol) {
		e.log.Log(syslog.Protocol, "cmd: ***")
	}
}

// reply tells of one line of a reply.
func (e events) reply(line []byte) {
	if e.log.On(syslog.Protocol) {
		e.log.Log(syslog.Protocol, "rsp: "+string(line))
	}
}

// received tells of a message that the queue has taken. The queue's own line has
// all about it.
func (e events) received(id, protocol string) {
	if e.log.On(syslog.Protocol) {
		e.log.Log(syslog.Protocol, "["+id+"] received by "+protocol,
			syslog.Field{Key: "event", Value: "received"},
			syslog.Field{Key: "id", Value: id})
	}
}

// recipientRefused tells of a recipient that was not taken, and why.
func (e events) recipientRefused(from, addr string, r reply) {
	if e.log.On(syslog.Problem) {
		e.log.Log(syslog.Problem, "recipient <"+addr+"> of <"+from+"> refused: "+r.enhanced+" "+r.text,
			syslog.Field{Key: "event", Value: "refused"},
			syslog.Field{Key: "from", Value: from},
			syslog.Field{Key: "recipient", Value: addr},
			syslog.Field{Key: "code", Value: r.code})
	}
}

// messageRefused tells of a message that was not taken. The cause is logged in
// full where the client is told only that we failed.
func (e events) messageRefused(from string, r reply, err error) {
	level := syslog.Problem
	if r.code < 500 {
		level = syslog.Failure
	}
	if e.log.On(level) {
		e.log.Log(level, "message of <"+from+"> refused: "+err.Error(),
			syslog.Field{Key: "event", Value: "refused"},
			syslog.Field{Key: "from", Value: from},
			syslog.Field{Key: "code", Value: r.code})
	}
}

// failed tells of a failure of ours that the client sees as a temporary one.
func (e events) failed(doing string, err error) {
	e.log.Logf(syslog.Failure, "%s: %v", doing, err)
}

// earlyTalker tells of a client that spoke before it was greeted.
func (e events) earlyTalker() {
	e.log.Log(syslog.Problem, "the client speaks before the greeting",
		syslog.Field{Key: "event", Value: "early-talker"})
}

// ahead tells of octets that were sent before the go-ahead to a command.
func (e events) ahead(verb string) {
	e.log.Log(syslog.Problem, "octets sent after "+verb+" before they were asked for",
		syslog.Field{Key: "event", Value: "ahead"},
		syslog.Field{Key: "command", Value: verb})
}

// screened tells of a stranger who was refused at MAIL or RCPT by the first line.
func (e events) screened(from, addr string, r reply) {
	text := "mail of <" + from + ">"
	if addr != "" {
		text += " to <" + addr + ">"
	}
	e.log.Log(syslog.Problem, text+" refused: "+r.enhanced+" "+r.text,
		syslog.Field{Key: "event", Value: "screened"},
		syslog.Field{Key: "from", Value: from},
		syslog.Field{Key: "recipient", Value: addr},
		syslog.Field{Key: "code", Value: r.code})
}

// trapped tells of a client that wrote to a trap.
func (e events) trapped(from, addr string) {
	e.log.Log(syslog.Problem, "recipient <"+addr+"> of <"+from+"> is a trap: the message will be refused",
		syslog.Field{Key: "event", Value: "trapped"},
		syslog.Field{Key: "from", Value: from},
		syslog.Field{Key: "recipient", Value: addr})
}

// tooMany tells of an address that does more than it may.
func (e events) tooMany(what string) {
	e.log.Log(syslog.Problem, "too many "+what+" from this address, connection closed",
		syslog.Field{Key: "event", Value: "rate"})
}

// judged tells what was found out about a message of a stranger, and what becomes
// of it.
//
//	[1134] from <a@b>: spf=pass smtp.mailfrom=b; dkim=none; dmarc=none; score=0: taken
func (e events) judged(id, from string, o *opinion, junk int, err error) {
	level, decision := syslog.Major, "taken"
	switch {
	case err != nil:
		level, decision = syslog.Problem, "refused: "+err.Error()
	case junk > 0:
		decision = "junk for " + strconv.Itoa(junk)
	}
	if !e.log.On(level) {
		return
	}
	e.log.Log(level, "["+id+"] from <"+from+">: "+o.String()+": "+decision,
		syslog.Field{Key: "event", Value: "judged"},
		syslog.Field{Key: "id", Value: id},
		syslog.Field{Key: "from", Value: from},
		syslog.Field{Key: "decision", Value: decision})
}

// http tells of a browser on our port.
func (e events) http(verb string) {
	e.log.Logf(syslog.Problem, "HTTP request (%s) on the SMTP port, connection closed", verb)
}

// closed tells of the end of a session.
func (e events) closed(s *session, err error) {
	switch {
	case err == errQuit || gone(err):
		if e.log.On(syslog.Protocol) {
			e.log.Log(syslog.Protocol, "closing connection")
		}
	default:
		e.log.Logf(syslog.Problem, "closing connection: %v", err)
	}
}
