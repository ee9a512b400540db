package pop

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"tripost/syslog"
	"tripost/wire"
)

// This file words what a session writes into the System Log, besides the lines
// about sign-ins, which are the same for all protocols and come from accounts.

// logCommand records a command line at the protocol level. Arguments that may
// be secrets are left out, and so is what is no command before sign-in: it may
// be a password that was sent at the wrong moment.
func (s *session) logCommand(verb, arg string, known bool) {
	if !s.log.On(syslog.Protocol) {
		return
	}
	switch {
	case !known && s.state == authorization:
		s.log.Log(syslog.Protocol, "cmd: unknown, "+strconv.Itoa(len(verb)+len(arg))+" octets")
	case verb == "PASS" || verb == "APOP":
		s.log.Log(syslog.Protocol, "cmd: "+verb+" ***")
	case verb == "AUTH" && arg != "":
		s.log.Log(syslog.Protocol, "cmd: AUTH "+firstWord(arg))
	case arg == "":
		s.log.Log(syslog.Protocol, "cmd: "+verb)
	default:
		s.log.Log(syslog.Protocol, "cmd: "+verb+" "+arg)
	}
}

// firstWord is the mechanism of an AUTH. Longer words are no mechanism (RFC
// 4422 section 3.1), and may be a secret.
func firstWord(arg string) string {
	const longestMechanism = 20
	for i := range len(arg) {
		if isBlank(arg[i]) {
			return firstWord(arg[:i]) + " ***"
		}
	}
	if len(arg) > longestMechanism {
		return "***"
	}
	return arg
}

// logClosing writes the last line of a session: why it ended and what it did.
func (s *session) logClosing(why error) {
	reason := s.closingReason(why)
	if s.in == nil {
		s.log.Log(syslog.Protocol, "closing connection: "+reason)
		return
	}
	c, account := s.count, s.in.Account.Address()
	s.log.Log(syslog.Major,
		fmt.Sprintf("ACCOUNT(%s) disconnected: %s; retrieved %d, top %d, deleted %d, submitted %d, octets %d",
			account, reason, c.retrieved, c.top, c.deleted, c.submitted, c.octets),
		syslog.Field{Key: "account", Value: account},
		syslog.Field{Key: "reason", Value: reason},
		syslog.Field{Key: "retrieved", Value: c.retrieved},
		syslog.Field{Key: "top", Value: c.top},
		syslog.Field{Key: "deleted", Value: c.deleted},
		syslog.Field{Key: "submitted", Value: c.submitted},
		syslog.Field{Key: "octets", Value: c.octets})
}

func (s *session) closingReason(why error) string {
	switch {
	case errors.Is(why, wire.ErrIdle) && s.in == nil:
		return "not signed in within " + s.SignIn.String()
	case errors.Is(why, wire.ErrIdle):
		return "idle for " + s.Idle.Round(time.Millisecond).String()
	case errors.Is(why, io.EOF):
		return "connection lost"
	default:
		return why.Error()
	}
}

// logReceived records a message that XTND XMIT has handed over.
func (s *session) logReceived(id string, m *Submission) {
	s.log.Log(syslog.Major,
		fmt.Sprintf("[%s] received(%s) for %d recipients", id, m.From, len(m.Recipients)),
		syslog.Field{Key: "queue", Value: id},
		syslog.Field{Key: "from", Value: m.From},
		syslog.Field{Key: "recipients", Value: m.Recipients})
}

// logRefused records a message that XTND XMIT could not hand over.
func (s *session) logRefused(err error) {
	s.log.Logf(syslog.Failure, "XTND XMIT refused: %v", err)
}
