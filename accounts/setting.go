package accounts

// Setting is a value that an account may leave to its domain, and a domain to
// the server. The zero value leaves it.
type Setting[T comparable] struct {
	value T
	set   bool
}

// Set returns a setting that is made here.
func Set[T comparable](value T) Setting[T] { return Setting[T]{value, true} }

// Get returns the value; set is false where it is left to the next one up.
func (s Setting[T]) Get() (value T, set bool) { return s.value, s.set }

// Or returns the value, or above where it is left to the next one up.
func (s Setting[T]) Or(above T) T {
	if s.set {
		return s.value
	}
	return above
}

// over returns the setting that counts; above is that of the next one up.
func (s Setting[T]) over(above Setting[T]) Setting[T] {
	if s.set {
		return s
	}
	return above
}
