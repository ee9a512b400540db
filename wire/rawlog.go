package wire

import (
	"errors"
	"strconv"

	"tripost/syslog"
)

// logLine logs a line that was read. Only the session knows what is a secret:
// see Secret.
func (c *Conn) logLine(line []byte, err error) {
	log := c.config.Log
	switch {
	case errors.Is(err, ErrLineTooLong):
		log.Log(syslog.Raw, "<- (a line that is too long)")
	case err != nil:
	case c.secret:
		log.Log(syslog.Raw, "<- ***")
	default:
		log.Log(syslog.Raw, "<- "+string(line))
	}
}

// logBody logs that a body passed: its text is nobody's business.
func (c *Conn) logBody(what string, octets int64) {
	if c.config.Log.On(syslog.Raw) {
		c.config.Log.Log(syslog.Raw, "<- ("+what+", "+strconv.FormatInt(octets, 10)+" octets)")
	}
}

// logOutput logs the output that is not in the log yet.
func (c *Conn) logOutput() {
	c.logSent(c.out[c.logged:])
	c.logged = len(c.out)
}

func (c *Conn) logSent(p []byte) {
	if len(p) == 0 || !c.config.Log.On(syslog.Raw) {
		return
	}
	if c.opaque {
		c.config.Log.Log(syslog.Raw, "-> ("+strconv.Itoa(len(p))+" octets)")
		return
	}
	c.config.Log.Log(syslog.Raw, "-> "+string(p))
}
