package imap

import "context"

// compress begins compression after its OK. RFC 4978.
func (s *session) compress(_ context.Context, cmd *command) (completion, error) {
	cmd.args.space()
	algorithm := cmd.args.word()
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	switch {
	case algorithm != "DEFLATE":
		return bad("The only algorithm is DEFLATE"), nil
	case s.c.Compressed():
		return no("COMPRESSIONACTIVE", "Compression is on already"), nil
	}
	done := ok("Compression begins now")
	done.then = func(context.Context) error { return broken(s.c.Compress()) }
	return done, nil
}
