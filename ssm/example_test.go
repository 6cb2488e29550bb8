package ssm_test

import (
	"fmt"
	"math/cmplx"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

// show runs a prompt of 1000 tokens and one token after it, and prints the
// shape of what comes out, the tokens seen and the size of the state, which is
// the same whatever the length.
func show(l nn.Layer, err error) {
	if err != nil {
		fmt.Println(err)
		return
	}
	const width = 64
	st := l.NewState(1)
	l.Forward(tensor.New(1, 1000, width), st)
	y := l.Forward(tensor.New(1, 1, width), st)
	fmt.Println(y.Shape(), st.Pos, st.Bytes(), "bytes")
}

// All layers are used alike.
func Example() {
	m, err := ssm.NewMamba(ssm.MambaConfig{DModel: 64})
	if err != nil {
		fmt.Println(err) // a configuration that makes no layer
		return
	}
	st := m.NewState(1)
	m.Forward(tensor.New(1, 1000, 64), st)   // a prompt
	fork := st.Clone()                       // two ways to go on
	y := m.Forward(tensor.New(1, 1, 64), st) // one more token
	z := m.Forward(tensor.New(1, 20, 64), fork)
	fmt.Println(y.Shape(), st.Pos, z.Shape(), fork.Pos)
	// Output: [1 1 64] [1001] [1 20 64] [1020]
}

func ExampleNewS4() {
	show(ssm.NewS4(ssm.S4Config{DModel: 64}))
	// Output: [1 1 64] [1001] 16392 bytes
}

// The kernel that a state space amounts to, of any length.
func ExampleS4_Kernel() {
	l, err := ssm.NewS4(ssm.S4Config{DModel: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l.Kernel(nil, 1000).Shape())
	// Output: [1000 2]
}

func ExampleNewS4D() {
	l, err := ssm.NewS4D(ssm.S4DConfig{DModel: 32, Init: ssm.S4DLegS})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l.Forward(tensor.New(2, 100, 32), nil).Shape(), l.Kernel(nil, 100).Shape(), l.NewState(1).Bytes())
	// Output: [2 100 32] [100 32] 8200
}

func ExampleNewDSS() {
	show(ssm.NewDSS(ssm.DSSConfig{DModel: 64}))
	// Output: [1 1 64] [1001] 32776 bytes
}

func ExampleNewS5() {
	show(ssm.NewS5(ssm.S5Config{DModel: 64}))
	// Output: [1 1 64] [1001] 264 bytes
}

func ExampleNewH3() {
	show(ssm.NewH3(ssm.H3Config{DModel: 64, HeadDim: 4}))
	// Output: [1 1 64] [1001] 81800 bytes
}

// Filters of 1024 taps; a token costs as few multiply-adds as their logarithm squared.
func ExampleNewHyena() {
	show(ssm.NewHyena(ssm.HyenaConfig{DModel: 64, Length: 1024}))
	// Output: [1 1 64] [1001] 787984 bytes
}

// A Hyena of four modes a channel instead of 64 taps.
func ExampleHyena_Distill() {
	h, err := ssm.NewHyena(ssm.HyenaConfig{DModel: 8, Length: 64})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, worst, err := h.Distill(4)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(worst < 0.5, h.NewState(1).Bytes(), m.NewState(1).Bytes())
	// Output: true 6352 456
}

// Two modes are found in the values of their sum.
func ExampleFitModes() {
	k := make([]float64, 100)
	a, b := complex(0.9, 0), complex(-0.5, 0)
	for l := range k {
		k[l] = real(2*cmplx.Pow(a, complex(float64(l), 0)) + cmplx.Pow(b, complex(float64(l), 0)))
	}
	lambda, weights, worst, err := ssm.FitModes(k, 2)
	fmt.Printf("%.3f %.3f %v %v\n", real(lambda[0]), real(lambda[1]), worst < 1e-9, err)
	fmt.Printf("%.3f %.3f\n", real(weights[0]), real(weights[1]))
	// Output:
	// 0.900 -0.500 true <nil>
	// 2.000 1.000
}

func ExampleNewLRU() {
	show(ssm.NewLRU(ssm.LRUConfig{DModel: 64}))
	// Output: [1 1 64] [1001] 520 bytes
}

func ExampleNewRGLRU() {
	show(ssm.NewRGLRU(ssm.RGLRUConfig{DModel: 64}))
	// Output: [1 1 64] [1001] 1032 bytes
}

func ExampleNewMamba() {
	show(ssm.NewMamba(ssm.MambaConfig{DModel: 64}))
	// Output: [1 1 64] [1001] 9736 bytes
}

// Jamba's form of Mamba: norms within.
func ExampleNewMamba_jamba() {
	m, err := ssm.NewMamba(ssm.MambaConfig{DModel: 64, Norm: ssm.WeightedNorm})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range m.Params() {
		fmt.Println(p.Name, p.Shape())
	}
	// Output:
	// A_log [128 16]
	// D [128]
	// in_proj.weight [256 64]
	// conv1d.weight [128 4]
	// conv1d.bias [128]
	// x_proj.weight [36 128]
	// dt_proj.weight [128 4]
	// dt_proj.bias [128]
	// dt_layernorm.weight [4]
	// b_layernorm.weight [16]
	// c_layernorm.weight [16]
	// out_proj.weight [64 128]
}

func ExampleNewMamba2() {
	show(ssm.NewMamba2(ssm.Mamba2Config{DModel: 64, DState: 16}))
	// Output: [1 1 64] [1001] 10120 bytes
}

func ExampleNewMamba3() {
	show(ssm.NewMamba3(ssm.Mamba3Config{DModel: 64, DState: 16, HeadDim: 32}))
	// Output: [1 1 64] [1001] 9096 bytes
}

// Four inputs and outputs a head, of the same state.
func ExampleNewMamba3_mimo() {
	show(ssm.NewMamba3(ssm.Mamba3Config{DModel: 64, DState: 16, HeadDim: 32, Rank: 4}))
	// Output: [1 1 64] [1001] 11400 bytes
}

// A = −[1 0; √3 2], B = (1, √3): the state whose two numbers are the best line through all of the past.
func ExampleHiPPO_Matrices() {
	A, B, err := ssm.LegS.Matrices(2)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.3f %.3f\n", A.RawMatrix().Data, B)
	// Output: [-1.000 0.000 -1.732 -2.000] [1.000 1.732]
}
