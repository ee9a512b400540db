package local

// Waiting returns how many Updates wait for the committer.
func (e *Engine) Waiting() int { return len(e.requests) }
