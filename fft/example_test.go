package fft_test

import (
	"fmt"

	"github.com/subquad/subquad/fft"
	"github.com/subquad/subquad/tensor"
)

// A long input in two pieces, with a kernel of three taps.
func ExampleCausalConv() {
	k := tensor.From([]float32{1, 0.5, 0.25}, 3, 1)
	st := fft.NewConvState(1, 3, 1)
	fmt.Println(fft.CausalConv(tensor.From([]float32{4, 0}, 1, 2, 1), k, st).Data())
	fmt.Println(fft.CausalConv(tensor.From([]float32{0, 8}, 1, 2, 1), k, st).Data())
	// Output:
	// [4 2]
	// [1 8]
}

// One sample at a time, exact, at a cost that grows with the square of the logarithm of the taps.
func ExampleOnline() {
	o, err := fft.NewOnline([]float32{1, 0.5, 0.25}, 3, 1)
	if err != nil {
		panic(err)
	}
	st := o.NewState(1)
	for _, u := range []float32{4, 0, 0, 8} {
		fmt.Print(o.Forward(tensor.From([]float32{u}, 1, 1, 1), st).Data(), " ")
	}
	// Output: [4] [2] [1] [8]
}

func ExamplePlan() {
	p, err := fft.NewPlan(4)
	if err != nil {
		panic(err)
	}
	re, im := []float32{1, 2, 3, 4}, make([]float32, 4)
	p.Forward(re, im, 1)
	fmt.Println(re, im)
	// Output: [10 -2 -2 -2] [0 2 0 -2]
}
