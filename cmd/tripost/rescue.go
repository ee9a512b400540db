package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"tripost/store/backup"
	"tripost/store/engine"
	"tripost/store/engine/local"
)

// alone loads the configuration for a command that works on the store's files
// themselves, beside which no server may run.
func (e *environment) alone() (Config, error) {
	cfg, err := loadConfig(findConfig(e.configPath))
	if err != nil {
		return cfg, err
	}
	running, err := online(e.ctx, cfg)
	if running != nil {
		return cfg, errors.Join(errors.New("a server is running here: stop it first"), running.close())
	}
	return cfg, err
}

// rescued is what a rescue found.
type rescued struct {
	Messages int      `json:"messages"`
	Octets   int64    `json:"octets"`
	Removed  int      `json:"removed"` // whole, but known to be removed mail
	Faults   []string `json:"faults,omitempty"`
}

// storeRescue writes every message that can still be read from the journal and
// the body files into a Maildir, without the index: of the store in the data directory,
// beside which no server may run, or of one that was moved away.
func storeRescue(e *environment, args []string) error {
	dir, err := directory(args[:min(1, len(args))])
	if err != nil {
		return err
	}
	var from string
	if len(args) > 1 {
		if from, err = directory(args[1:]); err == nil {
			_, err = os.Stat(filepath.Join(from, "journal"))
		}
	} else {
		var cfg Config
		cfg, err = e.alone()
		from = filepath.Join(cfg.Data, "store")
	}
	if err != nil {
		return err
	}
	maildir, err := newMaildir(dir)
	if err != nil {
		return err
	}
	var found rescued
	result, err := local.Rescue(e.ctx, from, local.Options{}, maildir.add, func(f engine.Fault) {
		found.Faults = append(found.Faults, f.Place+": "+f.Text)
	})
	found.Messages, found.Octets, found.Removed = result.Bodies, result.Octets, result.Dropped
	switch {
	case err != nil:
		return fmt.Errorf("after %d messages: %w", found.Messages, err)
	case e.json:
		return e.printJSON(found)
	}
	for _, f := range found.Faults {
		fmt.Fprintln(e.stdout, printable(f))
	}
	fmt.Fprintf(e.stdout, "%d messages of %d octets are in %s; %d removed ones were left out; %d places are damaged\n",
		found.Messages, found.Octets, dir, found.Removed, len(found.Faults))
	return nil
}

// maildir is a directory of messages in the form that many programs read.
type maildir struct{ dir string }

// newMaildir makes one, where there is none.
func newMaildir(dir string) (maildir, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return maildir{}, fmt.Errorf("%q is not empty", dir)
	}
	if err := backup.MakeDir(dir); err != nil {
		return maildir{}, err
	}
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return maildir{}, err
		}
	}
	return maildir{dir}, nil
}

// add writes a message. Lines end with LF there.
func (m maildir) add(body local.Rescued) error {
	name := fmt.Sprintf("%016x.tripost:2,", uint64(body.Blob))
	f, err := os.OpenFile(filepath.Join(m.dir, "cur", name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 64<<10)
	_, err = io.Copy(lineFeeds{w}, body.Read)
	return errors.Join(err, w.Flush(), f.Close())
}

// lineFeeds drops the CR of each CRLF.
type lineFeeds struct{ w *bufio.Writer }

func (l lineFeeds) Write(p []byte) (int, error) {
	for i, c := range p {
		if c == '\r' && (i+1 == len(p) || p[i+1] == '\n') {
			continue
		}
		if err := l.w.WriteByte(c); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// storeRebuild makes a new index from the store's copy of it, or from a backup's, and
// the journal since.
func storeRebuild(e *environment, args []string) error {
	cfg, err := e.alone()
	if err != nil {
		return err
	}
	from := ""
	if len(args) > 0 {
		dir, err := directory(args)
		if err != nil {
			return err
		}
		found, err := backup.Find(dir)
		if err != nil {
			return err
		}
		from = filepath.Join(found.Dir, "store")
	}
	if err := local.Rebuild(filepath.Join(cfg.Data, "store"), from, local.Options{}); err != nil {
		return err
	}
	if e.json {
		return e.printJSON(struct{}{})
	}
	fmt.Fprintln(e.stdout, "the index is rebuilt; run \"store check\" next")
	if old := filepath.Join(cfg.Data, "store", "index.db.damaged"); exists(old) {
		fmt.Fprintln(e.stdout, "what was there is "+old+": remove it when all is well")
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
