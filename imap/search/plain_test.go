package search

import (
	"slices"
	"strconv"
	"strings"
)

// byTheBook is RFC 5256's REFERENCES, as it is written there, step by step, without
// regard to time.
type byTheBook struct {
	all    map[int]*known
	parent map[string]string // of messages and dummies by identifier
	seq    map[string]int    // of messages
	ids    []string
}

func plainReferences(all map[int]*known, seqs []int) string {
	p := byTheBook{all: all, parent: make(map[string]string), seq: make(map[string]int)}
	own := make(map[int]string)
	for _, seq := range seqs {
		id := plainID(all[seq].summary.MessageID)
		if _, taken := p.seq[id]; id == "" || taken {
			id = "unique " + strconv.Itoa(seq)
		}
		own[seq] = id
		p.seq[id] = seq
		p.ids = append(p.ids, id)
	}
	for _, seq := range seqs {
		p.link(own[seq], all[seq])
	}
	return text(p.finish())
}

func (p *byTheBook) link(id string, k *known) {
	var refs []string
	for _, r := range k.summary.References {
		if r := plainID(r); r != "" {
			refs = append(refs, r)
		}
	}
	if r := plainID(k.summary.InReplyTo); len(refs) == 0 && r != "" {
		refs = []string{r}
	}
	for i, r := range refs {
		if !slices.Contains(p.ids, r) {
			p.ids = append(p.ids, r)
		}
		if i > 0 && p.parent[r] == "" && !p.isAbove(r, refs[i-1]) {
			p.parent[r] = refs[i-1]
		}
	}
	delete(p.parent, id)
	if n := len(refs); n > 0 && !p.isAbove(id, refs[n-1]) {
		p.parent[id] = refs[n-1]
	}
}

// isAbove says whether a is b or above it.
func (p *byTheBook) isAbove(a, b string) bool {
	for ; b != ""; b = p.parent[b] {
		if a == b {
			return true
		}
	}
	return false
}

// tree builds the tree below a node.
func (p *byTheBook) tree(id string) *Thread {
	th := &Thread{Seq: p.seq[id]}
	for _, c := range p.ids {
		if p.parent[c] == id {
			th.Children = append(th.Children, p.tree(c))
		}
	}
	return th
}

func (p *byTheBook) finish() []*Thread {
	var root []*Thread
	for _, id := range p.ids {
		if p.parent[id] != "" {
			continue
		}
		th := p.tree(id)
		th.Children = pruned(th.Children)
		switch {
		case th.Seq > 0 || len(th.Children) > 1:
			root = append(root, th)
		case len(th.Children) == 1:
			root = append(root, th.Children[0])
		}
	}
	for _, th := range root {
		if th.Seq == 0 {
			p.sort(th.Children)
		}
	}
	p.sort(root)
	root = p.gather(root)
	p.sortAll(root)
	return root
}

// pruned is a list of siblings without dummies.
func pruned(list []*Thread) (out []*Thread) {
	for _, th := range list {
		th.Children = pruned(th.Children)
		if th.Seq == 0 {
			out = append(out, th.Children...)
		} else {
			out = append(out, th)
		}
	}
	return out
}

func head(th *Thread) int {
	if th.Seq == 0 {
		return th.Children[0].Seq
	}
	return th.Seq
}

func (p *byTheBook) sort(list []*Thread) {
	slices.SortFunc(list, func(a, b *Thread) int { return bySent(p.all)(head(a), head(b)) })
}

func (p *byTheBook) sortAll(list []*Thread) {
	for _, th := range list {
		p.sortAll(th.Children)
	}
	p.sort(list)
}

func (p *byTheBook) subject(th *Thread) string {
	base, _ := p.all[head(th)].base()
	return base
}

func (p *byTheBook) reply(th *Thread) bool {
	if th.Seq == 0 {
		return false
	}
	_, reply := p.all[th.Seq].base()
	return reply
}

// gather is step 5.
func (p *byTheBook) gather(root []*Thread) []*Thread {
	table := make(map[string]*Thread)
	for _, th := range root {
		s := p.subject(th)
		old := table[s]
		if s != "" && (old == nil || old.Seq != 0 && (th.Seq == 0 || p.reply(old) && !p.reply(th))) {
			table[s] = th
		}
	}
	for i := 0; i < len(root); {
		th := root[i]
		s := p.subject(th)
		old := table[s]
		if s == "" || old == th {
			i++
			continue
		}
		root = slices.Delete(root, i, i+1)
		switch {
		case old.Seq == 0 && th.Seq == 0:
			old.Children = append(old.Children, th.Children...)
		case old.Seq == 0, p.reply(th) && !p.reply(old):
			old.Children = append(old.Children, th)
		default:
			at := slices.Index(root, old)
			dummy := &Thread{Children: []*Thread{old, th}}
			root[at], table[s] = dummy, dummy
			if at >= i { // it is looked at once more, and skipped
				continue
			}
		}
	}
	return root
}

// plainID takes the quotes off an identifier.
func plainID(id string) string {
	if len(id) < 3 || id[0] != '<' || id[len(id)-1] != '>' {
		return ""
	}
	return strings.ReplaceAll(id[1:len(id)-1], `"`, "")
}
