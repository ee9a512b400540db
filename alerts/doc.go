// Package alerts keeps short texts that a user must see: posted by an
// administrator for one account, for a domain or for the whole server, or made
// by the server itself when a mailbox is nearly full.
//
// # Promises
//
//   - An account sees an alert once, whichever protocol showed it: [Alerts.Take]
//     hands it out and records so in one transaction, so that two sessions at
//     once never get the same one. One whose line could not be written is given
//     back and comes again. Only a crash between the two loses it.
//   - Oldest first, the scopes merged. A quota alert comes last.
//   - An alert for an account is removed when it is shown. One for a domain or
//     for the server stays until it is removed, and is not shown to accounts
//     that were made later.
//   - A quota alert comes once for each time that the usage is found above the
//     threshold after it was below, and at most once a day: a full mailbox can
//     still be emptied by POP, where an alert makes a sign-in fail.
//   - A text is one line of UTF-8 without control characters and at most
//     [MaxText] octets, so that it fits in a POP reply (RFC 2449 section 4).
//
// # Use
//
// An [Alerts] may be shared by goroutines. Sessions ask it after the password
// was found right, and never before. They declare what they need of it
// themselves. POP:
//
//	type Alerts interface {
//		Take(ctx context.Context, a accounts.Account) (text string, giveBack func(), ok bool, err error)
//	}
//
// IMAP, whose sessions hear of alerts while they run, has beside it:
//
//	Watch(id store.AccountID, wake func()) (stop func())
//
// The account is the one that signed in, not the owner of the mailbox that its
// login name selects.
//
// # Records
//
// The alerts' space of the store. Every key begins with one octet that names its
// kind; stamps and account ids are eight octets, big end first. A stamp is an
// alert's time in microseconds since 1970 and its [ID]: no two alerts have the
// same, and later ones have higher ones, whatever the clock does.
//
//	P stamp              an alert: scope, domain, account, text
//	S stamp              there is this alert for the server; the newest account that is shown it
//	D domain 0 stamp     the same for a domain
//	A account stamp      there is this alert for an account
//	W account            what an account has been shown
//	V stamp account      when the alert, of a domain or the server, was shown to an account
//	T                    the last stamp given out
//	O kind 0 account     when the account was last told of what is found again and again
//	G                    the stamp of the last alert for a domain or the server; watched
//
// Every transaction of an account writes its W, and every Post writes T: so two
// that must not run side by side always meet in a key. What was recorded for
// an account or a domain that is removed is shown to nobody: ids are not given
// out again, and the accounts of a domain made anew are newer than its old
// alerts. The next Post clears it away.
package alerts
