package imap

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"
)

// TestSCRAM signs in with SCRAM-SHA-256, the client's first message with the
// command or after it. The server's proof comes as a challenge, which the client
// answers with an empty line (RFC 5802, RFC 4959).
func TestSCRAM(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	for _, test := range []struct {
		name, password string
		initial        bool
		want           string
	}{
		{"initial response", password, true, "OK [CAPABILITY "},
		{"empty challenge first", password, false, "OK [CAPABILITY "},
		{"wrong password", "guess", true, "NO [AUTHENTICATIONFAILED]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, err := scram.SHA256.NewClient("ann", test.password, "")
			must(t, err)
			nc := w.dial()
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(patience))
			r := bufio.NewReader(nc)
			_, err = r.ReadString('\n')
			must(t, err)
			conversation := client.NewConversation()
			command := "a AUTHENTICATE SCRAM-SHA-256"
			if test.initial {
				first, err := conversation.Step("")
				must(t, err)
				command += " " + base64.StdEncoding.EncodeToString([]byte(first))
			}
			fmt.Fprintf(nc, "%s\r\n", command)
			for {
				line, err := r.ReadString('\n')
				must(t, err)
				challenge, more := strings.CutPrefix(strings.TrimSuffix(line, "\r\n"), "+ ")
				if !more {
					if !strings.HasPrefix(line, "a "+test.want) {
						t.Fatalf("completion %q, want %q", line, test.want)
					}
					if strings.HasPrefix(test.want, "OK") && !conversation.Valid() {
						t.Error("the server has not shown its proof")
					}
					return
				}
				text, err := base64.StdEncoding.DecodeString(challenge)
				must(t, err)
				response, err := conversation.Step(string(text))
				must(t, err)
				fmt.Fprintf(nc, "%s\r\n", base64.StdEncoding.EncodeToString([]byte(response)))
			}
		})
	}
}
