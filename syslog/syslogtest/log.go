// Package syslogtest gives tests a System Log in files that they can read.
package syslogtest

import (
	"context"
	"strings"
	"testing"

	"tripost/syslog"
)

// Open opens a log in a directory of the test's own. What it returns beside it
// closes the log and returns its lines.
func Open(t testing.TB, level syslog.Level) (*syslog.Log, func() string) {
	t.Helper()
	dir := t.TempDir()
	log, err := syslog.Open(syslog.Options{Directory: dir, Level: level})
	if err != nil {
		t.Fatal(err)
	}
	return log, func() string {
		t.Helper()
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		err := syslog.Read(context.Background(), dir, syslog.Filter{Level: syslog.Raw}, false, func(line string) error {
			all.WriteString(line + "\n")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all.String()
	}
}
