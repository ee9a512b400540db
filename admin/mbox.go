package admin

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"tripost/store"
)

// An mbox file is a sequence of messages, each behind a line "From sender
// date". Of its dialects we write mboxrd, in which a line of a message that
// begins with any number of '>' and "From " gets one more '>', and read it:
// that loses nothing. Flags travel in the Status, X-Status and X-Keywords
// fields that mail readers agree on, unique-ids of POP in X-UIDL; they are not part
// of the stored message.

// mboxReader takes an mbox file apart.
type mboxReader struct {
	r       *bufio.Reader
	line    []byte // the line read ahead, with its end as in the file
	err     error
	max     int64 // octets of one message
	started bool
}

// mboxMessage is one message of an mbox file, being read.
type mboxMessage struct {
	Date     time.Time // of the From line, zero when it has none
	Flags    store.FlagSet
	UniqueID string // of the first X-UIDL field that has one, or ""
	TooLarge bool   // the rest was skipped
	// KeywordsLost tells of keywords that the mailbox could not hold.
	KeywordsLost bool
	Octets       int64
}

var errNotMbox = errors.New("not an mbox file: its first line does not begin with \"From \"")

// maxLine bounds one line held in memory; a longer one comes in pieces.
const maxLine = 64 << 10

func newMboxReader(r io.Reader, max int64) *mboxReader {
	return &mboxReader{r: bufio.NewReaderSize(r, maxLine), max: max}
}

func (m *mboxReader) advance() {
	if m.err != nil {
		m.line = nil
		return
	}
	m.line, m.err = m.r.ReadSlice('\n')
	switch {
	case errors.Is(m.err, bufio.ErrBufferFull):
		m.err = nil // a piece of a long line
	case errors.Is(m.err, io.EOF) && len(m.line) > 0:
		m.line, m.err = append(bytes.Clone(m.line), '\n'), nil // the end shows at the next call
	case m.err != nil && !errors.Is(m.err, io.EOF):
		m.line, m.err = nil, refuse("reading the mbox file: %w", m.err) // what it came by is the client's
	}
}

// Next writes the next message to w with CRLF line ends and returns what its
// envelope and status fields say; io.EOF after the last one.
func (m *mboxReader) Next(w io.Writer) (mboxMessage, error) {
	var msg mboxMessage
	if !m.started {
		m.started = true
		m.advance()
	}
	if len(m.line) == 0 {
		return msg, m.err // io.EOF at the end
	}
	if !bytes.HasPrefix(m.line, []byte("From ")) {
		return msg, errNotMbox
	}
	msg.Date = fromLineDate(m.line)
	m.advance()
	return msg, m.copyMessage(&msg, w)
}

// copyMessage copies lines up to the next From line. A line is held back while
// it is empty, because the empty line before a From line separates messages.
func (m *mboxReader) copyMessage(msg *mboxMessage, w io.Writer) error {
	out := &crlfWriter{w: w, max: m.max}
	header, dropping, blank, atStart := true, false, false, true
	for ; len(m.line) > 0; m.advance() {
		line := m.line
		whole := line[len(line)-1] == '\n'
		if atStart && blank && bytes.HasPrefix(line, []byte("From ")) {
			blank = false
			break
		}
		if blank {
			out.line([]byte("\n"))
			blank = false
		}
		if atStart && len(bytes.TrimRight(line, "\r\n")) == 0 && whole {
			header = false
			blank = true
			continue
		}
		if header && atStart {
			if line[0] != ' ' && line[0] != '\t' {
				dropping = readStatus(line, msg)
			}
		}
		if !(header && dropping) {
			if atStart {
				line = unquoteFrom(line)
			}
			out.line(line)
		}
		atStart = whole
	}
	msg.Octets, msg.TooLarge = out.n, out.over
	if out.err != nil {
		return out.err
	}
	if m.err != nil && !errors.Is(m.err, io.EOF) {
		return m.err
	}
	return nil
}

// crlfWriter turns LF line ends into CRLF and stops at a limit.
type crlfWriter struct {
	w    io.Writer
	n    int64
	max  int64
	over bool
	err  error
}

func (c *crlfWriter) line(p []byte) {
	if c.err != nil || c.over {
		return
	}
	if c.max > 0 && c.n+int64(len(p))+1 > c.max {
		c.over = true
		return
	}
	if n := len(p); n > 0 && p[n-1] == '\n' && (n == 1 || p[n-2] != '\r') {
		c.write(p[:n-1])
		c.write([]byte("\r\n"))
		return
	}
	c.write(p)
}

func (c *crlfWriter) write(p []byte) {
	if c.err == nil {
		_, c.err = c.w.Write(p)
		c.n += int64(len(p))
	}
}

// unquoteFrom takes one '>' from a quoted From line.
func unquoteFrom(line []byte) []byte {
	if len(line) > 0 && line[0] == '>' && bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
		return line[1:]
	}
	return line
}

// statusLetters are the letters of Status and X-Status with their flags.
var statusLetters = []struct {
	letter byte
	flag   store.Flags
}{{'R', store.FlagSeen}, {'A', store.FlagAnswered}, {'F', store.FlagFlagged}, {'T', store.FlagDraft}, {'D', store.FlagDeleted}}

// readStatus takes flags or the unique-id from a status field and says whether the
// line is one.
func readStatus(line []byte, msg *mboxMessage) bool {
	f := &msg.Flags
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return false
	}
	switch string(bytes.ToLower(name)) {
	case "status", "x-status":
		for _, s := range statusLetters {
			if bytes.IndexByte(value, s.letter) >= 0 {
				f.System |= s.flag
			}
		}
	case "x-keywords":
		for _, k := range bytes.Fields(value) {
			if len(f.Keywords) < store.MaxKeywords {
				f.Keywords = append(f.Keywords, string(k))
			}
		}
	case "x-uidl":
		if id := bytes.TrimSpace(value); msg.UniqueID == "" && store.ValidUniqueID(string(id)) {
			msg.UniqueID = string(id)
		}
	default:
		return false
	}
	return true
}

// fromLineDate reads the date of a line such as
// "From ann@example.test Mon Jan  5 10:00:00 2026".
func fromLineDate(line []byte) time.Time {
	_, rest, _ := bytes.Cut(bytes.TrimSpace(line[len("From "):]), []byte(" "))
	t, err := time.Parse(time.ANSIC, string(bytes.TrimSpace(rest)))
	if err != nil {
		return time.Time{}
	}
	return t
}

// mboxWriter writes messages in the mboxrd form.
type mboxWriter struct {
	w *bufio.Writer
}

// Message writes one message: from is the address of the From line, body its
// octets with CRLF line ends. uniqueID, when not empty, is what POP clients know
// it by.
func (m *mboxWriter) Message(from string, date time.Time, flags store.FlagSet, uniqueID []byte, body io.Reader) error {
	if from == "" {
		from = "MAILER-DAEMON"
	}
	fmt.Fprintf(m.w, "From %s %s\n", from, date.UTC().Format(time.ANSIC))
	writeStatus(m.w, flags)
	if len(uniqueID) > 0 {
		fmt.Fprintf(m.w, "X-UIDL: %s\n", uniqueID)
	}
	r := bufio.NewReaderSize(body, maxLine)
	last, atStart := byte('\n'), true
	for {
		line, err := r.ReadSlice('\n')
		if n := len(line); n > 0 {
			if atStart && bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
				m.w.WriteByte('>')
			}
			atStart = line[n-1] == '\n'
			if n > 1 && line[n-2] == '\r' && atStart {
				m.w.Write(line[:n-2])
				m.w.WriteByte('\n')
			} else {
				m.w.Write(line)
			}
			last = line[n-1]
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
	if last != '\n' {
		m.w.WriteByte('\n')
	}
	_, err := m.w.WriteString("\n")
	return err
}

func writeStatus(w *bufio.Writer, f store.FlagSet) {
	var status, x []byte
	if f.System&store.FlagSeen != 0 {
		status = append(status, 'R')
	}
	for _, s := range statusLetters[1:] {
		if f.System&s.flag != 0 {
			x = append(x, s.letter)
		}
	}
	fmt.Fprintf(w, "Status: %sO\n", status)
	if len(x) > 0 {
		fmt.Fprintf(w, "X-Status: %s\n", x)
	}
	if len(f.Keywords) > 0 {
		fmt.Fprint(w, "X-Keywords:")
		for _, k := range f.Keywords {
			fmt.Fprint(w, " ", k)
		}
		fmt.Fprintln(w)
	}
}
