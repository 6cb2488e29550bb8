package nn_test

import (
	"math"
	"testing"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// sum is a layer that remembers the sum of what came so far.
type sum struct{ d int }

func (l sum) Params() nn.Params { return nil }

func (l sum) NewState(batch int) *tensor.State {
	return tensor.NewState("sum", batch).Add("sum", tensor.New(batch, l.d))
}

func (l sum) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	B, T := x.Dim(0), x.Dim(1)
	y := tensor.Out("sum", x.Shape(), x)
	_, after := st.Part(0).Begin(y.Scope(), "sum", B, l.d)
	for b := range B {
		for t := range T {
			for c := range l.d {
				v := after.Data()[b*l.d+c] + float32(x.At(b, t, c))
				after.Data()[b*l.d+c] = v
				y.Data()[(b*T+t)*l.d+c] = v
			}
		}
	}
	st.Part(0).End(after)
	st.Advance(T)
	return y
}

func TestLong(t *testing.T) {
	const B, T, C = 3, 1000, 256
	l := sum{C}
	s := tensor.NewScope()
	x := make([]float32, B*T*C)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	want := l.Forward(s.From(x, B, T, C), nil)
	st := l.NewState(B)
	for name, got := range map[string]*tensor.Tensor{"no state": nn.Long(l, s.From(x, B, T, C), nil), "state": nn.Long(l, s.From(x, B, T, C), st)} {
		for i, v := range want.Data() {
			if math.Abs(float64(v-got.Data()[i])) > 0 {
				t.Fatalf("%s: element %d is %v, want %v", name, i, got.Data()[i], v)
			}
		}
	}
	if st.Pos[0] != T {
		t.Errorf("the state counts %d tokens, want %d", st.Pos[0], T)
	}
}
