package local

import (
	"fmt"
	"runtime/debug"

	"tripost/store/engine"
)

// guarded runs fn, which reads the index, and turns what a damaged index file
// makes of that into an error. bbolt's pages carry no checksum: it panics when
// one makes no sense, and follows a number that leads out of the file into
// memory that is not there.
func guarded(what string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %s: %v", engine.ErrDamaged, what, p)
		}
	}()
	return fn()
}

// viewed runs a View's function. A read outside the index file becomes an
// error; other panics may be the function's own and are left alone.
func viewed(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if fault, ok := p.(interface{ Addr() uintptr }); ok {
			err = fmt.Errorf("%w: index: %v", engine.ErrDamaged, fault)
			return
		}
		panic(p)
	}()
	return fn()
}
