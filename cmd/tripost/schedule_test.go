package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tripost/store/backup"
	"tripost/store/engine"
)

// TestScheduledBackups runs a server that makes a backup a second, and waits
// until old ones have gone.
func TestScheduledBackups(t *testing.T) {
	t.Parallel()
	dir := newSite(t, "log.level = 2\nbackup.directory = \"backups\"\nbackup.every = \"1s\"\nbackup.keep = 2\n")
	startServer(t, dir)
	backups := filepath.Join(dir, "backups")
	var first string
	eventually(t, "there is a backup", func() bool {
		list, _, err := backup.List(backups)
		if err != nil || len(list) == 0 {
			return false
		}
		first = list[0].Dir
		return true
	})
	eventually(t, "the first backup has gone", func() bool {
		_, err := os.Stat(first)
		return os.IsNotExist(err)
	})
}

// TestUntilBackup goes by the backups that are there.
func TestUntilBackup(t *testing.T) {
	t.Parallel()
	s := notServing(t)
	s.cfg.Backup.Every = Duration{time.Hour}
	now := time.Now()
	if wait := s.untilBackup(now); wait != 0 {
		t.Errorf("without a backup %v", wait)
	}
	made, err := s.api.Backups.Make(t.Context(), s.cfg.Backup.Directory)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]time.Duration{0: time.Hour, 40 * time.Minute: 20 * time.Minute, 2 * time.Hour: 0} {
		if wait := s.untilBackup(made.Time.Add(after)); wait != want {
			t.Errorf("%v after a backup the next one is due in %v, want %v", after, wait, want)
		}
	}
}

// notServing is a server with a domain and an account that has opened its rooms
// and nothing else.
func notServing(t *testing.T) *server {
	t.Helper()
	dir := newSite(t, "backup.directory = \"backups\"\n")
	mustRun(t, dir, "", "domain", "add", "company.test")
	mustRun(t, dir, "", "account", "add", "ann")
	cfg, err := loadConfig(filepath.Join(dir, "tripost.toml"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := openRooms(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	return &server{rooms: r, log: r.log.Tag("SYSTEM")}
}

// TestBackupReports mails the postmaster what happened.
func TestBackupReports(t *testing.T) {
	t.Parallel()
	s := notServing(t)
	right := s.cfg.Backup.Directory
	s.cfg.Backup.Directory = filepath.Join(filepath.Dir(s.cfg.Data), "tripost.toml", "under-a-file")
	report, err := s.scheduledBackup(t.Context())
	if err == nil {
		t.Fatalf("it worked: %s", report)
	}
	s.reportBackup(t.Context(), report, err)
	s.cfg.Backup.Directory, s.cfg.Backup.Report = right, true
	report, err = s.scheduledBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.reportBackup(t.Context(), report, err)
	var mail []string
	eachMail(t, s, "ann@company.test", func(text string) { mail = append(mail, text) })
	if len(mail) != 2 || !strings.Contains(mail[0], "Subject: Backup FAILED") || !strings.Contains(mail[0], "not a directory") ||
		!strings.Contains(mail[1], "Subject: Backup made") || !strings.Contains(mail[1], "; verified: 1 accounts, 1 messages, 0 faults") {
		t.Errorf("mail: %q", mail)
	}
}

// TestFaultyBackups lets verifying fail again and again: one such backup stays, under
// another name, and the good one from before is still the newest.
func TestFaultyBackups(t *testing.T) {
	t.Parallel()
	s := notServing(t)
	s.cfg.Backup.Keep = 2
	good, err := s.api.Backups.Make(t.Context(), s.cfg.Backup.Directory)
	if err != nil {
		t.Fatal(err)
	}
	// A key that makes no sense is a fault of the store, and so of each backup.
	if err := s.store.Engine().Update(t.Context(), func(tx engine.Tx) error {
		tx.Put([]byte("A\x00\x00\x00\x00\x00\x00\x00\x63\x00"), []byte{9})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		report, err := s.scheduledBackup(t.Context())
		if !errors.Is(err, errFaulty) || !strings.Contains(err.Error(), "faults") {
			t.Fatalf("%s, %v", report, err)
		}
		names, err := os.ReadDir(s.cfg.Backup.Directory)
		if err != nil {
			t.Fatal(err)
		}
		if len(names) != 2 || names[0].Name() != filepath.Base(good.Directory) || !strings.HasSuffix(names[1].Name(), ".faulty") {
			t.Errorf("the backups are %v", names)
		}
		if newest, err := backup.Find(s.cfg.Backup.Directory); err != nil || newest.Dir != good.Directory {
			t.Errorf("the newest is %q, %v", newest.Dir, err)
		}
		if aside, err := backup.Find(filepath.Join(s.cfg.Backup.Directory, names[1].Name())); err != nil || backup.Verify(t.Context(), aside) != nil {
			t.Errorf("the one set aside: %v", err)
		}
	}
}

// eachMail calls fn with the octets of each message in an account's INBOX.
func eachMail(t *testing.T, s *server, address string, fn func(string)) {
	t.Helper()
	ctx := context.Background()
	account, err := s.directory.Account(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	err = eachBody(ctx, s.store, account.ID, func(text string, err error) {
		if err != nil {
			t.Error(err)
		}
		fn(text)
	})
	if err != nil {
		t.Fatal(err)
	}
}
