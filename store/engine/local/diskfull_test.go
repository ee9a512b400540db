package local_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"tripost/store/engine"
	"tripost/store/engine/local"
)

// diskEnv makes the test binary the child of TestFaultDiskFull: it holds the
// directory to mount a small disk on.
const diskEnv = "TRIPOST_TEST_DISK_CHILD"

// TestFaultDiskFull fills a real, small file system. The store turns read-only,
// loses nothing, and goes on when there is space again. The file system is a
// tmpfs in a mount namespace of the child's own.
func TestFaultDiskFull(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), diskEnv+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
	case !errors.As(err, &exit), exit.ExitCode() == exitNoMount:
		t.Skipf("no file system can be mounted here: %v %s", err, out)
	default:
		t.Errorf("%v\n%s", err, out)
	}
}

const exitNoMount = 77

// diskFullChild runs with a file system of its own at dir.
func diskFullChild(dir string) int {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		fmt.Println(err)
		return exitNoMount
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		fmt.Println(err)
		return exitNoMount
	}
	for _, o := range []local.Options{
		{LargeBody: 20 << 10, ProbeEvery: -1, IndexGrow: 64 << 10, GroupBytes: 256 << 10},
		// Checkpoints so often that the index is the first to want space.
		{LargeBody: 20 << 10, ProbeEvery: -1, IndexGrow: 256 << 10, GroupBytes: 256 << 10, OverlayBytes: 1 << 10},
	} {
		if err := fillDisk(filepath.Join(dir, fmt.Sprint(o.OverlayBytes)), o); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}

func fillDisk(dir string, o local.Options) error {
	defer os.RemoveAll(dir)
	ballast := dir + ".ballast"
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		return err
	}
	e, err := local.Open(dir, o)
	if err != nil {
		return err
	}
	l := newLedger()
	full := 0
	for id := uint32(0); full < 3; id++ {
		l.set(id, present)
		err := putRecord(e, id)
		if err == nil {
			continue
		}
		l.set(id, refused)
		if !errors.Is(err, engine.ErrReadOnly) || !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("put %d on a full disk: %w", id, err)
		}
		if err := l.compare(e, false); err != nil {
			return fmt.Errorf("on a full disk: %w", err)
		}
		full++
		// There may be space for a little more.
		_ = e.Probe(context.Background())
	}
	if err := e.Close(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("closing on a full disk: %w", err)
	}
	if e, err = local.Open(dir, o); err != nil {
		return fmt.Errorf("opening on a full disk: %w", err)
	}
	if err := l.compare(e, true); err != nil {
		return fmt.Errorf("opened on a full disk: %w", err)
	}
	if err := l.settle(e); err != nil {
		return err
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	return afterwards(e, l)
}

// afterwards goes on when there is space again.
func afterwards(e *local.Engine, l *ledger) error {
	if err := e.Probe(context.Background()); err != nil {
		return fmt.Errorf("probe with space: %w", err)
	}
	for id := uint32(10_000); id < 10_020; id++ {
		if err := putRecord(e, id); err != nil {
			return fmt.Errorf("put with space: %w", err)
		}
		l.set(id, present)
	}
	if err := l.compare(e, false); err != nil {
		return fmt.Errorf("with space: %w", err)
	}
	var faults []error
	_, err := e.Check(context.Background(), func(f engine.Fault) {
		faults = append(faults, fmt.Errorf("%s: %s", f.Place, f.Text))
	})
	return errors.Join(append(faults, err, e.Close())...)
}
