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

// Gates before and after the convolution, and a way around it.
func ExampleGatedConv() {
	u := tensor.From([]float32{4, 0, 2}, 1, 3, 1)
	k := tensor.From([]float32{1, 0.5}, 2, 1)
	post := tensor.From([]float32{1, 10, 100}, 1, 3, 1)
	skip := tensor.From([]float32{1}, 1)
	fmt.Println(fft.GatedConv(u, k, fft.Gates{Post: post, Skip: skip}, nil).Data())
	// Output: [8 20 400]
}

// A filter that is used often, on plain slices, with what came before.
func ExampleKernel() {
	f, err := fft.NewKernel([]float32{1, 0.5, 0.25}, 3, 1, 1024)
	if err != nil {
		panic(err)
	}
	past := make([]float32, 2)
	for _, u := range [][]float32{{4, 0}, {0, 8}} {
		y := make([]float32, 2)
		f.Conv(y, u, past, 1, 2)
		f.Push(past, u, 1, 2)
		fmt.Println(y, past)
	}
	// Output:
	// [4 2] [4 0]
	// [1 8] [0 8]
}

// Without its high frequencies an impulse becomes a wave that began before it.
func ExampleNewSparseKernel() {
	k := []float32{1, 0, 0, 0, 0, 0, 0, 0}
	f, err := fft.NewSparseKernel(k, 8, 1, 8, func(bin, bins int) bool { return bin < bins/4 })
	if err != nil {
		panic(err)
	}
	y := make([]float32, 8)
	f.Conv(y, []float32{0, 0, 0, 1, 0, 0, 0, 0}, nil, 1, 8)
	fmt.Printf("%.2f\n", y[:7])
	// Output: [0.08 0.16 0.23 0.25 0.23 0.16 0.08]
}

func ExampleRealPlan() {
	p, err := fft.NewRealPlan(4)
	if err != nil {
		panic(err)
	}
	re, im := make([]float32, p.Bins()), make([]float32, p.Bins())
	p.Forward(re, im, []float32{1, 2, 3, 4}, 1)
	fmt.Println(re, im)
	// Output: [10 -2 -2] [0 2 0]
}
