package tensor_test

import (
	"bytes"
	"fmt"

	"github.com/subquad/subquad/tensor"
)

func Example() {
	x := tensor.From([]float32{1, 2, 3, 4}, 2, 2)
	w := tensor.From([]float32{1, 0, 1, 1}, 2, 2).Track() // a Linear's weight: [out, in]
	s := tensor.NewScope(tensor.Record())
	loss := tensor.SumAll(tensor.Square(tensor.MatMulT(tensor.Enter(s, x), w)))
	s.Backward(loss)
	fmt.Println(loss.At(), w.Grad().Data())
	// Output: 68 [20 28 48 68]
}

func ExampleScope_Reset() {
	s := tensor.NewScope()
	for range 3 { // the second and third round allocate nothing
		s.Reset()
		y := tensor.Add(s.From([]float32{1, 2}, 2), s.From([]float32{10, 20}, 2))
		fmt.Println(y.Data())
	}
	// Output:
	// [11 22]
	// [11 22]
	// [11 22]
}

// An operator of one's own, x³, with its gradient.
func ExampleOnBackward() {
	cube := func(x *tensor.Tensor) *tensor.Tensor {
		x = tensor.Contiguous(x)
		y := tensor.Out("cube", x.Shape(), x)
		for i, v := range x.Data() {
			y.Data()[i] = v * v * v
		}
		if y.Recording() {
			tensor.OnBackward(func() {
				if !x.NeedsGrad() {
					return
				}
				dx, dy := x.Grad().Data(), y.Grad().Data()
				for i, v := range x.Data() {
					dx[i] += 3 * v * v * dy[i]
				}
			}, y)
		}
		return y
	}
	x := tensor.From([]float32{1, 2}, 2).Track()
	s := tensor.NewScope(tensor.Record())
	s.Backward(tensor.SumAll(cube(tensor.Enter(s, x))))
	fmt.Println(x.Grad().Data())
	// Output: [3 12]
}

// Every operator has a plain form in float64, which its fast one is held against.
func ExampleFloat64() {
	one, three := tensor.From([]float32{1}, 1), tensor.From([]float32{3}, 1)
	for _, s := range []*tensor.Scope{tensor.NewScope(), tensor.NewScope(tensor.Float64())} {
		fmt.Println(tensor.Div(tensor.Enter(s, one), three).Float64s())
	}
	// Output:
	// [0.3333333432674408]
	// [0.3333333333333333]
}

func ExampleState_Clone() {
	st := tensor.NewState("counter", 1).Add("n", tensor.New(1, 1))
	fork := st.Clone()
	fork.Parts[0].Value.Data()[0]++
	fmt.Println(st.Parts[0].Value.Data(), fork.Parts[0].Value.Data())
	// Output: [0] [1]
}

// A state goes on where it was saved; one of another kind is refused.
func ExampleState_WriteTo() {
	st := tensor.NewState("counter", 1).Add("n", tensor.From([]float32{3}, 1, 1))
	var file bytes.Buffer
	if _, err := st.WriteTo(&file); err != nil {
		fmt.Println(err)
	}
	saved := file.Bytes()
	again := tensor.NewState("counter", 1).Add("n", tensor.New(1, 1))
	_, err := again.ReadFrom(bytes.NewReader(saved))
	fmt.Println(again.Parts[0].Value.Data(), err)
	_, err = tensor.NewState("clock", 1).ReadFrom(bytes.NewReader(saved))
	fmt.Println(err)
	// Output:
	// [3] <nil>
	// tensor: saved state: state is of kind "counter", want "clock"
}
