package scan_test

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

func ExampleMatrix() {
	// Linear attention: the state is Σ k vᵀ, the output its product with q.
	q := tensor.From([]float32{1, 0, 0, 1}, 1, 2, 1, 2)
	k := tensor.From([]float32{1, 1, 0, 1}, 1, 2, 1, 2)
	v := tensor.From([]float32{10, 1}, 1, 2, 1, 1)
	fmt.Println(scan.Matrix(scan.MatrixInput{Q: q, K: k, V: v}, nil).Data())
	// Output: [10 11]
}

// The delta rule writes what a value adds to what its key already reads:
// a = −k, b = k. With the state, a sequence is fed in two pieces; the second
// key is the first one's again, so its value replaces the first.
func ExampleMatrix_deltaRule() {
	st := tensor.NewState("delta", 1).Add("s", tensor.New(1, 1, 2, 1)) // [batch, heads, keys, values]
	step := func(key, value []float32) {
		k := tensor.From(key, 1, 1, 1, 2)
		o := scan.Matrix(scan.MatrixInput{Q: k, K: k, V: tensor.From(value, 1, 1, 1, 1), A: tensor.Neg(k), B: k}, st.Part(0))
		fmt.Println(o.Data(), st.Part(0).Value.Data())
	}
	step([]float32{1, 0}, []float32{5})
	step([]float32{1, 0}, []float32{7})
	// Output:
	// [5] [5 0]
	// [7] [7 0]
}

func ExampleDiagonal() {
	half := tensor.From([]float32{0.5, 0.5, 0.5}, 1, 3, 1)
	one := tensor.From([]float32{1, 1, 1}, 1, 3, 1)
	fmt.Println(scan.Diagonal(half, one, nil).Data())
	// Output: [1 1.5 1.75]
}

// One channel with one state: h ← e^{−dt} h + dt x B, y = C h + D x.
func ExampleSelective() {
	ln2 := float32(math.Ln2)
	x, dt := tensor.From([]float32{1, 0, 0}, 1, 3, 1), tensor.From([]float32{ln2, ln2, ln2}, 1, 3, 1)
	A, D := tensor.From([]float32{-1}, 1, 1), tensor.From([]float32{10}, 1)
	one := tensor.From([]float32{1, 1, 1}, 1, 3, 1)
	fmt.Printf("%.3f\n", scan.Selective(x, dt, A, one, one, D, nil).Data())
	// Output: [10.693 0.347 0.173]
}

// A mode that turns by a quarter with every token, and keeps half.
func ExampleComplexDiagonal() {
	quarter := tensor.From([]float32{0, 0.5}, 2, 1, 1) // i/2
	one := tensor.From([]float32{1, 0}, 2, 1, 1)
	x := tensor.From([]float32{1, 0, 0, 0, 0}, 1, 5, 1)
	fmt.Println(scan.ComplexDiagonal(x, quarter, one, one, nil, nil, nil).Data())
	// Output: [2 0 -0.5 0 0.125]
}

// Averages of values, weighted by e^k and by their age: the state is a sum, its
// weight and the exponent that both are scaled by.
func ExampleWKV4() {
	w, u := tensor.From([]float32{float32(math.Log(0.5))}, 1), tensor.From([]float32{0}, 1)
	k, v := tensor.From([]float32{0, 0, 100}, 1, 3, 1), tensor.From([]float32{4, 1, 9}, 1, 3, 1)
	fmt.Println(scan.WKV4(w, u, k, v, nil, nil, nil).Data())
	// Output: [4 2.5 9]
}
