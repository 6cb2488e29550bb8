package main

import (
	"math"

	"github.com/subquad/subquad/fft"
	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// A kernelCase is some work with the operations it takes and the bytes that
// must at least move.
type kernelCase struct {
	name        string
	level       hw.Level
	flop, bytes float64
	run         func()
}

func ramp(n int, lo, hi float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(lo + (hi-lo)*(0.5+0.5*math.Sin(float64(i)*0.7)))
	}
	return x
}

func kernelCases() (cases []kernelCase) {
	s := tensor.NewScope(tensor.Workers(1))
	add := func(name string, flop, bytes float64, f func()) {
		for _, l := range hw.Levels() {
			if l != hw.Portable {
				cases = append(cases, kernelCase{name, l, flop, bytes, func() { s.Reset(); f() }})
			}
		}
	}
	product := func(name string, d tensor.DType, m, n, k int) {
		x, w := ramp(m*k, -1, 1), tensor.As(d, tensor.From(ramp(n*k, -1, 1), n, k))
		add(name, 2*float64(m)*float64(n)*float64(k), float64(4*m*k+w.Bytes()+4*m*n), func() { tensor.MatMulT(s.From(x, m, k), w) })
	}
	product("product 512×3072×768", tensor.F32, 512, 3072, 768)
	product("product 1024³", tensor.F32, 1024, 1024, 1024)
	product("product 1×8192×2048, float32", tensor.F32, 1, 8192, 2048)
	product("product 1×8192×2048, bfloat16", tensor.BF16, 1, 8192, 2048)
	product("product 1×8192×2048, Q8_0", tensor.Q8_0, 1, 8192, 2048)

	const T, E, N = 512, 1536, 16
	x, dt, bc := ramp(T*E, -1, 1), ramp(T*E, 0.001, 0.1), ramp(T*N, -1, 1)
	A := tensor.From(ramp(E*N, -16, -1), E, N)
	add("Mamba's scan", 28*T*E*N, 12*T*E, func() {
		scan.Selective(s.From(x, 1, T, E), s.From(dt, 1, T, E), A, s.From(bc, 1, T, N), s.From(bc, 1, T, N), nil, nil)
	})
	matrix := func(name string, H, K, V int, rankOne bool) {
		q, v, g := ramp(T*H*K, -0.1, 0.1), ramp(T*H*V, -1, 1), ramp(T*H*K, -0.6, 0)
		ops := 6.0
		if rankOne {
			ops = 10
		}
		add(name, ops*float64(T*H*K*V), 4*float64(T*H*(3*K+2*V)), func() {
			qs := s.From(q, 1, T, H, K)
			in := scan.MatrixInput{Q: qs, K: qs, V: s.From(v, 1, T, H, V), LogDecay: s.From(g, 1, T, H, K)}
			if rankOne {
				in.A, in.B = qs, qs
			}
			scan.Matrix(in, nil)
		})
	}
	matrix("RWKV-7's recurrence", 12, 64, 64, true)
	matrix("Mamba-2's recurrence", 24, 128, 64, false)

	const L, H, D = 4096, 8, 64
	q := ramp(L*H*D, -1, 1)
	add("softmax attention, 4096", 2*L*L*H*D, 16*L*H*D, func() {
		x := s.From(q, 1, L, H, D)
		linattn.Softmax(x, x, x, linattn.SoftmaxOptions{}, nil)
	})
	const C = 64
	for _, n := range []int{4096, 65536} {
		u, y := ramp(n*C, -1, 1), make([]float32, n*C)
		if k, err := fft.NewKernel(ramp(n*C, -1, 1), n, C, n); err == nil {
			name := "long convolution, 4096"
			if n > 4096 {
				name = "long convolution, 65536"
			}
			add(name, C*(2*2.5*2*float64(n)*math.Log2(2*float64(n))+6*float64(n)), float64(12*n*C), func() { k.Conv(y, u, nil, 1, n) })
		}
	}
	return cases
}
