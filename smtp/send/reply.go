package send

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tripost/wire"
)

const (
	// maxReplyLine is generous: RFC 5321 section 4.5.3.1.5 has 512.
	maxReplyLine  = 4096
	maxReplyLines = 200
	// maxReplyText is how much of the text of a reply is kept.
	maxReplyText = 500
)

// errReply is for what is no SMTP reply.
var errReply = errors.New("malformed reply")

// Reply is what the peer says to a command.
type Reply struct {
	Code     int
	Enhanced string   // enhanced status code (RFC 2034); empty when there is none
	Text     string   // all lines joined, without the enhanced code, cut
	lines    []string // of a reply to EHLO
}

// String returns the reply in one line.
func (r Reply) String() string {
	s := strconv.Itoa(r.Code)
	if r.Enhanced != "" {
		s += " " + r.Enhanced
	}
	if r.Text != "" {
		s += " " + r.Text
	}
	return s
}

// OK tells a positive completion.
func (r Reply) OK() bool { return r.Code/100 == 2 }

// ReplyError is a negative reply as an error.
type ReplyError struct {
	Reply
	Command string // that was refused
}

// Error tells the command and the reply.
func (e *ReplyError) Error() string { return fmt.Sprintf("%s: %s", e.Command, e.Reply) }

// readReply reads one reply: RFC 5321 section 4.2.1.
func readReply(c *wire.Conn) (Reply, error) {
	var r Reply
	var text []string
	size := 0
	for n := 0; ; n++ {
		line, err := c.ReadLine(maxReplyLine)
		if err != nil {
			return r, err
		}
		code, more, rest, err := parseReplyLine(line)
		if err != nil || n > 0 && code != r.Code || n >= maxReplyLines {
			return r, errReply
		}
		r.Code = code
		enhanced, rest := cutEnhanced(code, rest)
		if enhanced != "" {
			r.Enhanced = enhanced
		}
		r.lines = append(r.lines, rest)
		if size < maxReplyText {
			text = append(text, rest)
			size += len(rest) + 1
		}
		if !more {
			break
		}
	}
	r.Text = printable(strings.Join(text, " "))
	return r, nil
}

// parseReplyLine takes a line of a reply apart.
func parseReplyLine(line []byte) (code int, more bool, rest string, err error) {
	if len(line) < 3 {
		return 0, false, "", errReply
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, false, "", errReply
		}
		code = code*10 + int(c-'0')
	}
	if code < 200 || code > 599 {
		return 0, false, "", errReply
	}
	if len(line) == 3 {
		return code, false, "", nil
	}
	switch line[3] {
	case '-':
		more = true
	case ' ':
	default:
		return 0, false, "", errReply
	}
	return code, more, string(line[4:]), nil
}

// cutEnhanced takes the enhanced code off the text of a reply. Its class must be
// that of the reply (RFC 2034 section 4).
func cutEnhanced(code int, text string) (enhanced, rest string) {
	word, rest, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || parts[0] != strconv.Itoa(code/100) {
		return "", text
	}
	for _, p := range parts {
		if len(p) == 0 || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return "", text
		}
	}
	return word, rest
}

// printable makes the peer's text fit for logs and reports.
func printable(s string) string {
	s = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s), "?")
	if len(s) > maxReplyText {
		s = strings.ToValidUTF8(s[:maxReplyText], "")
	}
	return s
}
