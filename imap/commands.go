package imap

import "context"

// row is a command's place in the table.
type row struct {
	states state
	run    func(*session, context.Context, *command) (completion, error)
	hold   bool                   // no EXPUNGE may be told with its response (RFC 3501 section 7.4.1)
	secret bool                   // its arguments are not logged
	stream func(args []byte) bool // whether the literal that args end in is a message, which the handler reads itself
}

// commands is the table of all commands. Adding one is adding a line here, a file
// with its handler, and where it takes one a capability in capability.go.
func commands() map[string]*row {
	return map[string]*row{
		// Any state, RFC 3501 section 6.1.
		"CAPABILITY": {states: anyState, run: (*session).capability},
		"NOOP":       {states: anyState, run: (*session).noop},
		"LOGOUT":     {states: anyState, run: (*session).logout},
		"ID":         {states: anyState, run: (*session).id}, // RFC 2971

		// Not authenticated, section 6.2.
		"STARTTLS":     {states: notAuthenticated, run: (*session).startTLS},
		"AUTHENTICATE": {states: notAuthenticated, run: (*session).authenticate, secret: true},
		"LOGIN":        {states: notAuthenticated, run: (*session).login, secret: true},

		// Authenticated, section 6.3.
		"ENABLE":      {states: signedIn, run: (*session).enable}, // RFC 5161
		"SELECT":      {states: signedIn, run: (*session).selectMailbox},
		"EXAMINE":     {states: signedIn, run: (*session).examine},
		"CREATE":      {states: signedIn, run: (*session).create},
		"DELETE":      {states: signedIn, run: (*session).delete},
		"RENAME":      {states: signedIn, run: (*session).rename},
		"SUBSCRIBE":   {states: signedIn, run: (*session).subscribe},
		"UNSUBSCRIBE": {states: signedIn, run: (*session).unsubscribe},
		"LIST":        {states: signedIn, run: (*session).list},
		"LSUB":        {states: signedIn, run: (*session).lsub},
		"NAMESPACE":   {states: signedIn, run: (*session).namespace}, // RFC 2342
		"STATUS":      {states: signedIn, run: (*session).status},
		"APPEND":      {states: signedIn, run: (*session).append, stream: isAppendMessage},
		"ESEARCH":     {states: signedIn, run: (*session).multiSearch}, // RFC 7377
		"IDLE":        {states: signedIn, run: (*session).idle},        // RFC 2177

		// Authenticated, extensions.
		"COMPARATOR":     {states: signedIn, run: (*session).compareBy},   // RFC 5255 section 4.7
		"NOTIFY":         {states: signedIn, run: (*session).setNotify},   // RFC 5465
		"GETMETADATA":    {states: signedIn, run: (*session).getMetadata}, // RFC 5464
		"SETMETADATA":    {states: signedIn, run: (*session).setMetadata},
		"UNAUTHENTICATE": {states: signedIn, run: (*session).unauthenticate}, // RFC 8437
		"COMPRESS":       {states: signedIn, run: (*session).compress},       // RFC 4978
		"SETACL":         {states: signedIn, run: (*session).setACL},         // RFC 4314
		"DELETEACL":      {states: signedIn, run: (*session).deleteACL},
		"GETACL":         {states: signedIn, run: (*session).getACL},
		"LISTRIGHTS":     {states: signedIn, run: (*session).listRights},
		"MYRIGHTS":       {states: signedIn, run: (*session).myRights},
		"GETQUOTA":       {states: signedIn, run: (*session).getQuota}, // RFC 9208
		"GETQUOTAROOT":   {states: signedIn, run: (*session).getQuotaRoot},
		"SETQUOTA":       {states: signedIn, run: (*session).setQuota},

		// Selected, section 6.4.
		"CHECK":       {states: selected, run: (*session).noop},
		"CLOSE":       {states: selected, run: (*session).closeMailbox},
		"UNSELECT":    {states: selected, run: (*session).unselect}, // RFC 3691
		"EXPUNGE":     {states: selected, run: (*session).expunge},
		"SEARCH":      {states: selected, run: (*session).search, hold: true},
		"SORT":        {states: selected, run: (*session).sort, hold: true},   // RFC 5256
		"THREAD":      {states: selected, run: (*session).thread, hold: true}, // RFC 5256
		"UID SORT":    {states: selected, run: (*session).sort},
		"UID THREAD":  {states: selected, run: (*session).thread},
		"FETCH":       {states: selected, run: (*session).fetch, hold: true},
		"STORE":       {states: selected, run: (*session).store, hold: true},
		"COPY":        {states: selected, run: (*session).copy},
		"MOVE":        {states: selected, run: (*session).move},                              // RFC 6851
		"REPLACE":     {states: selected, run: (*session).replace, stream: isReplaceMessage}, // RFC 8508
		"UID REPLACE": {states: selected, run: (*session).replace, stream: isReplaceMessage},
		"UID EXPUNGE": {states: selected, run: (*session).expunge},
		"UID SEARCH":  {states: selected, run: (*session).search},
		"UID FETCH":   {states: selected, run: (*session).fetch},
		"UID STORE":   {states: selected, run: (*session).store},
		"UID COPY":    {states: selected, run: (*session).copy},
		"UID MOVE":    {states: selected, run: (*session).move},
	}
}

// legal tells why a command may not be given now, or nothing.
func (s *session) legal(name string, r *row) error {
	switch {
	case r == nil:
		return refuse(bad("Unknown command"))
	case r.states&s.state != 0 && s.has(featureUIDOnly) && s.srv.commands["UID "+name] != nil && name != "EXPUNGE":
		return uidRequired()
	case r.states&s.state != 0:
		return nil
	case s.state == notAuthenticated:
		return refuse(bad("Sign in first"))
	case r.states == notAuthenticated:
		return refuse(bad("You are signed in already"))
	case s.lost:
		return refuse(no("CLOSED", "The selected mailbox is no longer there"))
	default:
		return refuse(bad("Select a mailbox first"))
	}
}

// noop gives the server the chance to tell of changes, which it takes after every
// command. RFC 3501 sections 6.1.2 NOOP and 6.4.1 CHECK.
func (s *session) noop(_ context.Context, cmd *command) (completion, error) {
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	return ok("Done"), nil
}

// logout ends the session. RFC 3501 section 6.1.3.
func (s *session) logout(_ context.Context, cmd *command) (completion, error) {
	if err := cmd.args.end(); err != nil {
		return completion{}, err
	}
	s.deselect()
	s.untagged("BYE", "", "Goodbye")
	done := ok("Logged out")
	done.then = func(context.Context) error { return errQuit }
	return done, nil
}
