package wiretest

import (
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"
)

var (
	namedForm  = regexp.MustCompile(`\{([a-z0-9]+):([^}]*)\}`)
	repeatForm = regexp.MustCompile(`\{(\d+)\*([^}]*)\}`)
)

// Expand puts in what the forms of a text stand for: {base64:text} is a Go
// string without its quotes, encoded; {100*x} a hundred times x; and those of
// the script.
func (c *Conversation) Expand(n int, text string) string {
	c.T.Helper()
	text = namedForm.ReplaceAllStringFunc(text, func(form string) string {
		m := namedForm.FindStringSubmatch(form)
		if m[1] == "base64" {
			return c.base64(m[2])
		}
		if fill := c.script.Forms[m[1]]; fill != nil {
			return fill(c, n, m[2])
		}
		return form
	})
	return repeatForm.ReplaceAllStringFunc(text, func(form string) string {
		m := repeatForm.FindStringSubmatch(form)
		times, err := strconv.Atoi(m[1])
		if err != nil {
			c.Fatalf("%s: %v", form, err)
		}
		return strings.Repeat(m[2], times)
	})
}

func (c *Conversation) base64(text string) string {
	c.T.Helper()
	raw, err := strconv.Unquote(`"` + text + `"`)
	if err != nil {
		c.Fatalf("%q is not a Go string", text)
	}
	return base64.StdEncoding.EncodeToString([]byte(raw))
}
