package scan

import (
	"sync"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/rec"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/tensor"
)

// matrixChunk is the number of tokens of a chunk, and between the states that a
// recording keeps; those between are computed again in the gradient.
const matrixChunk = 64

// choose takes the algorithm. Forward, products are nowhere faster than tokens: on a
// Xeon with AVX-512 they take 2 to 3.5 times as long at 64×64, 1.2 times at
// 256×256 and between 1 and 1.3 at 512×512, with AVX2 much the same. Gradients
// are another matter: 2–5 ns an element and token against 0.15–1, from segments
// of shortSegment tokens on.
func (r *recurrent) choose(p *MatrixInput, recording bool) {
	r.size = matrixChunk
	if p.ChunkSize > 0 {
		r.size = min(p.ChunkSize, max(r.length, 1))
	}
	switch p.Mode {
	case Chunked:
		r.products, r.back = true, true
	case Auto:
		r.back = r.length >= shortSegment
	}
	if !r.products && !recording {
		r.size = max(r.length, 1)
	}
}

// recurrent is one call of Matrix in its recurrent form: operands contiguous,
// decays as such and not as logarithms.
type recurrent struct {
	matrix
	q, k, v, a, b, d, g, u, o, state []float32 // d is e^g
	groups                           int       // heads of q, k, a and b
	starts                           []float32
	size                             int  // tokens of a chunk
	products, back                   bool // chunks as matrix products, forward and for the gradient

	// Where columns decay: their logarithms and the sums of those, V as it was
	// given (v is then scaled), and a row of scratch for each unit.
	f, c, values, e []float32
}

func (m *matrix) forward(s *tensor.Scope, p *MatrixInput, o, after, before *tensor.Tensor) {
	in := MatrixInput{Q: compact(p.Q), K: compact(p.K), V: compact(p.V), LogDecay: compact(p.LogDecay), LogValueDecay: compact(p.LogValueDecay),
		A: compact(p.A), B: compact(p.B), Bonus: compact(p.Bonus)}
	r := recurrent{matrix: *m, q: in.Q.Data(), k: in.K.Data(), v: in.V.Data(), o: o.Data(), state: after.Data(), groups: in.K.Dim(2)}
	if in.A != nil {
		r.a, r.b = in.A.Data(), in.B.Data()
	}
	if in.Bonus != nil {
		r.u = in.Bonus.Data()
	}
	if in.LogDecay != nil {
		r.d, r.g = s.Floats(in.LogDecay.Len()), in.LogDecay.Data()
		vec.Exp(r.d, r.g)
	}
	if f := in.LogValueDecay; f != nil {
		r.f, r.values = f.Data(), r.v
		r.c, r.v, r.e = s.Floats(f.Len()), s.Floats(f.Len()), s.Floats(m.batch*m.heads*m.cols)
	}
	r.choose(p, o.Recording())
	if o.Recording() {
		r.starts = s.Floats(r.chunks() * len(r.state))
	}
	units := m.batch * m.heads
	if tasks := hw.Tasks(s.Workers(), units, 0.1*float64(m.length*m.rows*m.cols)); tasks > 1 {
		r.parallel(s.Workers(), units)
	} else {
		for i := range units {
			r.unit(i)
		}
	}
	if o.Recording() {
		c, inputs, workers := r, in, s.Workers()
		tensor.OnBackward(func() { c.backward(workers, &inputs, o, before, after) }, o, after)
	}
}

// compact is tensor.Contiguous for an operand that may be nil.
func compact(t *tensor.Tensor) *tensor.Tensor {
	if t == nil {
		return nil
	}
	return tensor.Contiguous(t)
}

func (r *recurrent) chunks() int { return (r.length + r.size - 1) / r.size }

func (r *recurrent) parallel(workers, units int) {
	c := *r
	hw.Parallel(workers, units, func(i int) { c.unit(i) })
}

// args are those of unit i, a sequence and a head, for n tokens from t on.
func (r *recurrent) args(i, t, n int, state []float32) rec.MatrixArgs {
	b, h := i/r.heads, i%r.heads
	g := h * r.groups / r.heads
	key := ((b*r.length+t)*r.groups + g) * r.rows
	val := ((b*r.length+t)*r.heads + h) * r.cols
	a := rec.MatrixArgs{T: n, K: r.rows, V: r.cols, S: state,
		Q: r.q[key:], Kk: r.k[key:], Vv: r.v[val:], O: r.o[val:],
		QStride: r.groups * r.rows, KStride: r.groups * r.rows, VStride: r.heads * r.cols, OStride: r.heads * r.cols,
		A: from(r.a, key), B: from(r.b, key), AStride: r.groups * r.rows, BStride: r.groups * r.rows,
		ReadBefore: r.u != nil}
	if r.d != nil && r.vector {
		a.D, a.DStride = r.d[((b*r.length+t)*r.heads+h)*r.rows:], r.heads*r.rows
	} else if r.d != nil {
		a.D, a.DStride, a.DScalar = r.d[(b*r.length+t)*r.heads+h:], r.heads, true
	}
	return a
}

func (r *recurrent) unit(i int) {
	size := r.rows * r.cols
	if r.length == 0 || size == 0 {
		return
	}
	S := r.state[i*size:][:size]
	var w *chunkWork
	if r.products {
		w = chunkWorks.Get().(*chunkWork)
		defer chunkWorks.Put(w)
	}
	for t := 0; t < r.length; t += r.size {
		if r.starts != nil {
			copy(r.starts[(t/r.size*r.batch*r.heads+i)*size:][:size], S)
		}
		n := min(r.size, r.length-t)
		if r.f != nil {
			r.valuePieces(w, i, t, n, S)
		} else {
			r.piece(w, i, t, n, S)
		}
	}
}

// piece advances the state S of unit i over n tokens from t on, and writes their outputs.
func (r *recurrent) piece(w *chunkWork, i, t, n int, S []float32) {
	if r.products {
		r.chunk(w, i, t, n, S)
		return
	}
	a := r.args(i, t, n, S)
	rec.Matrix(&a)
	r.finish(i, &a)
}

// pieceBack adds the gradients of a's tokens, of which t is the first.
func (r *recurrent) pieceBack(w *chunkWork, i, t int, a *rec.MatrixArgs, g *rec.MatrixGrads) {
	if r.back {
		r.chunkBack(w, i, t, a.T, a.S, g)
	} else {
		r.recurrentBack(i, t, a, g)
	}
}

// bonusLocal is the most rows whose bonus is found with vectors.
const bonusLocal = 256

// finish adds the bonus to the outputs of a's tokens and scales them.
func (r *recurrent) finish(i int, a *rec.MatrixArgs) {
	if r.u == nil && r.scale == 1 {
		return
	}
	var qu [bonusLocal]float32
	for n := range a.T {
		o := a.O[n*a.OStride:][:r.cols]
		switch {
		case r.u != nil && r.rows <= bonusLocal:
			vec.Mul(qu[:r.rows], a.Q[n*a.QStride:], r.u[i%r.heads*r.rows:])
			vec.Axpy(o, vec.Dot(qu[:r.rows], a.Kk[n*a.KStride:]), a.Vv[n*a.VStride:])
		case r.u != nil:
			vec.Axpy(o, r.bonus(i, a, n), a.Vv[n*a.VStride:])
		}
		if r.scale != 1 {
			vec.Scale(o, o, r.scale)
		}
	}
}

// bonus is Σ q u k of token n of args: the weight of the token's own value.
func (r *recurrent) bonus(i int, a *rec.MatrixArgs, n int) float32 {
	q, k, u := a.Q[n*a.QStride:][:r.rows], a.Kk[n*a.KStride:][:r.rows], r.u[i%r.heads*r.rows:][:r.rows]
	s := float32(0)
	for j, x := range q {
		s += x * u[j] * k[j]
	}
	return s
}

var matrixScratch = sync.Pool{New: func() any { return new([]float32) }}

func (r *recurrent) backward(workers int, p *MatrixInput, o, before, after *tensor.Tensor) {
	B, T, H, K, V := r.batch, r.length, r.heads, r.rows, r.cols
	size, units := K*V, B*H
	dS := make([]float32, units*size)
	if after.HasGrad() {
		copy(dS, after.Grad().Data())
	}
	do := append([]float32(nil), o.Grad().Data()...)
	if r.scale != 1 {
		vec.Scale(do, do, r.scale)
	}
	// Heads that share a key have gradients of their own, added up in order afterwards.
	wide := func(t *tensor.Tensor) []float32 {
		if !t.NeedsGrad() {
			return nil
		}
		return make([]float32, B*T*H*K)
	}
	dq, dk, da, db := wide(p.Q), wide(p.K), wide(p.A), wide(p.B)
	dv := gradOf(p.V)
	var dd []float32
	if p.LogDecay.NeedsGrad() {
		dd = make([]float32, len(r.d))
	}
	var du []float32
	if p.Bonus.NeedsGrad() {
		du = make([]float32, B*H*K)
	}
	vg := valueGrads{o: o.Grad().Data(), v: dv, f: gradOf(p.LogValueDecay)}
	if T > 0 && size > 0 {
		hw.Parallel(workers, units, func(i int) {
			mem := matrixScratch.Get().(*[]float32)
			defer matrixScratch.Put(mem)
			if n := rec.MatrixScratch(r.size, K, V); len(*mem) < n {
				*mem = make([]float32, n)
			}
			w := chunkWorks.Get().(*chunkWork)
			defer chunkWorks.Put(w)
			b, h := i/H, i%H
			for c := r.chunks() - 1; c >= 0; c-- {
				t := c * r.size
				a := r.args(i, t, min(r.size, T-t), r.starts[(c*units+i)*size:][:size])
				row := (b*T+t)*H + h
				g := rec.MatrixGrads{O: do[row*V:], S: dS[i*size:][:size],
					Q: from(dq, row*K), K: from(dk, row*K), A: from(da, row*K), B: from(db, row*K), V: from(dv, row*V),
					QStride: H * K, KStride: H * K, AStride: H * K, BStride: H * K, VStride: H * V, OStride: H * V,
					Scratch: *mem}
				if dd != nil && r.vector {
					g.D, g.DStride = dd[row*K:], H*K
				} else if dd != nil {
					g.D, g.DStride = dd[row:], H
				}
				if r.f != nil {
					next := r.state[i*size:][:size]
					if c+1 < r.chunks() {
						next = r.starts[((c+1)*units+i)*size:][:size]
					}
					r.valueBack(w, i, t, a.T, a.S, next, &g, &vg)
				} else {
					r.pieceBack(w, i, t, &a, &g)
				}
				if r.u == nil {
					continue
				}
				u := r.u[h*K:][:K]
				for n := range a.T {
					q, k, v, d := a.Q[n*a.QStride:][:K], a.Kk[n*a.KStride:][:K], a.Vv[n*a.VStride:][:V], do[(row+n*H)*V:][:V]
					dc := vec.Dot(d, v)
					if dv != nil {
						vec.Axpy(dv[(row+n*H)*V:][:V], r.bonus(i, &a, n), d)
					}
					for j := range K {
						if dq != nil {
							dq[(row+n*H)*K+j] += dc * u[j] * k[j]
						}
						if dk != nil {
							dk[(row+n*H)*K+j] += dc * u[j] * q[j]
						}
						if du != nil {
							du[i*K+j] += dc * q[j] * k[j]
						}
					}
				}
			}
		})
	}
	narrow := func(t *tensor.Tensor, w []float32) {
		g := gradOf(t)
		if len(g) == 0 {
			return
		}
		for x := range B * T {
			for h := range H {
				addAll(g[(x*r.groups+h*r.groups/H)*K:][:K], w[(x*H+h)*K:])
			}
		}
	}
	narrow(p.Q, dq)
	narrow(p.K, dk)
	narrow(p.A, da)
	narrow(p.B, db)
	addAll(gradOf(p.LogDecay), dd)
	sumBatch(gradOf(p.Bonus), du)
	addAll(gradOf(before), dS)
}
