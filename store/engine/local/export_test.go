package local

// Waiting returns how many Updates wait for the committer.
func (e *Engine) Waiting() int { return len(e.requests) }

// Settle waits until the committer has done what it does behind its last answer.
func (e *Engine) Settle() error { return e.onCommitter(func() {}) }

// Checkpoint brings the index up to the journal's end.
func (e *Engine) Checkpoint() error { return e.checkpoint() }

// Still runs fn while no checkpoint and no copy of the index is written, so that a
// copy of the files is what a kill at one moment leaves.
func (e *Engine) Still(fn func() error) error {
	e.copies.writing.Lock()
	defer e.copies.writing.Unlock()
	e.checkpoints.mu.Lock()
	defer e.checkpoints.mu.Unlock()
	return fn()
}

// ReadCopy reads a copy of an index and counts its keys.
func ReadCopy(name string) (keys int, err error) {
	r, err := openCopy(name, OS{})
	if err != nil {
		return 0, err
	}
	defer r.file.Close()
	for more := true; more && err == nil; {
		more, err = r.next(func(key, value []byte) error { return nil })
	}
	return int(r.keys), err
}
