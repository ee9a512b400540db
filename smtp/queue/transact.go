package queue

import "tripost/smtp/send"

// transact hands a message to a peer, in as many transactions as its recipients
// need there, and returns a result for each of them that was come to. A peer that
// takes only some of them at a time says so beforehand (RFC 9422), or with 452 to
// those beyond (RFC 5321 section 4.5.3.1.10), who then have the next transaction.
// Who has no result is for another connection.
func transact(conn *send.Conn, all []recipient, message func([]recipient) send.Message) (results []result) {
	most := conn.MaxRecipients()
	for len(all) > 0 {
		var some []recipient
		if some, all = choose(conn, all, most); len(some) == 0 {
			break
		}
		var beyond []recipient
		taken := 0
		got := conn.Send(message(some))
		for _, one := range got {
			if one.Err == nil && one.Reply.OK() {
				taken++
			}
		}
		for i, one := range got {
			switch {
			case one.Err != nil:
				results = append(results, ourResult(some[i], one.Err))
			case taken > 0 && tooMany(one.Reply) && !conn.Broken():
				beyond = append(beyond, some[i])
			default:
				res := peerResult(some[i], one.Reply)
				res.relayed = !conn.Reports()
				results = append(results, res)
			}
		}
		if len(beyond) > 0 {
			all, most = append(beyond, all...), taken
		}
		if conn.Broken() || conn.Exhausted() {
			break
		}
	}
	return results
}

// choose returns the recipients of the next transaction, and the others.
func choose(conn *send.Conn, all []recipient, most int) (some, rest []recipient) {
	admits := conn.Admits()
	for _, r := range all {
		if len(some) < most && admits(r.address) {
			some = append(some, r)
		} else {
			rest = append(rest, r)
		}
	}
	return some, rest
}

// tooMany tells the reply to a recipient for whom there is no room in the
// transaction: RFC 5321 section 4.5.3.1.10, which knows of hosts that say 552;
// RFC 3463 section 3.6 for the codes.
func tooMany(r send.Reply) bool {
	return r.Code == 452 && (r.Enhanced == "" || r.Enhanced == "4.5.3") || r.Code == 552 && r.Enhanced == "5.5.3"
}
