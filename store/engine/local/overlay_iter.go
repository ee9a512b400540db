package local

// treeDepth bounds a tree's height: 16 levels of at least 16 children are more
// items than memory holds.
const treeDepth = 16

// treeIter walks a tree in order, in one direction. Items that say nothing are
// left out.
type treeIter struct {
	path  [treeDepth]treeStep
	depth int
}

// treeStep is a node and the item in it that comes next.
type treeStep struct {
	n *node
	i int
}

func (it *treeIter) push(n *node, i int) {
	it.path[it.depth] = treeStep{n, i}
	it.depth++
}

// item returns where the iterator stands, nil at the end.
func (it *treeIter) item() *item {
	if it.depth == 0 {
		return nil
	}
	s := &it.path[it.depth-1]
	return s.n.items[s.i]
}

// seek goes to the first item not below key, for walking upwards.
func (it *treeIter) seek(n *node, key []byte) {
	it.depth = 0
	for n != nil {
		i, found := n.search(key)
		it.push(n, i)
		if found || n.kids == nil {
			break
		}
		n = n.kids[i]
	}
	it.settleUp()
}

// settleUp leaves the nodes that are exhausted and the items that say nothing.
func (it *treeIter) settleUp() {
	for it.depth > 0 {
		s := &it.path[it.depth-1]
		switch {
		case s.i >= s.n.n:
			it.depth--
		case s.n.items[s.i].kind == itemNone:
			it.stepUp()
		default:
			return
		}
	}
}

func (it *treeIter) stepUp() {
	s := &it.path[it.depth-1]
	s.i++
	if s.n.kids == nil {
		return
	}
	for n := s.n.kids[s.i]; ; n = n.kids[0] {
		it.push(n, 0)
		if n.kids == nil {
			return
		}
	}
}

// next goes on to the item above.
func (it *treeIter) next() {
	it.stepUp()
	it.settleUp()
}

// seekBelow goes to the last item below key, or the last of all when key is
// nil, for walking downwards.
func (it *treeIter) seekBelow(n *node, key []byte) {
	it.depth = 0
	for n != nil {
		i := n.n
		if key != nil {
			i, _ = n.search(key)
		}
		it.push(n, i-1)
		if n.kids == nil {
			break
		}
		n = n.kids[i]
	}
	it.settleDown()
}

func (it *treeIter) settleDown() {
	for it.depth > 0 {
		s := &it.path[it.depth-1]
		switch {
		case s.i < 0:
			it.depth--
		case s.n.items[s.i].kind == itemNone:
			it.stepDown()
		default:
			return
		}
	}
}

func (it *treeIter) stepDown() {
	s := &it.path[it.depth-1]
	at := s.i
	s.i--
	if s.n.kids == nil {
		return
	}
	for n := s.n.kids[at]; ; n = n.kids[n.n] {
		it.push(n, n.n-1)
		if n.kids == nil {
			return
		}
	}
}

// previous goes on to the item below.
func (it *treeIter) previous() {
	it.stepDown()
	it.settleDown()
}
