package engine

import "context"

type progressKey struct{}

// WithProgress makes Check and Compact tell fn how far they are: octets, and of
// how many there are about. fn is called often, and must be quick.
func WithProgress(ctx context.Context, fn func(done, total int64)) context.Context {
	return context.WithValue(ctx, progressKey{}, fn)
}

// Progress tells whoever asked for it by [WithProgress].
func Progress(ctx context.Context, done, total int64) {
	if fn, ok := ctx.Value(progressKey{}).(func(done, total int64)); ok {
		fn(done, total)
	}
}
