package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tripost/admin"
	"tripost/smtp/queue"
	"tripost/store/backup"
	"tripost/syslog"
)

// retryBackup is the pause after a scheduled backup that failed.
const retryBackup = time.Hour

// runBackups makes a backup whenever the newest one is as old as the
// configuration says. A failure is logged and mailed to the postmaster, and
// does not end the server.
func (s *server) runBackups(ctx context.Context) error {
	cfg := s.cfg.Backup
	if cfg.Directory == "" || cfg.Every.Duration <= 0 {
		return nil
	}
	wait := time.NewTimer(s.untilBackup(time.Now()))
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wait.C:
		}
		report, err := s.scheduledBackup(ctx)
		if ctx.Err() != nil {
			return nil
		}
		s.reportBackup(ctx, report, err)
		switch {
		case errors.Is(err, errFaulty): // so would the next one, which waits its time
			wait.Reset(cfg.Every.Duration)
		case err != nil:
			wait.Reset(min(retryBackup, cfg.Every.Duration))
		default:
			wait.Reset(s.untilBackup(time.Now()))
		}
	}
}

// untilBackup is the time until the next backup is due. It goes by those that
// are there, so that a restart neither skips one nor adds one.
func (s *server) untilBackup(now time.Time) time.Duration {
	list, _, err := backup.List(s.cfg.Backup.Directory)
	if err != nil || len(list) == 0 {
		return 0 // an unreadable one is found and told by the attempt
	}
	return max(0, list[len(list)-1].Time.Add(s.cfg.Backup.Every.Duration).Sub(now))
}

// errFaulty is returned where the store in a backup has faults.
var errFaulty = errors.New("the store in the backup has faults")

// scheduledBackup makes one backup, verifies it where that is asked for, and
// removes those beyond the number to keep. One that does not pass is set aside in the
// place of the last such: it takes the place of no good one. It returns what it did.
func (s *server) scheduledBackup(ctx context.Context) (string, error) {
	cfg := s.cfg.Backup
	made, err := s.api.Backups.Make(ctx, cfg.Directory)
	if err != nil {
		return "", err
	}
	report := fmt.Sprintf("backup %s: %d files of %d octets, %d of them not shared with the one before", made.Directory, made.Files, made.Octets, made.Written)
	if cfg.Verify {
		found, err := s.api.Backups.Verify(ctx, made.Directory)
		if err == nil {
			report += fmt.Sprintf("; verified: %d accounts, %d messages, %d faults", found.Check.Accounts, found.Check.Messages, found.Check.FaultCount)
			if found.Check.FaultCount > 0 {
				err = firstFaults(found.Check)
			}
		}
		if err != nil && ctx.Err() == nil {
			err = errors.Join(err, setAside(made.Directory))
		}
		if err != nil {
			return report, err
		}
	}
	gone, err := backup.Prune(cfg.Directory, cfg.Keep)
	if len(gone) > 0 {
		report += fmt.Sprintf("; %d old ones removed", len(gone))
	}
	if _, damaged, _ := backup.List(cfg.Directory); damaged != nil {
		report += "; cannot be read: " + damaged.Error()
	}
	return report, err
}

// setAside returns an error that tells where the backup is now.
func setAside(dir string) error {
	e, err := backup.Find(dir)
	if err != nil {
		return err
	}
	aside, err := backup.SetAside(e)
	if err != nil {
		return fmt.Errorf("setting aside %q: %w", dir, err)
	}
	return fmt.Errorf("it is %s now, and not counted among the backups", aside)
}

// firstFaults makes an error of some faults.
func firstFaults(c admin.CheckInfo) error {
	const most = 20
	var b strings.Builder
	fmt.Fprintf(&b, ": %d", c.FaultCount)
	for _, f := range c.Faults[:min(most, len(c.Faults))] {
		fmt.Fprintf(&b, "\n%s: %s", f.Place, f.Text)
	}
	return fmt.Errorf("%w%s", errFaulty, b.String())
}

// reportBackup logs the outcome, and mails it to the postmaster when it failed
// or when the configuration wants every report.
func (s *server) reportBackup(ctx context.Context, report string, failed error) {
	subject := "Backup made"
	if failed != nil {
		subject = "Backup FAILED"
		report = strings.TrimPrefix(report+"\n", "\n") + failed.Error()
		s.log.Log(syslog.Failure, "backup: "+failed.Error())
	} else {
		s.log.Log(syslog.Major, report)
	}
	if failed == nil && !s.cfg.Backup.Report {
		return
	}
	if err := s.mailPostmaster(ctx, subject, report); err != nil {
		s.log.Log(syslog.Failure, "telling the postmaster of a backup: "+err.Error())
	}
}

// mailPostmaster sends the server's own word to the postmaster of the Main
// Domain. It has the null reverse-path, so that nothing comes back.
func (s *server) mailPostmaster(ctx context.Context, subject, text string) error {
	body := "From: tripost <postmaster@" + s.cfg.Hostname + ">\r\nTo: postmaster\r\nSubject: " + subject + " on " + s.cfg.Hostname +
		"\r\nDate: " + time.Now().Format(time.RFC1123Z) +
		"\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
		strings.ReplaceAll(text, "\n", "\r\n") + "\r\n"
	_, err := s.queue.Submit(ctx, queue.Envelope{
		Recipients: []string{"postmaster"}, Submission: true, Body8Bit: true,
		Source: queue.Source{Module: "REPORT", Internal: true, Log: s.log},
	}, strings.NewReader(body))
	return err
}
