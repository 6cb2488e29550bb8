package tensor

import "github.com/subquad/subquad/internal/kernel/gemm"

// LinearOptions say what Linear does to its product. What is nil is left out.
type LinearOptions struct {
	Bias     *Tensor // [n], added to each row
	Map      Map     // applied then
	Gate     *Tensor // of the result's shape, multiplied then
	Residual *Tensor // of the result's shape, added at last
}

// A Map is an elementwise function that Linear can apply.
type Map uint8

const (
	Identity Map = iota
	MapSiLU
	MapSigmoid
	MapSoftplus
	MapTanh
	MapGELU
	MapGELUTanh
	MapReLU2
)

var maps = [...]*unary{nil, &opSiLU, &opSigmoid, &opSoftplus, &opTanh, &opGELU, &opGELUTanh, &opReLU2}

// Linear is Map(x·wᵀ + Bias) ⊙ Gate + Residual for a weight w [n, k] of any type, as
// MatMulT has it. In inference all that comes after the product is done where it is
// stored, block by block in the cache: the values are those of the operators one by one.
func Linear(x, w *Tensor, o LinearOptions) *Tensor {
	const op = "Linear"
	if o.Bias != nil {
		Check(op, "Bias", o.Bias, w.Dim(0))
	}
	for _, t := range [...]*Tensor{o.Gate, o.Residual} {
		if t != nil {
			checkLike(op, t, x, w.Dim(0))
		}
	}
	s := ScopeOf(op, x, w, o.Bias, o.Gate, o.Residual)
	if s.Recording() || s.IsFloat64() || s != x.scope || w.rank != 2 || w.shape[1] == 0 {
		return linearSteps(x, w, o)
	}
	var after gemm.After
	if o.Bias != nil {
		after.Bias = o.Bias.Data()
	}
	if o.Map != Identity {
		after.Map = maps[o.Map].fast
	}
	if o.Gate != nil {
		after.Gate, _, _, after.LdGate, _ = Compact(o.Gate).Rows()
	}
	if o.Residual != nil {
		after.Add, _, _, after.LdAdd, _ = Compact(o.Residual).Rows()
	}
	return matmul(op, x, w, true, after)
}

// linearSteps is Linear by its operators.
func linearSteps(x, w *Tensor, o LinearOptions) *Tensor {
	y := MatMulT(x, w)
	if o.Bias != nil {
		y = Add(y, o.Bias)
	}
	if o.Map != Identity {
		y = apply(maps[o.Map], y)
	}
	if o.Gate != nil {
		y = Mul(y, o.Gate)
	}
	if o.Residual != nil {
		y = Add(y, o.Residual)
	}
	return y
}

// checkLike panics unless t has the shape of x but for a last axis of n.
func checkLike(op string, t, x *Tensor, n int) {
	want := x.shape
	want[x.rank-1] = n
	Check(op, "Gate, Residual", t, want[:x.rank]...)
}
