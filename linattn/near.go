package linattn

import (
	"math"
	"math/bits"
	"slices"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/gemm"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/tensor"
)

// nearBlocks is LogLinear's sum over the levels 0 to m, those of the tokens in
// the same aligned block of 2^m, as products of matrices:
//
//	P_ij = scale · q_i·k_j · λ_i^ℓ · e^{g_{j+1}+…+g_i},   o_i = Σ_{j≤i} P_ij v_j,   ℓ the level of j for i
//
// q is [B, T, G, K], levels [B, T, H, m+1]; k, v and g have a row for each of
// the 2^m−1 tokens before, so that row 2^m−1+t is token t.
func nearBlocks(q, k, v, g, levels *tensor.Tensor, scale float32, pos []int64) *tensor.Tensor {
	n := near{B: q.Dim(0), T: q.Dim(1), G: q.Dim(2), K: q.Dim(3), H: v.Dim(2), V: v.Dim(3), L: levels.Dim(3), scale: scale, pos: pos}
	n.block = 1 << (n.L - 1)
	o := tensor.Out("linattn.LogLinear", []int{n.B, n.T, n.H, n.V}, q, k, v, g, levels)
	if o.IsFloat64() {
		o.SetValues64(n.plain(q.Values64(), k.Values64(), v.Values64(), g.Values64(), levels.Values64()))
		return o
	}
	q, k, v, g, levels = tensor.Contiguous(q), tensor.Contiguous(k), tensor.Contiguous(v), tensor.Contiguous(g), tensor.Contiguous(levels)
	n.q, n.k, n.v, n.g, n.levels, n.o = q.Data(), k.Data(), v.Data(), g.Data(), levels.Data(), o.Data()
	s, units := o.Scope(), n.B*n.H
	scratch := s.Floats(units * n.scratch())
	if hw.Tasks(s.Workers(), units, float64(n.T*n.block*(n.K+n.V))/10) > 1 {
		n.parallel(s.Workers(), scratch)
	} else {
		for i := range units {
			n.forward(i, scratch)
		}
	}
	if o.Recording() {
		c, in := n, [5]*tensor.Tensor{q, k, v, g, levels}
		c.pos = slices.Clone(pos) // the state's, which goes on
		tensor.OnBackward(func() {
			b := nearGrads{near: c, do: o.Grad().Data(), dq: gradData(in[0]), dk: gradData(in[1]), dv: gradData(in[2]), dg: gradData(in[3]), dl: gradData(in[4])}
			// Heads of a group share queries and keys: one task adds them in order.
			hw.Parallel(s.Workers(), c.B*c.G, b.group)
		}, o)
	}
	return o
}

// near is one call of nearBlocks.
type near struct {
	B, T, G, H, K, V, L   int
	block                 int
	scale                 float32
	pos                   []int64
	q, k, v, g, levels, o []float32
}

func (n *near) parallel(workers int, scratch []float32) {
	c := *n
	hw.Parallel(workers, c.B*c.H, func(i int) { c.forward(i, scratch) })
}

// scratch is the floats of one unit: P and the weights, and a row.
func (n *near) scratch() int { return 2*n.block*n.block + n.block }

// nearPiece is the tokens lo to hi of one sequence in one block, x0 of whose tokens come before.
type nearPiece struct{ lo, hi, x0 int }

// next is the piece of sequence b from token lo on.
func (n *near) next(b, lo int) nearPiece {
	p := lo
	if n.pos != nil {
		p += int(n.pos[b] & int64(n.block-1))
	}
	x0 := p & (n.block - 1)
	return nearPiece{lo, min(n.T, lo+n.block-x0), x0}
}

// key is the row of the piece's block's first token in k, v and g.
func (n *near) key(b int, p nearPiece) int { return b*(n.block-1+n.T) + n.block - 1 + p.lo - p.x0 }

// weigh fills w, of hi−lo rows of all keys of the piece, with scale·e^{g…}, and
// multiplies the rows by their levels if there is a place for that, p.
func (n *near) weigh(b, h int, piece nearPiece, w, p, row []float32) {
	m, key := piece.x0+piece.hi-piece.lo, n.key(b, piece)
	for x := range m {
		vec.Scale(row[:x], row[:x], float32(math.Exp(float64(n.g[(key+x)*n.H+h]))))
		row[x] = n.scale
		if x < piece.x0 {
			continue
		}
		r := x - piece.x0
		to := w[r*m:][:m]
		copy(to, row[:x+1])
		clear(to[x+1:])
		if p == nil {
			continue
		}
		levels := n.level(b, h, piece.lo+r)
		vec.Mul(p[r*m:][:m], p[r*m:][:m], to)
		p[r*m+x] *= levels[0]
		for l := 1; l < n.L; l++ {
			if lo, hi := half(x, l); hi > lo {
				vec.Scale(p[r*m+lo:r*m+hi], p[r*m+lo:r*m+hi], levels[l])
			}
		}
	}
}

// half are the tokens of level l > 0 for token x of a block.
func half(x, l int) (lo, hi int) {
	if x>>(l-1)&1 == 0 {
		return 0, 0
	}
	lo = x >> l << l
	return lo, lo + 1<<(l-1)
}

func (n *near) level(b, h, t int) []float32 { return n.levels[((b*n.T+t)*n.H+h)*n.L:][:n.L] }

// scores fills s with q·k of a piece.
func (n *near) scores(b, h int, p nearPiece, s []float32) {
	group := h * n.G / n.H
	m := p.x0 + p.hi - p.lo
	gemm.Mul(1, false, false, true, p.hi-p.lo, m, n.K, n.q[((b*n.T+p.lo)*n.G+group)*n.K:], n.G*n.K, n.k[(n.key(b, p)*n.G+group)*n.K:], n.G*n.K, s, m)
}

func (n *near) forward(i int, scratch []float32) {
	b, h := i/n.H, i%n.H
	mem, size := scratch[i*n.scratch():][:n.scratch()], n.block*n.block
	for lo := 0; lo < n.T; {
		p := n.next(b, lo)
		m := p.x0 + p.hi - p.lo
		n.scores(b, h, p, mem)
		n.weigh(b, h, p, mem[size:], mem, mem[2*size:])
		gemm.Mul(1, false, false, false, p.hi-p.lo, n.V, m, mem, m, n.v[(n.key(b, p)*n.H+h)*n.V:], n.H*n.V, n.o[((b*n.T+lo)*n.H+h)*n.V:], n.H*n.V)
		lo = p.hi
	}
}

type nearGrads struct {
	near
	do, dq, dk, dv, dg, dl []float32 // nil where none is wanted
}

// group adds the gradients of the heads of one group of one sequence.
func (n *nearGrads) group(i int) {
	b, group := i/n.G, i%n.G
	size, each := n.block*n.block, n.H/n.G
	mem := make([]float32, 4*size+2*n.block)
	s, w, p, dp, row, dc := mem[:size], mem[size:2*size], mem[2*size:3*size], mem[3*size:4*size], mem[4*size:][:n.block], mem[4*size+n.block:]
	for h := group * each; h < (group+1)*each; h++ {
		for lo := 0; lo < n.T; {
			pc := n.next(b, lo)
			nq := pc.hi - lo
			m, key := pc.x0+nq, n.key(b, pc)
			n.scores(b, h, pc, s)
			copy(p, s[:nq*m])
			n.weigh(b, h, pc, w, p, row)
			do, v := n.do[((b*n.T+lo)*n.H+h)*n.V:], n.v[(key*n.H+h)*n.V:]
			if n.dv != nil {
				gemm.Mul(1, true, true, false, m, n.V, nq, p, m, do, n.H*n.V, n.dv[(key*n.H+h)*n.V:], n.H*n.V)
			}
			gemm.Mul(1, false, false, true, nq, m, n.V, do, n.H*n.V, v, n.H*n.V, dp, m)
			clear(dc[:m])
			for r := range nq {
				x := pc.x0 + r
				d, sc, wt := dp[r*m:][:m], s[r*m:][:m], w[r*m:][:m]
				clear(d[x+1:])
				levels := n.level(b, h, lo+r)
				for l := range n.L {
					a, z := x, x+1
					if l > 0 {
						a, z = half(x, l)
					}
					if z <= a {
						continue
					}
					sum := float32(0)
					for j := a; j < z; j++ {
						e := d[j] * sc[j] * wt[j] // of λ; times λ, of the logarithm of the decay
						sum += e
						if j < x {
							dc[j] -= e * levels[l]
							dc[x] += e * levels[l]
						}
						d[j] *= wt[j] * levels[l]
					}
					if n.dl != nil {
						n.dl[((b*n.T+lo+r)*n.H+h)*n.L+l] += sum
					}
				}
			}
			if n.dg != nil {
				sum := float32(0)
				for x := m - 1; x > 0; x-- {
					sum += dc[x]
					n.dg[(key+x)*n.H+h] += sum
				}
			}
			qs, ks := ((b*n.T+lo)*n.G+group)*n.K, (key*n.G+group)*n.K
			if n.dq != nil {
				gemm.Mul(1, true, false, false, nq, n.K, m, dp, m, n.k[ks:], n.G*n.K, n.dq[qs:], n.G*n.K)
			}
			if n.dk != nil {
				gemm.Mul(1, true, true, false, m, n.K, nq, dp, m, n.q[qs:], n.G*n.K, n.dk[ks:], n.G*n.K)
			}
			lo = pc.hi
		}
	}
}

// plain is the equation in float64.
func (n *near) plain(q, k, v, g, levels []float64) []float64 {
	o := make([]float64, n.B*n.T*n.H*n.V)
	for b := range n.B {
		for t := range n.T {
			p := n.next(b, t)
			key := n.key(b, p)
			for h := range n.H {
				group, decay := h*n.G/n.H, 1.0
				for j := p.x0; j >= 0; j-- {
					w := float64(n.scale) * decay * levels[((b*n.T+t)*n.H+h)*n.L+bits.Len(uint(p.x0^j))]
					score := 0.0
					for c := range n.K {
						score += q[((b*n.T+t)*n.G+group)*n.K+c] * k[((key+j)*n.G+group)*n.K+c]
					}
					for c := range n.V {
						o[((b*n.T+t)*n.H+h)*n.V+c] += w * score * v[((key+j)*n.H+h)*n.V+c]
					}
					decay *= math.Exp(g[(key+j)*n.H+h])
				}
			}
		}
	}
	return o
}
