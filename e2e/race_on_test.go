//go:build race

package e2e

// buildFlags makes the server look for races whenever the tests do.
var buildFlags = []string{"-race"}
