package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tripost/admin"
	"tripost/history"
	"tripost/smtp/queue"
	"tripost/store"
	"tripost/store/backup"
	"tripost/syslog"
	"tripost/wire"
)

// backups copies the data directory of a configuration.
type backups struct {
	cfg   Config
	store *store.Store
}

// Make is [admin.Backups].
func (b *backups) Make(ctx context.Context, dir string) (admin.BackupInfo, error) {
	if inside(dir, b.cfg.Data) {
		return admin.BackupInfo{}, &admin.Refusal{Err: fmt.Errorf("%q is in the data directory: a copy of it must be elsewhere", dir)}
	}
	made, err := backup.Make(ctx, dir, backup.Options{
		Engine: b.store.Engine(), Data: b.cfg.Data, Files: alongStore(b.cfg), Product: product(), Now: time.Now(),
	})
	info := backupInfo(made.Entry)
	info.Written = made.Written
	return info, backupRefusal(err)
}

// legacyKeyFile is the file in the data directory with the key of recoverable passwords.
const legacyKeyFile = "legacy.key"

// alongStore lists what is beside the store and goes into a backup with it: the
// certificates and their keys, and what the configuration names, as far as it is in
// the data directory. Not the key of recoverable passwords: a copy of the store does
// not give them away as long as the key is not with it.
func alongStore(cfg Config) []string {
	paths := []string{filepath.Join(cfg.Data, wire.SelfSignedFile), filepath.Join(cfg.Data, acmeDir)}
	for _, named := range cfg.files() {
		if *named != "" && inside(*named, cfg.Data) {
			paths = append(paths, *named)
		}
	}
	return paths
}

// Verify is [admin.Backups].
func (b *backups) Verify(ctx context.Context, dir string) (admin.VerifyInfo, error) {
	e, err := backup.Find(dir)
	if err != nil {
		return admin.VerifyInfo{}, backupRefusal(err)
	}
	info := admin.VerifyInfo{BackupInfo: backupInfo(e)}
	if err := backup.Verify(ctx, e); err != nil {
		return info, backupRefusal(err)
	}
	info.Check, err = b.check(ctx, e)
	return info, backupRefusal(err)
}

// check opens a copy of a backup's store, beside the backup so that files can
// be shared.
func (b *backups) check(ctx context.Context, e backup.Entry) (info admin.CheckInfo, err error) {
	scratch, err := os.MkdirTemp(filepath.Dir(e.Dir), "verify-")
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	dir := filepath.Join(scratch, "store")
	if err := backup.Scratch(ctx, e, dir); err != nil {
		return info, err
	}
	st, err := ground{}.openStoreIn(ctx, b.cfg, dir, syslog.Discard().Tag("STORE"), history.NewReads(nil))
	if err != nil {
		return info, err
	}
	info, err = admin.CheckOf(ctx, st, queue.Bodies)
	return info, errors.Join(err, st.Close())
}

func backupInfo(e backup.Entry) admin.BackupInfo {
	return admin.BackupInfo{Directory: e.Dir, Time: e.Time, Files: len(e.Files), Octets: e.Octets()}
}

// backupRefusal tells what is for the administrator to mend.
func backupRefusal(err error) error {
	for _, known := range []error{backup.ErrDamaged, backup.ErrNoBackup, backup.ErrNotEmpty, os.ErrExist, os.ErrNotExist, os.ErrPermission} {
		if errors.Is(err, known) {
			return &admin.Refusal{Err: err}
		}
	}
	return err
}

// inside tells whether a path is a directory or lies in it.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

func storeBackup(e *environment, args []string) error {
	args, verify := takeFlag(args, "--verify")
	dir, err := directory(args)
	if err != nil {
		return err
	}
	made, err := answer[admin.BackupInfo](e, "store/backup", admin.BackupRequest{Directory: dir})
	if err != nil {
		return err
	}
	if verify {
		return e.verify(made.Directory)
	}
	if e.json {
		return e.printJSON(made)
	}
	e.showBackup(made)
	return nil
}

func (e *environment) showBackup(b admin.BackupInfo) {
	fmt.Fprintf(e.stdout, "%s: %d files of %d octets, %d of them not shared with the backup before\n", b.Directory, b.Files, b.Octets, b.Written)
}

func storeVerify(e *environment, args []string) error {
	dir, err := directory(args)
	if err != nil {
		return err
	}
	return e.verify(dir)
}

// verify reads a backup and shows what it found; a fault is an error.
func (e *environment) verify(dir string) error {
	found, err := answer[admin.VerifyInfo](e, "store/verify", admin.BackupRequest{Directory: dir})
	if err != nil {
		return err
	}
	if e.json {
		err = e.printJSON(found)
	} else {
		fmt.Fprintf(e.stdout, "%s: %d files of %d octets are as they were written\n", found.Directory, found.Files, found.Octets)
		e.showCheck(found.Check)
	}
	if err == nil && found.Check.FaultCount > 0 {
		return fmt.Errorf("the store in the backup has %d faults", found.Check.FaultCount)
	}
	return err
}

// directory reads the one argument of commands on backups. The server has
// another working directory.
func directory(args []string) (string, error) {
	if err := need(args, "DIR"); err != nil {
		return "", err
	}
	const longest = 4000 // octets; systems take about as much
	if args[0] == "" || len(args[0]) > longest || printable(args[0]) != args[0] {
		return "", usagef("DIR is not the path of a directory")
	}
	return filepath.Abs(args[0])
}

// restored is what a restoring did.
type restored struct {
	admin.BackupInfo
	Store string   `json:"store"`
	Kept  []string `json:"kept,omitempty"`  // files that were there and stay as they were
	Lacks string   `json:"lacks,omitempty"` // the key of recoverable passwords, where there is none
}

// storeRestore brings a backup back. It needs no server and no store: there
// must be none of either.
func storeRestore(e *environment, args []string) error {
	dir, err := directory(args)
	if err != nil {
		return err
	}
	cfg, err := e.alone()
	if err != nil {
		return err
	}
	found, err := backup.Find(dir)
	if err != nil {
		return err
	}
	done := restored{BackupInfo: backupInfo(found), Store: filepath.Join(cfg.Data, "store")}
	key := filepath.Join(cfg.Data, legacyKeyFile)
	done.Kept, err = backup.Restore(e.ctx, found, cfg.Data, func(dir string) error { return continueFrom(e.ctx, cfg, dir) })
	if !exists(key) {
		done.Lacks = key
	}
	switch {
	case errors.Is(err, backup.ErrNotEmpty):
		return fmt.Errorf("%w: move it away, nothing is overwritten", err)
	case err != nil:
		return err
	case e.json:
		return e.printJSON(done)
	}
	fmt.Fprintf(e.stdout, "restored the backup of %s to %s\n", when(found.Time), done.Store)
	for _, name := range done.Kept {
		fmt.Fprintf(e.stdout, "%s was there already, and stays as it is\n", name)
	}
	if done.Lacks != "" {
		fmt.Fprintf(e.stdout, "%s is in no backup: put your copy there before the server starts, or accounts with legacy_auth need their passwords set again\n", done.Lacks)
	}
	return nil
}

// continueFrom makes a restored store safe to go on from: numbers that were
// given out after the copy was made are not given out again.
func continueFrom(ctx context.Context, cfg Config, dir string) error {
	st, err := ground{}.openStoreIn(ctx, cfg, dir, syslog.Discard().Tag("STORE"), history.NewReads(nil))
	if err != nil {
		return err
	}
	err = st.SkipAhead(ctx)
	if err == nil {
		err = queue.SkipAhead(ctx, st)
	}
	return errors.Join(err, st.Close())
}
