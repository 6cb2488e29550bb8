package nn_test

import (
	"fmt"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

func ExampleLinear() {
	l := &nn.Linear{Weight: tensor.From([]float32{1, 2, 3, 4}, 2, 2)}
	fmt.Println(l.Forward(tensor.From([]float32{1, 10}, 1, 1, 2)).Data())
	// Output: [21 43]
}

func ExampleTokenShift() {
	state := tensor.NewState("shift", 1).Add("x", tensor.New(1, 1))
	fmt.Println(nn.TokenShift(tensor.From([]float32{1, 2, 3}, 1, 3, 1), state.Part(0)).Data())
	fmt.Println(nn.TokenShift(tensor.From([]float32{4}, 1, 1, 1), state.Part(0)).Data()) // goes on
	// Output:
	// [0 1 2]
	// [3]
}

// Three taps, of which the last meets the current token.
func ExampleShortConv() {
	c := &nn.ShortConv{Weight: tensor.From([]float32{0.25, 0.5, 1}, 1, 3)}
	state := tensor.NewState("conv", 1).Add("x", tensor.New(1, 2, 1))
	fmt.Println(c.Forward(tensor.From([]float32{4, 0}, 1, 2, 1), state.Part(0)).Data())
	fmt.Println(c.Forward(tensor.From([]float32{0, 8}, 1, 2, 1), state.Part(0)).Data()) // goes on
	// Output:
	// [4 2]
	// [1 8]
}

// A layer's weights, by name.
func ExampleMLP() {
	m, err := nn.NewMLP(nn.MLPConfig{DModel: 4, DHidden: 6})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range m.Params() {
		fmt.Println(p.Name, p.Shape())
	}
	fmt.Println(m.Params().Count(), m.Forward(tensor.New(1, 3, 4)).Shape())
	// Output:
	// gate_proj.weight [6 4]
	// up_proj.weight [6 4]
	// down_proj.weight [4 6]
	// 72 [1 3 4]
}

// Two sequences of two and three tokens in one call, as each alone.
func ExamplePacked() {
	x := tensor.From([]float32{1, 1, 1, 1, 1}, 1, 5, 1)
	fmt.Println(nn.Packed(running{}, x, []int{0, 2, 5}, nil).Data())
	// Output: [1 2 1 2 3]
}

// running is a layer of one channel: the sum so far.
type running struct{}

func (running) Params() nn.Params { return nil }

func (running) NewState(batch int) *tensor.State {
	return tensor.NewState("running", batch).Add("sum", tensor.New(batch, 1))
}

func (running) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	y := tensor.Cumsum(x, 1)
	if st != nil {
		y = tensor.Add(y, st.Part(0).Read(x.Scope()).Reshape(x.Dim(0), 1, 1))
		st.Part(0).Write(y.Select(1, y.Dim(1)-1))
		st.Advance(x.Dim(1))
	}
	return y
}
