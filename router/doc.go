// Package router says where an address or a login name leads: to an account
// here, to another host, or nowhere. There is one answer for all who ask:
// SMTP recipients, messages submitted by POP, login names, `tripost route test`.
//
// # How it works
//
// An address is rewritten by one rule after the other. Whenever a rule has
// changed it, the rules start again with the first; a rule that recognises the
// address ends the work. In their order (see rules):
//
//  1. The Main Domain's name is cut off.
//  2. What is left without a domain may be an address again: x%y and y!x are x@y.
//  3. The first record of the table that is for the address is applied.
//  4. An alias of a domain of ours is replaced by the domain's name; the host's
//     own name, "localhost", and IP addresses of this host in brackets are cut
//     off like the Main Domain's name.
//  5. name@ACCOUNT.local and name%ACCOUNT@sec.dom.domain are for ACCOUNT, which
//     keeps name as the individual name.
//  6. x@host._via, x@host.port._via and x@[192.0.2.1] are for that very host.
//  7. In a domain of ours the local part is an account, an alias, an account
//     with a detail, or a mailbox of an account; postmaster and abuse always
//     have a reader; everything else is refused.
//  8. The first default record of the table is applied.
//  9. Any other domain is reached by its MX hosts.
//
// Before all that, a login name without a domain gets the one that the local IP
// address of the connection is assigned to.
//
// After [Options].MaxSteps changes the address is refused as a routing loop.
//
// # The table
//
// The administrator's records, one a line, in the language of docs/router.md. It
// is kept in the store as one text, checked whole before it is put in force
// ([Router.Change]), and compiled into maps, so that an address costs the same
// whether there are ten records or ten thousand. Routers on one store all hear of
// a change before it is acknowledged.
//
// [Router.Preview] tells which of the names of recent days would lead elsewhere.
// These are gathered in memory and written by [Router.Run]; without it, only
// those that this Router has seen are known.
//
// # Relaying
//
// Whatever leads to another host has [Result].Relay set, however it came about:
// a percent form, a source route, a rule; unless a record of the table on its way
// opens it to strangers. Who may use it is decided by the caller, after routing,
// never by the looks of the address.
package router
