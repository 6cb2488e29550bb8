package scan

import (
	"sync"

	"github.com/subquad/subquad/internal/kernel/gemm"
	"github.com/subquad/subquad/internal/kernel/rec"
	"github.com/subquad/subquad/internal/kernel/vec"
)

// The chunked form of Matrix: unrolled over n tokens from the state S₀, with
// c_t the sum of the log decays of tokens 1…t, S' = e^{g_0} S₀ and z_t = a_tᵀ S_{t−1},
//
//	S_t = e^{c_t} (S' + Σ_{s≤t} e^{−c_s} (k_s v_sᵀ + b_s z_sᵀ))
//
// so that with reads L = [Q e^c; A e^{c−g}], writes R = [K e^{−c}; B e^{−c}], what
// they write X = [V; Z], and scores P = L Rᵀ of which the future is cleared,
//
//	[O; Z] = L S' + P X,     S = e^{c_n} (S' + Rᵀ X)
//
// all of it matrix products; Z stands on both sides and is found by forward
// substitution, P_AB being strictly lower triangular. For the delta rule this
// is the WY form (Yang et al., arXiv 2406.06484; in general:
// fla-org/flash-linear-attention, fla/ops/generalized_delta_rule/dplr/naive.py),
// without correction and with one decay a head Mamba-2's SSD
// (state-spaces/mamba, mamba_ssm/modules/ssd_minimal.py).
//
// float32 has room for e^{±c} while |c| stays below decayRange. A chunk is cut
// where it would not, however strong the decays; the first token after a cut
// decays the state itself.

// decayRange bounds |c|: e^60 times numbers of up to 1e12 still fit.
const decayRange = 60

// shortSegment is the number of tokens below which products do not pay: such
// tokens go to the recurrence.
const shortSegment = 8

// A segment is a run of tokens that is taken as products, or by the recurrence.
type segment struct {
	lo, hi   int
	products bool
}

// stacked is 2 where reads and writes of the correction stand below the others.
func (r *recurrent) stacked() int {
	if r.a != nil {
		return 2
	}
	return 1
}

// A chunkWork is the memory of one task.
type chunkWork struct {
	mem      []float32
	segments []segment
	states   []float32 // at the start of each segment

	left, right, value, score     []float32 // L, R, X, P
	c, e                          []float32 // sums of log decays [n, W]; a row
	start, end                    []float32 // S', S
	dValue, dLeft, dRight, dScore []float32
	dStart, dEnd, dc              []float32
}

var chunkWorks = sync.Pool{New: func() any { return new(chunkWork) }}

// decayWidth is how many decays a token has: one, or one a row.
func (r *recurrent) decayWidth() int {
	switch {
	case r.d == nil:
		return 0
	case r.vector:
		return r.rows
	}
	return 1
}

func (w *chunkWork) size(r *recurrent, n int, gradients bool) {
	m, K, V, W := n*r.stacked(), r.rows, r.cols, r.decayWidth()
	parts := []struct {
		to *[]float32
		n  int
	}{{&w.left, m * K}, {&w.right, m * K}, {&w.value, m * V}, {&w.score, m * m}, {&w.c, n * W}, {&w.e, max(K, V, n)}, {&w.start, K * V}, {&w.end, K * V},
		{&w.dValue, m * V}, {&w.dLeft, m * K}, {&w.dRight, m * K}, {&w.dScore, m * m}, {&w.dStart, K * V}, {&w.dEnd, K * V}, {&w.dc, n * W}}
	if !gradients {
		parts = parts[:8]
	}
	total := 0
	for _, p := range parts {
		total += p.n
	}
	if cap(w.mem) < total {
		w.mem = make([]float32, total)
	}
	rest := w.mem[:cap(w.mem)]
	for _, p := range parts {
		*p.to, rest = rest[:p.n:p.n], rest[p.n:]
	}
}

// cut divides tokens t0 to t0+n of unit i into segments.
func (r *recurrent) cut(w *chunkWork, i, t0, n int) {
	w.segments = w.segments[:0]
	W := r.decayWidth()
	add := func(lo, hi int) {
		if long := hi-lo >= shortSegment; long || len(w.segments) == 0 || w.segments[len(w.segments)-1].products {
			w.segments = append(w.segments, segment{lo, hi, long})
		} else {
			w.segments[len(w.segments)-1].hi = hi
		}
	}
	if W == 0 {
		add(t0, t0+n)
		return
	}
	sum := w.e[:W]
	lo := t0
	clear(sum)
	for t := t0 + 1; t < t0+n; t++ {
		vec.Add(sum, sum, r.decays(r.g, i, t))
		for _, c := range sum {
			if !(c > -decayRange && c < decayRange) {
				add(lo, t)
				lo = t
				clear(sum)
				break
			}
		}
	}
	add(lo, t0+n)
}

// decays are token t's of unit i, in the layout of the log decays.
func (r *recurrent) decays(x []float32, i, t int) []float32 {
	W := r.decayWidth()
	return x[((i/r.heads*r.length+t)*r.heads+i%r.heads)*W:][:W]
}

// scaleRow multiplies a row of K by e, of one number or K.
func scaleRow(row, e []float32) {
	if len(e) == 1 {
		vec.Scale(row, row, e[0])
	} else if len(e) > 0 {
		vec.Mul(row, row, e)
	}
}

// scaleState multiplies row k of S by e[k], or all by e[0].
func scaleState(S, e []float32, V int) {
	switch len(e) {
	case 0:
	case 1:
		vec.Scale(S, S, e[0])
	default:
		for k, d := range e {
			vec.Scale(S[k*V:][:V], S[k*V:][:V], d)
		}
	}
}

// chunk advances the state S of unit i over n tokens from t on, and writes their outputs.
func (r *recurrent) chunk(w *chunkWork, i, t, n int, S []float32) {
	w.size(r, n, false)
	r.cut(w, i, t, n)
	for _, s := range w.segments {
		a := r.args(i, s.lo, s.hi-s.lo, S)
		if s.products {
			r.factors(w, i, &a, s.lo, S)
			r.outputs(w, &a, S)
			copy(S, w.end)
		} else {
			rec.Matrix(&a)
		}
		r.finish(i, &a)
	}
}

// factors fills left, right, value, score, start and end for a segment from token t on.
func (r *recurrent) factors(w *chunkWork, i int, a *rec.MatrixArgs, t int, S []float32) {
	n, K, V, W := a.T, r.rows, r.cols, r.decayWidth()
	m := n * r.stacked()
	copy(w.start, S)
	for x := range n {
		copy(w.left[x*K:][:K], a.Q[x*a.QStride:])
		copy(w.right[x*K:][:K], a.Kk[x*a.KStride:])
		copy(w.value[x*V:][:V], a.Vv[x*a.VStride:])
		if a.A != nil {
			copy(w.left[(n+x)*K:][:K], a.A[x*a.AStride:])
			copy(w.right[(n+x)*K:][:K], a.B[x*a.BStride:])
		}
	}
	if W > 0 {
		e := w.e[:W]
		scaleState(w.start, r.decays(r.d, i, t), V)
		clear(w.c[:W])
		for x := range n {
			c := w.c[x*W:][:W]
			if x > 0 {
				vec.Add(c, w.c[(x-1)*W:][:W], r.decays(r.g, i, t+x))
			}
			vec.Exp(e, c)
			for _, row := range r.readers(a, x) {
				if row >= 0 {
					scaleRow(w.left[row*K:][:K], e)
				}
			}
			vec.Scale(e, c, -1)
			vec.Exp(e, e)
			scaleRow(w.right[x*K:][:K], e)
			if a.A != nil {
				scaleRow(w.right[(n+x)*K:][:K], e)
			}
		}
	}
	// The first token's reads from before its decay are taken from S itself.
	if a.ReadBefore {
		clear(w.left[:K])
	}
	if a.A != nil {
		clear(w.left[n*K:][:K])
	}
	gemm.Mul(1, false, false, true, m, m, K, w.left, K, w.right, K, w.score, m)
	w.mask(w.score, a, n, m)
	if a.A != nil {
		z := w.value[n*V:]
		gemm.Mul(1, false, false, false, n, V, K, w.left[n*K:], K, w.start, V, z, V)
		gemm.Mul(1, false, false, false, 1, V, K, a.A, K, S, V, z, V)
		gemm.Mul(1, true, false, false, n, V, n, w.score[n*m:], m, w.value, V, z, V)
		substitute(n, V, w.score[n*m+n:], m, z)
	}
	copy(w.end, w.start)
	gemm.Mul(1, true, true, false, K, V, m, w.right, K, w.value, V, w.end, V)
	if W > 0 {
		e := w.e[:W]
		vec.Exp(e, w.c[(n-1)*W:][:W])
		scaleState(w.end, e, V)
	}
}

// readers are the rows of L that decay with c of token x, −1 for none: its own
// query, or the next one's where the state is read before the update, and the
// next token's a.
func (r *recurrent) readers(a *rec.MatrixArgs, x int) [2]int {
	rows := [2]int{x, -1}
	next := x + 1
	if next == a.T {
		next = -1
	}
	if a.ReadBefore {
		rows[0] = next
	}
	if a.A != nil && next >= 0 {
		rows[1] = a.T + next
	}
	return rows
}

// mask clears the future in an m×m matrix of scores.
func (w *chunkWork) mask(score []float32, a *rec.MatrixArgs, n, m int) {
	for x := range n {
		seen := x + 1
		if a.ReadBefore {
			seen = x
		}
		for o := 0; o < m; o += n {
			clear(score[x*m+o+seen : x*m+o+n])
			if a.A != nil {
				clear(score[(n+x)*m+o+x : (n+x)*m+o+n])
			}
		}
	}
}

// outputs computes a.O, without the bonus and the scale.
func (r *recurrent) outputs(w *chunkWork, a *rec.MatrixArgs, S []float32) {
	n, K, V := a.T, r.rows, r.cols
	m := n * r.stacked()
	gemm.Mul(1, false, false, false, n, V, K, w.left, K, w.start, V, a.O, a.OStride)
	if a.ReadBefore {
		gemm.Mul(1, false, false, false, 1, V, K, a.Q, K, S, V, a.O, V)
	}
	gemm.Mul(1, true, false, false, n, V, m, w.score, m, w.value, V, a.O, a.OStride)
}

// solveBlock is the rows of Z that are solved one by one between two products.
const solveBlock = 16

// substitute solves Z = L Z + Z₀ in place, L strictly lower triangular with rows ld apart.
func substitute(n, V int, L []float32, ld int, z []float32) {
	for i := 0; i < n; i += solveBlock {
		end := min(i+solveBlock, n)
		if i > 0 {
			gemm.Mul(1, true, false, false, end-i, V, i, L[i*ld:], ld, z, V, z[i*V:], V)
		}
		for t := i + 1; t < end; t++ {
			for s := i; s < t; s++ {
				vec.Axpy(z[t*V:][:V], L[t*ld+s], z[s*V:])
			}
		}
	}
}

// substituteBack solves Z = Lᵀ Z + Z₀ in place.
func substituteBack(n, V int, L []float32, ld int, z []float32) {
	for i := (n - 1) / solveBlock * solveBlock; i >= 0; i -= solveBlock {
		end := min(i+solveBlock, n)
		if end < n {
			gemm.Mul(1, true, true, false, end-i, V, n-end, L[end*ld+i:], ld, z[end*V:], V, z[i*V:], V)
		}
		for t := end - 2; t >= i; t-- {
			for s := t + 1; s < end; s++ {
				vec.Axpy(z[t*V:][:V], L[s*ld+t], z[s*V:])
			}
		}
	}
}

// chunkBack adds the gradients of a chunk of n tokens from t on, whose first
// state is S; g has the places of its first token, and g.D is that of the
// logarithm of the decay.
func (r *recurrent) chunkBack(w *chunkWork, i, t, n int, S []float32, g *rec.MatrixGrads) {
	w.size(r, n, true)
	r.cut(w, i, t, n)
	size := r.rows * r.cols
	if cap(w.states) < len(w.segments)*size {
		w.states = make([]float32, len(w.segments)*size)
	}
	for j := range w.segments { // the state at the start of each
		at := w.states[j*size:][:size]
		if j == 0 {
			copy(at, S)
			continue
		}
		before := w.segments[j-1]
		copy(at, w.states[(j-1)*size:][:size])
		a := r.args(i, before.lo, before.hi-before.lo, at)
		if before.products {
			r.factors(w, i, &a, before.lo, at)
			copy(at, w.end)
		} else {
			a.O = nil
			rec.Matrix(&a)
		}
	}
	for j := len(w.segments) - 1; j >= 0; j-- {
		s := w.segments[j]
		at := w.states[j*size:][:size]
		a := r.args(i, s.lo, s.hi-s.lo, at)
		sg := gradsFrom(g, s.lo-t)
		if s.products {
			r.factors(w, i, &a, s.lo, at)
			r.segmentBack(w, i, &a, s.lo, at, &sg)
		} else {
			r.recurrentBack(i, s.lo, &a, &sg)
		}
	}
}

// gradsFrom are the places of gradients from the x-th token of g on.
func gradsFrom(g *rec.MatrixGrads, x int) rec.MatrixGrads {
	s := *g
	s.O = from(g.O, x*g.OStride)
	s.Q, s.K, s.V = from(g.Q, x*g.QStride), from(g.K, x*g.KStride), from(g.V, x*g.VStride)
	s.A, s.B, s.D = from(g.A, x*g.AStride), from(g.B, x*g.BStride), from(g.D, x*g.DStride)
	return s
}

// recurrentBack is rec.MatrixBackward with the gradient of the logarithm of the decay.
func (r *recurrent) recurrentBack(i, t int, a *rec.MatrixArgs, g *rec.MatrixGrads) {
	rec.MatrixBackward(a, g)
	if g.D == nil {
		return
	}
	for x := range a.T {
		d := r.decays(r.d, i, t+x)
		vec.Mul(g.D[x*g.DStride:][:len(d)], g.D[x*g.DStride:], d)
	}
}

// segmentBack adds the gradients of a segment of products whose factors are at
// hand. With W the gradient of Z before the substitution,
//
//	dX = Pᵀ [dO; W] + R dS̃,   dP = [dO; W] Xᵀ,   dS̃ = e^{c_n} dS
//	dL = dP R + [dO; W] S'ᵀ,  dR = dPᵀ L + X dS̃ᵀ,   dS' = Lᵀ [dO; W] + dS̃
//
// and dc follows from the factors: L dL − R dR, and at the end the rows of dS S.
func (r *recurrent) segmentBack(w *chunkWork, i int, a *rec.MatrixArgs, t int, S []float32, g *rec.MatrixGrads) {
	n, K, V, W := a.T, r.rows, r.cols, r.decayWidth()
	m := n * r.stacked()
	copy(w.dEnd, g.S)
	if W > 0 { // of c_n, before the state is scaled
		clear(w.dc[:n*W])
		last := w.dc[(n-1)*W:][:W]
		for k := range K {
			last[k%W] += vec.Dot(w.dEnd[k*V:][:V], w.end[k*V:])
		}
		vec.Exp(w.e[:W], w.c[(n-1)*W:][:W])
		scaleState(w.dEnd, w.e[:W], V)
	}
	up := w.dValue // [dO; W]
	for x := range n {
		copy(up[x*V:][:V], g.O[x*g.OStride:])
	}
	if a.A != nil {
		z := up[n*V:]
		gemm.Mul(1, false, true, false, n, V, n, w.score[n:], m, up, V, z, V)
		gemm.Mul(1, true, false, false, n, V, K, w.right[n*K:], K, w.dEnd, V, z, V)
		substituteBack(n, V, w.score[n*m+n:], m, z)
	}
	if g.V != nil {
		gemm.Mul(1, true, true, false, n, V, m, w.score, m, up, V, g.V, g.VStride)
		gemm.Mul(1, true, false, false, n, V, K, w.right, K, w.dEnd, V, g.V, g.VStride)
	}
	gemm.Mul(1, false, false, true, m, m, V, up, V, w.value, V, w.dScore, m)
	w.mask(w.dScore, a, n, m)
	gemm.Mul(1, false, false, false, m, K, m, w.dScore, m, w.right, K, w.dLeft, K)
	gemm.Mul(1, true, false, true, m, K, V, up, V, w.start, V, w.dLeft, K)
	gemm.Mul(1, false, true, false, m, K, m, w.dScore, m, w.left, K, w.dRight, K)
	gemm.Mul(1, true, false, true, m, K, V, w.value, V, w.dEnd, V, w.dRight, K)
	copy(w.dStart, w.dEnd)
	gemm.Mul(1, true, true, false, K, V, m, w.left, K, up, V, w.dStart, V)

	// Out of the factors: each row loses its decay again.
	if W > 0 {
		e := w.e[:W]
		for x := range n {
			c, dc := w.c[x*W:][:W], w.dc[x*W:][:W]
			vec.Exp(e, c)
			for _, row := range r.readers(a, x) {
				if row >= 0 {
					addProduct(dc, w.dLeft[row*K:][:K], w.left[row*K:], 1)
					scaleRow(w.dLeft[row*K:][:K], e)
				}
			}
			vec.Scale(e, c, -1)
			vec.Exp(e, e)
			for o := 0; o < m; o += n {
				row := (o + x) * K
				addProduct(dc, w.dRight[row:][:K], w.right[row:], -1)
				scaleRow(w.dRight[row:][:K], e)
			}
		}
	}
	// The first token's reads from before its decay.
	if a.ReadBefore {
		gemm.Mul(1, false, false, true, 1, K, V, up, V, S, V, w.dLeft, K)
	}
	if a.A != nil {
		gemm.Mul(1, false, false, true, 1, K, V, up[n*V:], V, S, V, w.dLeft[n*K:], K)
	}
	for x := range n {
		for _, p := range [...]struct {
			to     []float32
			stride int
			from   []float32
			row    int
		}{{g.Q, g.QStride, w.dLeft, x}, {g.K, g.KStride, w.dRight, x}, {g.A, g.AStride, w.dLeft, n + x}, {g.B, g.BStride, w.dRight, n + x}} {
			if p.to != nil {
				d := p.to[x*p.stride:][:K]
				vec.Add(d, d, p.from[p.row*K:])
			}
		}
	}
	if W > 0 {
		d0 := r.decays(r.d, i, t)
		if g.D != nil {
			dg := w.e[:W]
			clear(dg)
			for x := n - 1; x > 0; x-- { // c_t counts tokens 1…t
				vec.Add(dg, dg, w.dc[x*W:])
				d := g.D[x*g.DStride:][:W]
				vec.Add(d, d, dg)
			}
			for k := range K {
				g.D[k%W] += vec.Dot(w.dStart[k*V:][:V], w.start[k*V:])
			}
		}
		scaleState(w.dStart, d0, V)
	}
	if a.ReadBefore {
		outer(w.dStart, a.Q[:K], up[:V])
	}
	if a.A != nil {
		outer(w.dStart, a.A[:K], up[n*V:][:V])
	}
	copy(g.S, w.dStart)
}

// addProduct adds sign·x⊙y to d, or its sum if d is one number.
func addProduct(d, x, y []float32, sign float32) {
	if len(d) == 1 {
		d[0] += sign * vec.Dot(x, y[:len(x)])
		return
	}
	for k, v := range x {
		d[k] += sign * v * y[k]
	}
}

// outer adds x yᵀ to S.
func outer(S, x, y []float32) {
	for k, v := range x {
		vec.Axpy(S[k*len(y):][:len(y)], v, y)
	}
}
