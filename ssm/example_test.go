package ssm_test

import (
	"fmt"

	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

func ExampleNewMamba() {
	m, err := ssm.NewMamba(ssm.MambaConfig{DModel: 64})
	if err != nil {
		fmt.Println(err)
		return
	}
	st := m.NewState(1)
	m.Forward(tensor.New(1, 1000, 64), st)   // a prompt
	y := m.Forward(tensor.New(1, 1, 64), st) // one more token
	fmt.Println(y.Shape(), st.Pos, st.Bytes())
	// Output: [1 1 64] [1001] 9736
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

// A sequence and a token after it; the state is the same whatever the length.
func ExampleNewMamba2() {
	m, err := ssm.NewMamba2(ssm.Mamba2Config{DModel: 64, DState: 16})
	if err != nil {
		fmt.Println(err)
		return
	}
	st := m.NewState(1)
	m.Forward(tensor.New(1, 1000, 64), st)
	y := m.Forward(tensor.New(1, 1, 64), st)
	fmt.Println(y.Shape(), st.Pos, st.Bytes())
	// Output: [1 1 64] [1001] 10120
}
