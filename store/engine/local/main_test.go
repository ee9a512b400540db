package local_test

import (
	"fmt"
	"os"
	"testing"
)

// TestMain is also the child process of the tests that need one.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := killChild(dir, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if dir := os.Getenv(diskEnv); dir != "" {
		os.Exit(diskFullChild(dir))
	}
	os.Exit(m.Run())
}
