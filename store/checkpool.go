package store

import "encoding/binary"

// pool adds what an account says that it holds to its pool.
func (c *checker) pool(acct *account) {
	if acct.pool == 0 {
		return
	}
	sum := c.pools[acct.pool]
	sum.octets += acct.octets
	sum.messages += acct.messages
	c.pools[acct.pool] = sum
}

// checkPools compares what the pools say with what their accounts do.
func (c *checker) checkPools() error {
	prefix := []byte{spaceStore, partPool}
	err := c.each(prefix, func(key, value []byte) {
		id := PoolID(binary.BigEndian.Uint64(key[len(prefix):]))
		sum := c.pools[id]
		delete(c.pools, id)
		var p pool
		if err := p.decode(value); err != nil {
			c.fault(key, "%v", err)
		} else if p.octets != sum.octets || p.messages != sum.messages {
			c.fault(key, "pool %d says %d messages of %d octets, its accounts hold %d of %d",
				id, p.messages, p.octets, sum.messages, sum.octets)
		}
	})
	for id := range c.pools {
		c.fault(poolKey(id), "accounts are in pool %d, which does not exist", id)
	}
	return err
}
