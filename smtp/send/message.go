package send

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// Message is what is handed over, with its envelope.
type Message struct {
	From       string   // reverse-path without <>; "" is the null reverse-path
	Recipients []string // without <>
	Size       int64    // octets of Body
	Body8Bit   bool     // some octet is above 127
	Binary     bool     // only a peer that TakesBinary may get it; it goes in chunks (RFC 3030)
	UTF8       bool     // only a peer that knows SMTPUTF8 may get it (RFC 6531)
	RequireTLS bool     // the peer passes on that it must stay under TLS (RFC 8689); the caller has seen to the connection
	Body       io.Reader

	// For a peer that knows RFC 3461.
	Return     string             // "FULL" or "HDRS"; empty: not given
	EnvelopeID string             // in clear; empty: not given
	Options    []RecipientOptions // of Recipients, in their order
}

// Result is what the peer said about one recipient.
type Result struct {
	Reply Reply // the one that decided
	Err   error // not the peer's word: the connection failed, or we did not ask
}

// Errors of messages that the peer cannot take.
var (
	ErrTooLong  = errors.New("message exceeds the peer's size limit")
	ErrNonASCII = errors.New("the peer takes no addresses that are not ASCII")
	ErrUTF8     = errors.New("the peer takes no header fields that are not ASCII")
	// ErrLines: it holds a CR or an LF that stands alone, or a NUL. Some hosts take
	// such a CR or LF for the end of a line, so that what stands behind it could
	// become a command or another message: it must not be sent (RFC 5321 section
	// 2.3.8).
	ErrLines = errors.New("the message is not made of lines that end with CRLF")
	errRead  = errors.New("read the message")
)

// Send hands one message over and returns a result for each recipient, in their
// order. Who was taken has a positive reply to the whole message. When the
// connection fails, recipients that the peer has not refused by then get the
// error; the peer may have the message all the same when that was after its last
// octet.
//
// RFC 5321 section 3.3, RFC 2920 where offered.
func (c *Conn) Send(m Message) []Result {
	results := make([]Result, len(m.Recipients))
	if limit := c.maxSize(); limit > 0 && m.Size > limit {
		return fill(results, Result{Err: ErrTooLong})
	}
	if !c.has("SMTPUTF8") {
		m.downgrade()
		if !m.ascii() {
			return fill(results, Result{Err: ErrNonASCII})
		}
	}
	if !c.has("SMTPUTF8") && m.UTF8 {
		return fill(results, Result{Err: ErrUTF8})
	}
	if !m.Binary || !c.TakesBinary() {
		m.Body = &lineReader{body: m.Body, size: m.Size}
	}
	c.mails++
	c.count(&m)
	c.wire.SetReadTimeout(c.timeouts.Command)
	ahead := c.has("PIPELINING") && !c.chunks(&m) && len(results) <= maxGroup
	some, err := c.envelope(m, results, ahead)
	switch {
	case err != nil:
		return c.fail(results, err)
	case !some:
		if ahead {
			c.callOff()
		}
		c.reset()
		return results
	}
	var r Reply
	if c.chunks(&m) {
		r, err = c.bdat(m)
	} else {
		r, err = c.data(m, ahead)
	}
	if err != nil {
		return c.fail(results, err)
	}
	for i := range results {
		if results[i].Err == nil && results[i].Reply.OK() {
			results[i].Reply = r
		}
	}
	return results
}

// Takes8Bit tells whether the peer takes octets above 127 (RFC 6152).
func (c *Conn) Takes8Bit() bool { return c.has("8BITMIME") }

// TakesBinary tells whether the peer takes any octets (RFC 3030 section 3).
func (c *Conn) TakesBinary() bool { return c.has("BINARYMIME") && c.has("CHUNKING") }

// chunks tells whether a message is better sent in chunks: they need no stuffing
// and, for a small one, no reply before the last.
func (c *Conn) chunks(m *Message) bool { return c.has("CHUNKING") && (m.Binary || m.Size <= chunk) }

// downgrade writes domains that are not ASCII in the form that DNS has for them
// (RFC 5891), which leads to the same place.
func (m *Message) downgrade() {
	m.From = asciiDomain(m.From)
	list := make([]string, len(m.Recipients))
	for i, path := range m.Recipients {
		list[i] = asciiDomain(path)
	}
	m.Recipients = list
}

func asciiDomain(path string) string {
	at := strings.LastIndexByte(path, '@')
	if at < 0 || ascii(path[at:]) {
		return path
	}
	domain, err := idna.Lookup.ToASCII(path[at+1:])
	if err != nil {
		return path
	}
	return path[:at+1] + domain
}

// ascii tells whether the envelope can be sent without SMTPUTF8.
func (m *Message) ascii() bool {
	for _, path := range m.Recipients {
		if !ascii(path) {
			return false
		}
	}
	return ascii(m.From)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func fill(results []Result, with Result) []Result {
	for i := range results {
		results[i] = with
	}
	return results
}

// fail gives the error to all whom the peer has not refused.
func (c *Conn) fail(results []Result, err error) []Result {
	c.broken = true
	for i := range results {
		if r := &results[i]; r.Reply.Code == 0 || r.Reply.OK() {
			*r = Result{Err: err}
		}
	}
	return results
}

// mailCommand renders MAIL with the parameters that the peer knows.
func (c *Conn) mailCommand(m Message) string {
	line := "MAIL FROM:<" + m.From + ">"
	if c.has("SIZE") {
		line += " SIZE=" + strconv.FormatInt(m.Size, 10)
	}
	switch {
	case m.Binary && c.TakesBinary():
		line += " BODY=BINARYMIME"
	case m.Body8Bit && c.Takes8Bit():
		line += " BODY=8BITMIME"
	}
	if c.has("SMTPUTF8") && (m.UTF8 || !m.ascii()) {
		line += " SMTPUTF8"
	}
	if m.RequireTLS && c.RequiresTLS() {
		line += " REQUIRETLS"
	}
	return line + c.mailOptions(&m)
}

func (c *Conn) rcptCommand(m *Message, i int) string {
	return "RCPT TO:<" + m.Recipients[i] + ">" + c.recipientOptions(m, i)
}

// maxGroup is how many RCPT go in one group: so few that commands and replies
// fit into the buffers of the connection (RFC 2920 section 3.1).
const maxGroup = 100

// envelope sends MAIL and all RCPT, in groups where the peer takes that, and
// tells whether some recipient was accepted.
func (c *Conn) envelope(m Message, results []Result, ahead bool) (some bool, err error) {
	if !c.has("PIPELINING") {
		return c.stepwise(m, results)
	}
	c.put(c.mailCommand(m))
	var mail Reply
	for from := 0; from < len(results) && !c.broken; from += maxGroup {
		group := results[from:min(from+maxGroup, len(results))]
		for i := range group {
			c.put(c.rcptCommand(&m, from+i))
		}
		if ahead {
			c.put("DATA")
		}
		if from == 0 {
			if mail, err = c.reply("MAIL"); err != nil {
				return false, err
			}
		}
		if some, err = c.answers(group, some); err != nil {
			break
		}
	}
	switch {
	case !mail.OK():
		fill(results, Result{Reply: mail}) // whatever became of the connection afterwards
		return false, nil
	case err == nil && c.broken:
		closing(results, c.last)
		some = false
	}
	return some, err
}

// answers reads the replies to a group of RCPT.
func (c *Conn) answers(group []Result, some bool) (bool, error) {
	for i := range group {
		if c.broken {
			return some, nil
		}
		r, err := c.reply("RCPT")
		if err != nil {
			return some, err
		}
		if group[i].Reply = r; r.OK() {
			some = true
		}
	}
	return some, nil
}

// stepwise waits for each reply.
func (c *Conn) stepwise(m Message, results []Result) (some bool, err error) {
	mail, err := c.command(c.mailCommand(m))
	if err != nil {
		return false, err
	}
	if !mail.OK() {
		fill(results, Result{Reply: mail})
		return false, nil
	}
	for i := range m.Recipients {
		r, err := c.command(c.rcptCommand(&m, i))
		if err != nil {
			return false, err
		}
		if results[i].Reply = r; r.OK() {
			some = true
		}
		if c.broken {
			closing(results, r)
			return false, nil
		}
	}
	return some, nil
}

// closing gives the reply 421, after which the peer closes, to all whom it has
// not refused.
func closing(results []Result, r Reply) {
	for i := range results {
		if had := results[i].Reply; had.Code == 0 || had.OK() {
			results[i].Reply = r
		}
	}
}

// callOff ends a DATA that went ahead of the replies to its recipients, of whom
// the peer has taken none: where it asks for the message all the same it gets an
// empty one (RFC 2920 section 3.1).
func (c *Conn) callOff() {
	if c.broken {
		return
	}
	if r, err := c.reply("DATA"); err == nil && r.Code == 354 {
		c.put(".")
		_, _ = c.reply("the message") // nobody gets it
	}
}

// data sends the message and returns the reply that decides. With ahead DATA was
// sent with the recipients.
func (c *Conn) data(m Message, ahead bool) (Reply, error) {
	c.wire.SetReadTimeout(c.timeouts.DataStart)
	if !ahead {
		c.put("DATA")
	}
	r, err := c.reply("DATA")
	if err != nil {
		return r, err
	}
	if r.Code != 354 {
		if r.OK() { // 250 to DATA: this peer cannot be understood
			return r, errReply
		}
		c.reset()
		return r, nil
	}
	w := c.wire.DotWriter()
	if _, err := io.Copy(writer{w}, m.Body); err != nil {
		// A message that cannot be read to its end must not be ended either.
		return r, errors.Join(errRead, err)
	}
	if err := w.Close(); err != nil {
		return r, err
	}
	c.wire.SetReadTimeout(c.timeouts.DataEnd)
	return c.reply("the message")
}

// chunk is how much of a message one BDAT carries.
const chunk = 1 << 20

// bdat sends the message in chunks, each after the reply to the one before, and
// returns the reply that decides: RFC 3030 section 2.
func (c *Conn) bdat(m Message) (Reply, error) {
	for left := m.Size; ; {
		n := min(left, chunk)
		left -= n
		line := "BDAT " + strconv.FormatInt(n, 10)
		if left == 0 {
			line += " LAST"
			c.wire.SetReadTimeout(c.timeouts.DataEnd)
		} else {
			c.wire.SetReadTimeout(c.timeouts.DataBlock)
		}
		c.put(line)
		c.wire.Opaque(true)
		copied, err := io.CopyN(writer{c.wire}, m.Body, n)
		c.wire.Opaque(false)
		if err != nil {
			if copied < n {
				err = errors.Join(errRead, err) // it must not be ended: the chunk is not whole
			}
			return Reply{}, err
		}
		r, err := c.reply("BDAT")
		if err != nil || left == 0 {
			return r, err
		}
		if !r.OK() {
			c.reset()
			return r, nil
		}
	}
}

// writer hides everything but Write, so that io.Copy uses its own buffer.
type writer struct{ io.Writer }

// reset ends a transaction that has come to nothing.
func (c *Conn) reset() {
	if c.broken {
		return
	}
	c.wire.SetReadTimeout(c.timeouts.Command)
	if r, err := c.command("RSET"); err != nil || !r.OK() {
		c.broken = true
	}
}
