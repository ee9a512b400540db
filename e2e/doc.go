// Package e2e tries the built binary as its users do: with real mail programs,
// with kills under load, and with every mail of the corpus. It has tests only;
// e2e/load is the load run of "make bench".
package e2e
