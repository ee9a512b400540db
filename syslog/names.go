package syslog

import (
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	dayForm   = "2006-01-02"
	extraForm = "2006-01-02_15-04"
	suffix    = ".log"
)

func fileDay(t time.Time) string   { return t.Format(dayForm) }
func firstName(t time.Time) string { return t.Format(dayForm) + suffix }
func extraName(t time.Time) string { return t.Format(extraForm) + suffix }

// logFile is a file of the log. The order of the names is that of the records.
type logFile struct {
	name  string
	day   string
	begin time.Time // midnight of the day, local time
}

// end returns when the day of the file was over.
func (f logFile) end() time.Time { return f.begin.AddDate(0, 0, 1) }

// listFiles returns the log files in dir in order; other files are passed over.
func listFiles(dir string) ([]logFile, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("list the log files: %w", err)
	}
	var files []logFile
	for _, e := range entries {
		if f, ok := parseName(e.Name()); ok && !e.IsDir() {
			files = append(files, f)
		}
	}
	return files, nil
}

// parseName reads YYYY-MM-DD.log and YYYY-MM-DD_HH-MM.log.
func parseName(name string) (logFile, bool) {
	stem, ok := strings.CutSuffix(name, suffix)
	if !ok || len(stem) < len(dayForm) {
		return logFile{}, false
	}
	day := stem[:len(dayForm)]
	begin, err := time.ParseInLocation(dayForm, day, time.Local)
	if err != nil {
		return logFile{}, false
	}
	if stem != day {
		if _, err := time.Parse(extraForm, stem); err != nil {
			return logFile{}, false
		}
	}
	return logFile{name: name, day: day, begin: begin}, true
}
