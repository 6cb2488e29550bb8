package rwkv

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// depths are the two measures of a layer's place that the initialisations
// use: 0 at the first layer to 1 at the last, and 1 to almost 0.
func depths(layer, layers int) (zeroToOne, oneToAlmostZero float64) {
	return float64(layer) / float64(max(layers-1, 1)), 1 - float64(layer)/float64(layers)
}

// ratio is i/(n−1), from 0 to 1.
func ratio(i, n int) float64 { return float64(i) / float64(max(n-1, 1)) }

// index is a tracked vector with f(i) at i; curve one with f(i/n).
func index(n int, f func(i int) float64) *tensor.Tensor {
	t := tensor.New(n)
	for i := range t.Data() {
		t.Data()[i] = float32(f(i))
	}
	return t.Track()
}

func curve(n int, f func(x float64) float64) *tensor.Tensor {
	return index(n, func(i int) float64 { return f(float64(i) / float64(n)) })
}

func linear(w *tensor.Tensor) *nn.Linear { return &nn.Linear{Weight: w} }

func untracked(t *tensor.Tensor) *tensor.Tensor { return t.Untrack() }

// orthogonal is a rows×cols matrix with orthonormal rows or columns, times
// gain, and times √(rows/cols) when it is tall (as torch's and BlinkDL's
// ortho_init); zeros for a nil rng. Gaussian columns G are made orthonormal by
// Cholesky: Q = G R⁻¹ with RᵀR = GᵀG, which needs no tall×tall matrix.
func orthogonal(rng *rand.Rand, rows, cols int, gain float64) *tensor.Tensor {
	t := tensor.New(rows, cols)
	if rng == nil {
		return t.Track()
	}
	if rows > cols {
		gain *= math.Sqrt(float64(rows) / float64(cols))
	}
	tall, wide := max(rows, cols), min(rows, cols)
	g := mat.NewDense(tall, wide, nil)
	g.Apply(func(_, _ int, _ float64) float64 { return rng.NormFloat64() }, g)
	var gram mat.SymDense
	gram.SymOuterK(1, g.T())
	var chol mat.Cholesky
	if !chol.Factorize(&gram) {
		panic("rwkv: a Gaussian matrix without full rank")
	}
	var r mat.TriDense
	chol.UTo(&r)
	var inv mat.TriDense
	if err := inv.InverseTri(&r); err != nil {
		panic("rwkv: " + err.Error())
	}
	var q mat.Dense
	q.Mul(g, &inv)
	for i := range rows {
		for j := range cols {
			a, b := i, j
			if rows < cols {
				a, b = j, i
			}
			t.Data()[i*cols+j] = float32(gain * q.At(a, b))
		}
	}
	return t.Track()
}

// seeded is the generator of a configuration; nil, for zeros, when a checkpoint fills the weights.
func seeded(seed uint64, empty bool) *rand.Rand {
	if empty {
		return nil
	}
	return nn.NewRNG(seed)
}

// uniform is nn.Uniform; zeros for a nil rng.
func uniform(rng *rand.Rand, bound float64, shape ...int) *tensor.Tensor {
	if rng == nil {
		return nn.Full(0, shape...)
	}
	return nn.Uniform(rng, -bound, bound, shape...)
}

// kind names a layer's states by what of its configuration they depend on.
func kind(layer string, sizes ...int) string { return fmt.Sprintf("%s/1 %v", layer, sizes) }
