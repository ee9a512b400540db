package screen

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Rspamd says where an rspamd answers.
type Rspamd struct {
	URL      string // "http://127.0.0.1:11333"; empty: none
	Password string
}

const (
	// maxRspamdAnswer bounds the answer, in octets.
	maxRspamdAnswer = 1 << 20
	// maxSymbols is how many symbols a finding names.
	maxSymbols = 10
)

// rspamdAnswer is what counts of the answer to /checkv2.
type rspamdAnswer struct {
	Action   string  `json:"action"`
	Score    float64 `json:"score"`
	Required float64 `json:"required_score"`
	Symbols  map[string]struct {
		Score float64 `json:"score"`
	} `json:"symbols"`
	Messages map[string]any `json:"messages"`
	Error    string         `json:"error"`
}

// askRspamd has a message checked. The action that rspamd chose by its own
// thresholds counts; the points of a finding are for people.
func (s *Screen) askRspamd(ctx context.Context, m *Mail) (*Advice, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(s.o.Rspamd.URL, "/")+"/checkv2", m.reader())
	if err != nil {
		return nil, err
	}
	r.ContentLength = m.Size
	set := func(name, value string) {
		if value != "" && plain(value, len(value)) == value {
			r.Header.Set(name, value)
		}
	}
	if m.Remote.IsValid() {
		set("IP", m.Remote.Unmap().String())
	}
	set("Helo", m.Helo)
	set("Hostname", m.Name)
	set("From", m.From)
	set("Queue-Id", m.ID)
	set("MTA-Name", s.o.Hostname)
	set("Password", s.o.Rspamd.Password)
	for _, to := range m.Recipients {
		if plain(to, len(to)) == to {
			r.Header.Add("Rcpt", to)
		}
	}
	resp, err := s.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	var a rspamdAnswer
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxRspamdAnswer)).Decode(&a); err != nil {
		return nil, fmt.Errorf("its answer: %w", err)
	}
	if a.Error != "" {
		return nil, fmt.Errorf("it says: %s", plain(a.Error, maxReason))
	}
	return a.advice(), nil
}

func (a *rspamdAnswer) advice() *Advice {
	out := &Advice{}
	switch a.Action {
	case "reject":
		out.Refuse = true
	case "soft reject", "greylist":
		out.Refuse, out.Temporary = true, true
	case "add header", "rewrite subject":
		out.Junk = true
	}
	if text, ok := a.Messages["smtp_message"].(string); ok && out.Refuse {
		out.Reply = plain(text, maxReason)
	}
	var symbols []string
	for _, name := range slices.SortedFunc(maps.Keys(a.Symbols), func(x, y string) int {
		switch d := a.Symbols[y].Score - a.Symbols[x].Score; {
		case d > 0:
			return 1
		case d < 0:
			return -1
		}
		return strings.Compare(x, y)
	}) {
		if len(symbols) == maxSymbols || a.Symbols[name].Score <= 0 {
			break
		}
		symbols = append(symbols, name)
	}
	out.Detail = plain(fmt.Sprintf("%s, %s of %s %s", a.Action, number(a.Score), number(a.Required), strings.Join(symbols, " ")), 2*maxReason)
	out.Detail = strings.TrimSpace(out.Detail)
	return out
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
