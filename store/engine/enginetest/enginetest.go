// Package enginetest is the conformance suite of [engine.Engine]: what every
// engine must do, whatever it keeps its bytes in.
package enginetest

import (
	"context"
	"testing"

	"tripost/store/engine"
)

// Opener opens a new, empty store for a test and returns it with a function
// that closes the engine given last and opens the same store again. The opener
// closes what is open when the test ends.
type Opener func(t *testing.T) (e engine.Engine, reopen func() engine.Engine)

// Run runs the whole suite.
func Run(t *testing.T, open Opener) {
	suite := []struct {
		name string
		test func(*testing.T, Opener)
	}{
		{"Keys", testKeys},
		{"Ranges", testRanges},
		{"OwnWrites", testOwnWrites},
		{"ErrorUndoes", testErrorUndoes},
		{"PanicUndoes", testPanicUndoes},
		{"Blobs", testBlobs},
		{"BlobReferences", testBlobReferences},
		{"DraftRules", testDraftRules},
		{"Watch", testWatch},
		{"Cancel", testCancel},
		{"Counters", testCounters},
		{"SnapshotsNeverTorn", testSnapshots},
		{"BlobsConcurrently", testBlobsConcurrently},
		{"Random", func(t *testing.T, o Opener) { testRandom(t, o, false) }},
		{"RandomTwice", func(t *testing.T, o Opener) { testRandom(t, o, true) }},
		{"Closed", testClosed},
	}
	for _, s := range suite {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.test(t, open)
		})
	}
}

// Twice returns an engine that runs every Update's function one time more than
// needed, to show whether it may be run again. The first run is undone.
func Twice(e engine.Engine) engine.Engine { return twice{e} }

type twice struct{ engine.Engine }

type undone struct{}

func (undone) Error() string { return "first of two runs" }

func (w twice) Update(ctx context.Context, fn func(engine.Tx) error) error {
	err := w.Engine.Update(ctx, func(tx engine.Tx) error {
		// Whether it fails is for the second run to say.
		_ = fn(tx)
		return undone{}
	})
	if err != (undone{}) {
		return err
	}
	return w.Engine.Update(ctx, fn)
}

// CheckClean fails the test for each fault that e finds in itself.
func CheckClean(t testing.TB, e engine.Engine) engine.CheckResult {
	t.Helper()
	result, err := e.Check(context.Background(), func(f engine.Fault) {
		t.Errorf("check: %s: %s", f.Place, f.Text)
	})
	if err != nil {
		t.Errorf("check: %v", err)
	}
	return result
}
