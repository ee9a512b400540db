package local

// Waiting returns how many Updates wait for the committer.
func (e *Engine) Waiting() int { return len(e.requests) }

// Still runs fn while no checkpoint is written, so that a copy of the files is
// what a kill at one moment leaves.
func (e *Engine) Still(fn func() error) error {
	e.checkpoints.mu.Lock()
	defer e.checkpoints.mu.Unlock()
	return fn()
}
