package admin

import (
	"context"
	"errors"
	"path/filepath"
	"time"
)

// Backups makes and verifies copies of the data directory. The program that
// knows where that is, and how its store is opened, gives one.
type Backups interface {
	// Make adds a backup to a directory of them.
	Make(ctx context.Context, dir string) (BackupInfo, error)
	// Verify reads a whole backup, or the newest one of a directory of them, and
	// opens and checks a copy of its store.
	Verify(ctx context.Context, dir string) (VerifyInfo, error)
}

// BackupRequest names a directory of backups, or one of them.
type BackupRequest struct {
	Directory string `json:"directory"` // absolute
}

// BackupInfo is a backup.
type BackupInfo struct {
	Directory string    `json:"directory"` // its own
	Time      time.Time `json:"time"`
	Files     int       `json:"files"`
	Octets    int64     `json:"octets"`
	Written   int64     `json:"written"` // octets that no earlier backup shares
}

// VerifyInfo is what reading a backup found.
type VerifyInfo struct {
	BackupInfo
	Check CheckInfo `json:"check"` // of its store
}

// errDirectory is returned for a path that means another place to the server
// than to who asked.
var errDirectory = errors.New("the directory must be an absolute path")

// Backup copies the data directory as it is at one moment, while it serves.
func (a *API) Backup(ctx context.Context, q BackupRequest) (BackupInfo, error) {
	if !filepath.IsAbs(q.Directory) {
		return BackupInfo{}, &Refusal{errDirectory}
	}
	return a.Backups.Make(ctx, q.Directory)
}

// VerifyBackup reads a backup whole and checks its store.
func (a *API) VerifyBackup(ctx context.Context, q BackupRequest) (VerifyInfo, error) {
	if !filepath.IsAbs(q.Directory) {
		return VerifyInfo{}, &Refusal{errDirectory}
	}
	return a.Backups.Verify(ctx, q.Directory)
}
