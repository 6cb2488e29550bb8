package rwkv_test

import (
	"fmt"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/rwkv"
	"github.com/subquad/subquad/tensor"
)

// generate reads a prompt of 100 tokens and one token more, and prints the
// output's shape, the tokens seen and the bytes of state.
func generate(l nn.Layer, err error) {
	if err != nil {
		fmt.Println(err)
		return
	}
	st := l.NewState(1)
	l.Forward(tensor.New(1, 100, 64), st)
	y := l.Forward(tensor.New(1, 1, 64), st)
	fmt.Println(y.Shape(), st.Pos, st.Bytes())
}

func ExampleNewChannelMix4() {
	generate(rwkv.NewChannelMix4(rwkv.Config4{DModel: 64}))
	// Output: [1 1 64] [101] 264
}

func ExampleNewTimeMix5() {
	generate(rwkv.NewTimeMix5(rwkv.Config56{DModel: 64}))                              // 5.2
	generate(rwkv.NewTimeMix5(rwkv.Config56{DModel: 64, PerHead: true}))               // 5.1
	generate(rwkv.NewTimeMix5(rwkv.Config56{DModel: 64, PerHead: true, NoGate: true})) // 5.0
	// Output:
	// [1 1 64] [101] 16648
	// [1 1 64] [101] 16648
	// [1 1 64] [101] 16648
}

func ExampleNewChannelMix5() {
	generate(rwkv.NewChannelMix5(rwkv.Config56{DModel: 64}))
	// Output: [1 1 64] [101] 264
}

func ExampleNewTimeMix6() {
	generate(rwkv.NewTimeMix6(rwkv.Config56{DModel: 64, HeadDim: 32, NormEps: 1e-5}))
	// Output: [1 1 64] [101] 8456
}

func ExampleNewChannelMix6() {
	generate(rwkv.NewChannelMix6(rwkv.Config56{DModel: 64}))
	// Output: [1 1 64] [101] 264
}

func ExampleNewChannelMix7() {
	generate(rwkv.NewChannelMix7(rwkv.Config7{DModel: 64}))
	// Output: [1 1 64] [101] 264
}

// The second layer of a model blends the values of the first into its own.
func ExampleTimeMix7_Mix() {
	first, err1 := rwkv.NewTimeMix7(rwkv.Config7{DModel: 64, NumLayers: 2})
	second, err2 := rwkv.NewTimeMix7(rwkv.Config7{DModel: 64, NumLayers: 2, Layer: 1})
	if err1 != nil || err2 != nil {
		fmt.Println(err1, err2)
		return
	}
	x := tensor.New(1, 10, 64)
	y, v := first.Mix(x, nil, nil)
	y, _ = second.Mix(tensor.Add(x, y), v, nil)
	fmt.Println(y.Shape())
	// Output: [1 10 64]
}

// Four query heads share one head of keys and values, as in a small Qwen2.
func ExampleNewTimeMixQ6() {
	generate(rwkv.NewTimeMixQ6(rwkv.ConfigConverted{DModel: 64, NumHeads: 4, NumKVHeads: 1}))
	// Output: [1 1 64] [101] 4360
}

func ExampleNewTimeMixQ7() {
	qwerky := rwkv.ConfigConverted{DModel: 64, NumHeads: 4, NumKVHeads: 1, RopeBase: 1e6}
	generate(rwkv.NewTimeMixQ7(qwerky))
	arwkv := rwkv.ConfigConverted{DModel: 64, NumHeads: 4, TokenShift: true, Bonus: true, DecayRank: 64, RateRank: 64, ValueRank: 32, GateRank: 128}
	generate(rwkv.NewTimeMixQ7(arwkv))
	// Output:
	// [1 1 64] [101] 4104
	// [1 1 64] [101] 4360
}
