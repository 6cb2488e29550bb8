package scan

import (
	"fmt"
	"math"
	"slices"

	"github.com/subquad/subquad/tensor"
)

// MatrixInput is what Matrix works on: B sequences of length T, H heads whose
// state has K rows and V columns. Q, K, A, B may have fewer heads, G, than V
// has, if G divides H: head h then reads head ⌊h·G/H⌋. They may be views with gaps.
type MatrixInput struct {
	Q, K *tensor.Tensor // [B, T, G, K]
	V    *tensor.Tensor // [B, T, H, V]

	// LogDecay is the logarithm g of the decay: nil for none, [B, T, H] for one
	// a head, [B, T, H, K] for one a row of the state. It is meant to be ≤ 0;
	// -Inf forgets everything.
	LogDecay *tensor.Tensor

	// LogValueDecay, if not nil, [B, T, H, V], is the logarithm of a decay for
	// each column of the state, on top of LogDecay. There is no Bonus with it.
	LogValueDecay *tensor.Tensor

	// A and B are a correction of rank one to the transition, both nil or both [B, T, G, K].
	A, B *tensor.Tensor

	// Bonus, if not nil, [H, K], makes Matrix read the state before the update,
	// the current token counting with this weight instead (RWKV-5 and 6's u).
	Bonus *tensor.Tensor

	// Scale multiplies the output; 0 means 1.
	Scale float32

	// Mode chooses the algorithm, ChunkSize the tokens per chunk (0 means a
	// good one). Results differ in rounding only.
	Mode      Mode
	ChunkSize int
}

// A Mode is an algorithm of Matrix.
type Mode uint8

const (
	Auto      Mode = iota // the faster for the shape and the machine
	Recurrent             // token by token, the state in registers and first-level cache
	Chunked               // matrix products over chunks of tokens
)

func (m Mode) String() string {
	if int(m) < 3 {
		return [...]string{"auto", "recurrent", "chunked"}[m]
	}
	return fmt.Sprintf("scan.Mode(%d)", uint8(m))
}

// Matrix computes the recurrence with a matrix as state, S [K, V] for each head,
//
//	S_t = diag(e^{g_t}) S_{t−1} + b_t (a_tᵀ S_{t−1}) + k_t v_tᵀ
//	o_t = Scale · S_tᵀ q_t
//
// or, with a Bonus u, o_t = Scale · (S_{t−1} + diag(u) k_t v_tᵀ)ᵀ q_t, and returns
// o [B, T, H, V]. Note that a reads the state before the decay: the delta rule
// S ← e^g S; S ← S + β k (v − Sᵀk)ᵀ is a = −e^g k, b = β k with β k for K. The
// state in st is [B, H, K, V].
//
// With a LogValueDecay f the first two terms of S_t are multiplied by diag(e^{f_t})
// from the right: each column forgets at a rate of its own.
//
// It panics with a *tensor.ShapeError when shapes do not fit.
func Matrix(p MatrixInput, st *tensor.Part) *tensor.Tensor {
	const op = "scan.Matrix"
	m := newMatrix(op, &p)
	var shape [4]int
	copy(shape[:], p.V.Shape())
	o := tensor.Out(op, shape[:], p.Q, p.K, p.V, p.LogDecay, p.LogValueDecay, p.A, p.B, p.Bonus)
	s := o.Scope()
	before, after := st.Begin(s, op, m.batch, m.heads, m.rows, m.cols)
	if o.IsFloat64() {
		matrixPlain(&m, &p, o, after)
		st.End(after)
		return o
	}
	m.forward(s, &p, o, after, before)
	st.End(after)
	return o
}

// matrix is the shape of one call.
type matrix struct {
	batch, length, heads, rows, cols int // B, T, H, K, V
	vector                           bool
	scale                            float32
}

func newMatrix(op string, p *MatrixInput) matrix {
	tensor.Check(op, "V", p.V, -1, -1, -1, -1)
	tensor.Check(op, "Q", p.Q, p.V.Dim(0), p.V.Dim(1), -1, -1)
	m := matrix{batch: p.V.Dim(0), length: p.V.Dim(1), heads: p.V.Dim(2), rows: p.Q.Dim(3), cols: p.V.Dim(3), scale: p.Scale}
	if m.scale == 0 {
		m.scale = 1
	}
	m.checkKeys(op, "Q", p.Q)
	m.checkKeys(op, "K", p.K)
	if p.A != nil || p.B != nil {
		m.checkKeys(op, "A", p.A)
		m.checkKeys(op, "B", p.B)
	}
	for i, t := range [...]*tensor.Tensor{p.Q, p.A, p.B} {
		if t != nil && t.Dim(2) != p.K.Dim(2) {
			panic(&tensor.ShapeError{Op: op, Arg: [...]string{"Q", "A", "B"}[i], Got: slices.Clone(t.Shape()), Want: fmt.Sprintf("as many heads as K has, %d", p.K.Dim(2))})
		}
	}
	if g := p.LogDecay; g != nil {
		if m.vector = g.Rank() == 4; m.vector {
			tensor.Check(op, "LogDecay", g, m.batch, m.length, m.heads, m.rows)
		} else {
			tensor.Check(op, "LogDecay", g, m.batch, m.length, m.heads)
		}
	}
	if f := p.LogValueDecay; f != nil {
		tensor.Check(op, "LogValueDecay", f, m.batch, m.length, m.heads, m.cols)
		if p.Bonus != nil {
			panic(&tensor.ShapeError{Op: op, Arg: "LogValueDecay", Got: slices.Clone(f.Shape()), Want: "none beside a Bonus"})
		}
	}
	if p.Bonus != nil {
		tensor.Check(op, "Bonus", p.Bonus, m.heads, m.rows)
	}
	if p.ChunkSize < 0 || p.Mode > Chunked {
		panic(&tensor.ShapeError{Op: op, Arg: "ChunkSize, Mode", Got: []int{p.ChunkSize, int(p.Mode)}, Want: "a size ≥ 0 and a mode that exists"})
	}
	return m
}

func (m *matrix) checkKeys(op, arg string, t *tensor.Tensor) {
	tensor.Check(op, arg, t, m.batch, m.length, -1, m.rows)
	if g := t.Dim(2); m.heads > 0 && (g == 0 || m.heads%g != 0) {
		panic(&tensor.ShapeError{Op: op, Arg: arg, Got: slices.Clone(t.Shape()), Want: fmt.Sprintf("a number of heads that divides V's %d", m.heads)})
	}
}

// matrixPlain is the recurrence as it is written, in float64.
func matrixPlain(m *matrix, p *MatrixInput, o, state *tensor.Tensor) {
	T, H, K, V := m.length, m.heads, m.rows, m.cols
	v, out, S := p.V.Values64(), make([]float64, o.Len()), state.Values64()
	q, k := keys64(p.Q), keys64(p.K)
	a, b := keys64(p.A), keys64(p.B)
	var g, f, u []float64
	if p.LogValueDecay != nil {
		f = p.LogValueDecay.Values64()
	}
	if p.LogDecay != nil {
		g = p.LogDecay.Values64()
	}
	if p.Bonus != nil {
		u = p.Bonus.Values64()
	}
	old, read := make([]float64, K*V), make([]float64, V)
	for i := range m.batch * H {
		n, h := i/H, i%H
		S := S[i*K*V:][:K*V]
		for t := range T {
			x := (n*T+t)*H + h // this token and head
			q, k, v, o := q.at(n, t, T, h, H), k.at(n, t, T, h, H), v[x*V:][:V], out[x*V:][:V]
			copy(old, S)
			clear(read) // aᵀ S
			if a.values != nil {
				a := a.at(n, t, T, h, H)
				for r := range K {
					for c := range V {
						read[c] += a[r] * old[r*V+c]
					}
				}
			}
			for r := range K {
				d := 1.0
				if m.vector {
					d = math.Exp(g[x*K+r])
				} else if g != nil {
					d = math.Exp(g[x])
				}
				for c := range V {
					e := 1.0
					if f != nil {
						e = math.Exp(f[x*V+c])
					}
					S[r*V+c] = k[r] * v[c]
					if d*e != 0 { // forgets infinities as well
						S[r*V+c] += d * e * old[r*V+c]
					}
					if b.values != nil && e != 0 {
						S[r*V+c] += b.at(n, t, T, h, H)[r] * e * read[c]
					}
				}
			}
			for c := range V {
				sum := 0.0
				for r := range K {
					s := S[r*V+c]
					if u != nil {
						s = old[r*V+c] + u[h*K+r]*k[r]*v[c]
					}
					sum += s * q[r]
				}
				o[c] = float64(m.scale) * sum
			}
		}
	}
	o.SetValues64(out)
	state.SetValues64(S)
}

// keyed is a tensor [B, T, G, K] of which several heads may read one.
type keyed struct {
	values     []float64
	heads, dim int
}

func keys64(t *tensor.Tensor) keyed {
	if t == nil {
		return keyed{}
	}
	return keyed{t.Values64(), t.Dim(2), t.Dim(3)}
}

func (k keyed) at(n, t, T, h, H int) []float64 {
	return k.values[((n*T+t)*k.heads+h*k.heads/H)*k.dim:][:k.dim]
}
