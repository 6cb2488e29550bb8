package scan_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/internal/hwtest"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

type noise struct{ *rand.Rand }

func (r noise) normal(scale float64, shape ...int) *tensor.Tensor {
	t := tensor.New(shape...)
	for i := range t.Data() {
		t.Data()[i] = float32(scale * r.NormFloat64())
	}
	return t.Track()
}

func (r noise) uniform(lo, hi float64, shape ...int) *tensor.Tensor {
	t := tensor.New(shape...)
	for i := range t.Data() {
		t.Data()[i] = float32(lo + (hi-lo)*r.Float64())
	}
	return t.Track()
}

var eachLevel = hwtest.Levels

// variant is a kind of matrix-state recurrence.
type variant struct {
	name                 string
	decay                float64 // smallest log decay; 0 for none
	vector, rank1, bonus bool
	columns              float64 // smallest log decay of columns; 0 for none
	groups               int
	mode                 scan.Mode
	chunk                int
}

var variants = []variant{
	{name: "linear"},
	{name: "grouped", groups: 1},
	{name: "retention", decay: -0.5},
	{name: "gla", decay: -2, vector: true},
	{name: "gla strong", decay: -300, vector: true},
	{name: "rwkv6", decay: -3, vector: true, bonus: true},
	{name: "delta", rank1: true},
	{name: "gated delta", decay: -1, rank1: true},
	{name: "rwkv7", decay: -0.6, vector: true, rank1: true},
	{name: "forgetful", decay: -1e4, rank1: true},
	{name: "nearly kept", decay: -1e-6, vector: true, rank1: true},
	{name: "slots", columns: -0.5},
	{name: "strong slots", columns: -50, groups: 1},
	{name: "rows and columns", decay: -1, vector: true, rank1: true, columns: -3},
	{name: "rwkv7 strong", decay: -100, vector: true, rank1: true, groups: 1},
}

const B, H, K, V = 2, 2, 5, 7

// input makes the leaves of a variant and the call that uses them in a scope.
func (v variant) input(r noise, T int) (leaves []*tensor.Tensor, call func(s *tensor.Scope, st *tensor.Part, lo, hi int) *tensor.Tensor) {
	G := H
	if v.groups > 0 {
		G = v.groups
	}
	q, k, val := r.normal(1, B, T, G, K), r.normal(0.5, B, T, G, K), r.normal(1, B, T, H, V)
	leaves = []*tensor.Tensor{q, k, val}
	var g, f, a, b, u *tensor.Tensor
	if v.columns != 0 {
		f = r.uniform(v.columns, 0, B, T, H, V)
		leaves = append(leaves, f)
	}
	if v.decay != 0 {
		shape := []int{B, T, H}
		if v.vector {
			shape = append(shape, K)
		}
		g = r.uniform(v.decay, 0, shape...)
		leaves = append(leaves, g)
	}
	if v.rank1 {
		a, b = r.normal(0.3, B, T, G, K), r.normal(0.3, B, T, G, K)
		leaves = append(leaves, a, b)
	}
	if v.bonus {
		u = r.normal(1, H, K)
		leaves = append(leaves, u)
	}
	return leaves, func(s *tensor.Scope, st *tensor.Part, lo, hi int) *tensor.Tensor {
		cut := func(t *tensor.Tensor) *tensor.Tensor {
			if t == nil {
				return nil
			}
			return tensor.Enter(s, t).Narrow(1, lo, hi)
		}
		in := scan.MatrixInput{Q: cut(q), K: cut(k), V: cut(val), LogDecay: cut(g), LogValueDecay: cut(f), A: cut(a), B: cut(b), Scale: 0.5, Mode: v.mode, ChunkSize: v.chunk}
		if u != nil {
			in.Bonus = tensor.Enter(s, u)
		}
		return scan.Matrix(in, st)
	}
}

func TestMatrixAgainstPlainForm(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, v := range variants {
			for _, T := range []int{0, 1, 2, 3, 16, 63, 64, 65, 130} {
				_, call := v.input(noise{rand.New(rand.NewPCG(1, uint64(T)))}, T)
				gradcheck.Forward(t, fmt.Sprintf("%s T=%d", v.name, T), func(s *tensor.Scope) *tensor.Tensor { return call(s, nil, 0, T) }, 5e-6)
			}
		}
	})
}

func TestMatrixGradients(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, v := range variants {
			r := noise{rand.New(rand.NewPCG(2, 2))}
			leaves, call := v.input(r, 6)
			s0 := r.normal(1, B, H, K, V)
			gradcheck.Check(t, v.name, append(leaves, s0), func(s *tensor.Scope) *tensor.Tensor {
				st := tensor.NewState("test", B).Add("s", tensor.New(B, H, K, V))
				st.Part(0).Write(tensor.Enter(s, s0))
				y := call(s, st.Part(0), 0, 4)
				z := call(s, st.Part(0), 4, 6) // through the state of the first piece
				return tensor.Concat(0, tensor.Concat(1, y, z).Reshape(-1), st.Part(0).Read(s).Reshape(-1))
			}, 2e-5)
		}
	})
}

func TestMatrixInPieces(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, v := range variants {
			r := noise{rand.New(rand.NewPCG(3, 3))}
			const T = 150
			_, call := v.input(r, T)
			state := func() *tensor.Part {
				return tensor.NewState("test", B).Add("s", noise{rand.New(rand.NewPCG(4, 4))}.normal(1, B, H, K, V)).Part(0)
			}
			s := tensor.NewScope()
			whole, pieces := state(), state()
			want := call(s, whole, 0, T)
			var parts []*tensor.Tensor
			for lo := 0; lo < T; {
				hi := min(T, lo+1+r.IntN(70))
				parts = append(parts, call(s, pieces, lo, hi))
				lo = hi
			}
			if e := gradcheck.Difference(tensor.Concat(1, parts...).Float64s(), want.Float64s()); !(e <= 1e-6) {
				t.Errorf("%s: outputs in pieces differ by %.2g", v.name, e)
			}
			if e := gradcheck.Difference(pieces.Value.Float64s(), whole.Value.Float64s()); !(e <= 1e-6) {
				t.Errorf("%s: final states differ by %.2g", v.name, e)
			}
		}
	})
}

// A log decay of −Inf forgets everything.
func TestMatrixForgets(t *testing.T) {
	inf := float32(math.Inf(1))
	st := tensor.NewState("test", 1).Add("s", tensor.From([]float32{1e30, 5}, 1, 1, 2, 1)).Part(0)
	one := tensor.From([]float32{1, 1}, 1, 1, 1, 2)
	y := scan.Matrix(scan.MatrixInput{Q: one, K: one, V: tensor.From([]float32{3}, 1, 1, 1, 1),
		LogDecay: tensor.From([]float32{-inf, -inf}, 1, 1, 1, 2)}, st)
	if y.At(0, 0, 0, 0) != 6 {
		t.Errorf("output %v, want 6", y.At(0, 0, 0, 0))
	}
}

// The other recurrences, with their gradients, through a state cut in two.
func TestOthers(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := noise{rand.New(rand.NewPCG(5, 5))}
		const T, C, N = 7, 6, 4
		x, dt, D := r.normal(1, B, T, C), r.uniform(0.1, 1, B, T, C), r.normal(1, C)
		A, bm, cm := r.uniform(-2, -0.1, C, N), r.normal(1, B, T, 2, N), r.normal(1, B, T, 2, N)
		h0 := r.normal(1, B, N, C)
		twice := func(s *tensor.Scope, parts []*tensor.Part, step func(cut func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
			at := func(lo, hi int) *tensor.Tensor {
				return step(func(t *tensor.Tensor) *tensor.Tensor { return tensor.Enter(s, t).Narrow(1, lo, hi) })
			}
			all := []*tensor.Tensor{tensor.Concat(1, at(0, 3), at(3, T)).Reshape(-1)}
			for _, p := range parts {
				all = append(all, p.Read(s).Reshape(-1))
			}
			return tensor.Concat(0, all...)
		}
		part := func(s *tensor.Scope, v *tensor.Tensor) *tensor.Part {
			p := tensor.NewState("test", B).Add("s", tensor.New(v.Shape()...)).Part(0)
			p.Write(tensor.Enter(s, v))
			return p
		}
		both := func(name string, leaves []*tensor.Tensor, f gradcheck.Func) {
			gradcheck.Forward(t, name, f, 2e-6)
			gradcheck.Check(t, name, leaves, f, 2e-5)
		}
		both("Selective", []*tensor.Tensor{x, dt, A, bm, cm, D, h0}, func(s *tensor.Scope) *tensor.Tensor {
			p := part(s, h0)
			return twice(s, []*tensor.Part{p}, func(cut func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
				return scan.Selective(cut(x), cut(dt), tensor.Enter(s, A), cut(bm), cut(cm), tensor.Enter(s, D), p)
			})
		})
		logA := r.normal(1, A.Shape()...)
		both("SelectiveLog", []*tensor.Tensor{x, dt, logA, bm, cm, D, h0}, func(s *tensor.Scope) *tensor.Tensor {
			p := part(s, h0)
			return twice(s, []*tensor.Part{p}, func(cut func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
				return scan.SelectiveLog(cut(x), cut(dt), tensor.Enter(s, logA), cut(bm), cut(cm), tensor.Enter(s, D), p)
			})
		})
		s := tensor.NewScope()
		one := func(t *tensor.Tensor) *tensor.Tensor { return tensor.Enter(s, t).Narrow(0, 0, 1) }
		for _, largest := range []float32{2, 27.5, 27.7, 60, 90} { // about the bound of A, and beyond float32
			logA.Data()[3] = largest
			log := scan.SelectiveLog(one(x), one(dt), logA, one(bm), one(cm), D, nil).Data()
			if want := scan.Selective(one(x), one(dt), tensor.Neg(tensor.Exp(logA)), one(bm), one(cm), D, nil).Data(); !slices.Equal(log, want) {
				t.Errorf("SelectiveLog of one sequence, largest %v: %v, want %v", largest, log, want)
			}
		}
		a, s0 := r.uniform(-1, 1, B, T, C), r.normal(1, B, C)
		both("Diagonal", []*tensor.Tensor{a, x, s0}, func(s *tensor.Scope) *tensor.Tensor {
			p := part(s, s0)
			return twice(s, []*tensor.Part{p}, func(cut func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
				return scan.Diagonal(cut(a), cut(x), p)
			})
		})
		w, u, k := r.uniform(-2, -0.1, C), r.normal(1, C), r.normal(2, B, T, C)
		n0, d0 := r.normal(1, B, C), r.uniform(0.5, 2, B, C)
		both("WKV4", []*tensor.Tensor{w, u, k, x, n0, d0}, func(s *tensor.Scope) *tensor.Tensor {
			pn, pd, pt := part(s, n0), part(s, d0), part(s, tensor.New(B, C))
			y := twice(s, nil, func(cut func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
				return scan.WKV4(tensor.Enter(s, w), tensor.Enter(s, u), cut(k), cut(x), pn, pd, pt)
			})
			// The final sums themselves, without their shift.
			e := tensor.Exp(pt.Read(s))
			return tensor.Concat(0, y, tensor.Div(pn.Read(s), pd.Read(s)).Reshape(-1), tensor.Scale(e, 0).Reshape(-1))
		})
		ab, bb, cc := r.uniform(-0.7, 0.7, 2, N, C), r.normal(1, 2, N, C), r.normal(1, 2, N, C)
		re0, im0 := r.normal(1, B, N, C), r.normal(1, B, N, C)
		both("ComplexDiagonal", []*tensor.Tensor{x, ab, bb, cc, D, re0, im0}, func(s *tensor.Scope) *tensor.Tensor {
			re, im := part(s, re0), part(s, im0)
			return twice(s, []*tensor.Part{re, im}, func(cut func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
				return scan.ComplexDiagonal(cut(x), tensor.Enter(s, ab), tensor.Enter(s, bb), tensor.Enter(s, cc), tensor.Enter(s, D), re, im)
			})
		})
	})
}

func TestMisuse(t *testing.T) {
	x := tensor.New(1, 2, 3, 4)
	for name, f := range map[string]func(){
		"heads": func() { scan.Matrix(scan.MatrixInput{Q: tensor.New(1, 2, 2, 4), K: x, V: x}, nil) },
		"groups of Q": func() {
			scan.Matrix(scan.MatrixInput{Q: x, K: tensor.New(1, 2, 1, 4), V: x}, nil)
		},
		"length": func() { scan.Matrix(scan.MatrixInput{Q: x, K: tensor.New(1, 3, 3, 4), V: x}, nil) },
		"decay":  func() { scan.Matrix(scan.MatrixInput{Q: x, K: x, V: x, LogDecay: tensor.New(1, 2, 2)}, nil) },
		"half":   func() { scan.Matrix(scan.MatrixInput{Q: x, K: x, V: x, A: x}, nil) },
		"state": func() {
			scan.Diagonal(tensor.New(1, 2, 3), tensor.New(1, 2, 3), tensor.NewState("", 1).Add("h", tensor.New(1, 4)).Part(0))
		},
		"groups": func() {
			scan.Selective(tensor.New(1, 2, 4), tensor.New(1, 2, 4), tensor.New(4, 2), tensor.New(1, 2, 3, 2), tensor.New(1, 2, 3, 2), nil, nil)
		},
		"complex": func() {
			scan.ComplexDiagonal(tensor.New(1, 2, 4), tensor.New(1, 2, 4), tensor.New(2, 2, 4), tensor.New(2, 2, 4), nil, nil, nil)
		},
	} {
		func() {
			defer func() {
				if _, ok := recover().(*tensor.ShapeError); !ok {
					t.Errorf("%s: no *tensor.ShapeError", name)
				}
			}()
			f()
		}()
	}
}
