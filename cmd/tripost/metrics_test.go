package main

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestMetrics reads the metrics of a server that has done something, and holds
// the text to the form of OpenMetrics.
func TestMetrics(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "admin.listen = \"127.0.0.1:0\"\n")
	r := startServer(t, dir)
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "secret-and-long\n", "account", "add", "ann", "--password-stdin")
	p := r.dial("POP", "+OK")
	p.say("USER ann")
	p.expect("+OK")
	p.say("PASS wrong")
	p.expect("-ERR")
	p.say("USER ann")
	p.expect("+OK")
	p.say("PASS secret-and-long")
	p.expect("+OK")
	resp, err := http.Get("http://" + r.health.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != metricsType {
		t.Fatalf("%s, %q, %v", resp.Status, resp.Header.Get("Content-Type"), err)
	}
	text := string(body)
	for _, want := range []string{
		`tripost_connections{module="pop"} 1`, `tripost_accepted_connections_total{module="pop"} 1`,
		`tripost_sign_ins_total{result="accepted"} 1`, `tripost_password_checks_total 2`, `tripost_sign_ins_total{result="refused"} 1`,
		`tripost_queue_messages 0`, `tripost_store_writable 1`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("%q is missing", want)
		}
	}
	form := regexp.MustCompile(`^(# (TYPE|HELP) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[^"]*"\})? [0-9]+|# EOF)$`)
	for line := range strings.Lines(text) {
		if !form.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Errorf("line %q", line)
		}
	}
	if !strings.HasSuffix(text, "\n# EOF\n") || strings.Contains(text, "ann") {
		t.Errorf("the end is %q, or it names a user", text[max(0, len(text)-40):])
	}
}
