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
//  1. The Main Domain's names are cut off: its name, its aliases, the host's
//     own name, "localhost", and IP addresses of this host in brackets.
//  2. What is left without a domain may be an address again: x%y and y!x are x@y.
//  3. An alias of another domain of ours is replaced by the domain's name.
//  4. name@ACCOUNT.local and name%ACCOUNT@sec.dom.domain are for ACCOUNT, which
//     keeps name as the individual name.
//  5. x@host._via, x@host.port._via and x@[192.0.2.1] are for that very host.
//  6. In a domain of ours the local part is an account, an alias, an account
//     with a detail, or a mailbox of an account; postmaster and abuse always
//     have a reader; everything else is refused.
//  7. Any other domain is reached by its MX hosts.
//
// Before all that, a login name without a domain gets the one that the local IP
// address of the connection is assigned to.
//
// After [Options].MaxSteps changes the address is refused as a routing loop.
//
// # Relaying
//
// Whatever leads to another host has [Result].Relay set, however it came about:
// a percent form, a source route, a rule. Who may use it is decided by the
// caller, after routing, never by the looks of the address.
package router
