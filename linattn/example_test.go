package linattn_test

import (
	"fmt"

	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

func ExampleNewGatedDeltaNet() {
	l, err := linattn.NewGatedDeltaNet(linattn.GatedDeltaNetConfig{DModel: 128, NumHeads: 2, HeadDim: 32})
	if err != nil {
		fmt.Println(err)
		return
	}
	st := l.NewState(1)
	l.Forward(tensor.New(1, 1000, 128), st)   // a prompt
	y := l.Forward(tensor.New(1, 1, 128), st) // one more token
	fmt.Println(y.Shape(), st.Pos, st.Bytes())
	// Output: [1 1 128] [1001] 19464
}

func ExampleNewLinearAttention() {
	l, err := linattn.NewLinearAttention(linattn.LinearAttentionConfig{DModel: 64, NumHeads: 2, FeatureMap: tensor.ReLU})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l.Forward(tensor.New(2, 10, 64), nil).Shape(), l.NewState(1).Bytes())
	// Output: [2 10 64] 8456
}

func ExampleJRTPrompt() {
	document, question := []int{10, 11, 12}, []int{7}
	fmt.Println(linattn.JRTPrompt(document, question))
	// Output: [10 11 12 7 10 11 12 7]
}

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

// A window of 16 keys and a sink, and all keys with ALiBi.
func ExampleNewAttention_sinks() {
	generate(linattn.NewAttention(linattn.AttentionConfig{DModel: 64, NumHeads: 4, NumKVHeads: 2, Window: 16, Sinks: true}))
	generate(linattn.NewAttention(linattn.AttentionConfig{DModel: 64, NumHeads: 4, ALiBi: true}))
	// Output:
	// [1 1 64] [101] 4104
	// [1 1 64] [101] 102408
}

// A feature map of one's own: squares, without a normaliser.
func ExampleFeatureMap() {
	generate(linattn.NewLinearAttention(linattn.LinearAttentionConfig{DModel: 64, NumHeads: 4, FeatureMap: tensor.Square, Unnormalized: true, OutputNorm: true}))
	// Output: [1 1 64] [101] 4104
}

func ExampleNewRebased() {
	generate(linattn.NewRebased(linattn.RebasedConfig{DModel: 64}))
	// Output: [1 1 64] [101] 35368
}

func ExampleNewLightning() {
	generate(linattn.NewLightning(linattn.LightningConfig{DModel: 64, NumHeads: 2, Layer: 1, NumLayers: 12}))
	// Output: [1 1 64] [101] 8200
}

func ExampleNewRetNet() {
	generate(linattn.NewRetNet(linattn.RetNetConfig{DModel: 64, NumHeads: 2}))
	// Output: [1 1 64] [101] 16392
}

func ExampleNewGLA() {
	generate(linattn.NewGLA(linattn.GLAConfig{DModel: 64, NumHeads: 2}))
	// Output: [1 1 64] [101] 4104
}

func ExampleNewSimpleGLA() {
	generate(linattn.NewSimpleGLA(linattn.SimpleGLAConfig{DModel: 64, NumHeads: 2}))
	// Output: [1 1 64] [101] 10504
}

func ExampleNewHGRN() {
	generate(linattn.NewHGRN(linattn.HGRNConfig{DModel: 64}))
	// Output: [1 1 64] [101] 264
}

func ExampleNewHGRN2() {
	generate(linattn.NewHGRN2(linattn.HGRN2Config{DModel: 64, NumHeads: 2}))
	// Output: [1 1 64] [101] 8200
}

func ExampleNewGSA() {
	generate(linattn.NewGSA(linattn.GSAConfig{DModel: 64, NumHeads: 2, NumSlots: 16}))
	// Output: [1 1 64] [101] 8200
}

// Keys may be subtracted, not only erased: β goes up to 2.
func ExampleNewDeltaNet() {
	generate(linattn.NewDeltaNet(linattn.DeltaNetConfig{DModel: 64, NumHeads: 2, NegEigval: true}))
	// Output: [1 1 64] [101] 10504
}

func ExampleNewDeltaProduct() {
	generate(linattn.NewDeltaProduct(linattn.DeltaProductConfig{DModel: 64, NumHeads: 2, Steps: 3}))
	// Output: [1 1 64] [101] 14984
}

func ExampleNewDPLR() {
	generate(linattn.NewDPLR(linattn.DPLRConfig{DModel: 64, NumHeads: 2}))
	// Output: [1 1 64] [101] 10504
}

func ExampleNewKDA() {
	generate(linattn.NewKDA(linattn.KDAConfig{DModel: 64, NumHeads: 2, HeadDim: 32}))
	// Output: [1 1 64] [101] 10504
}

func ExampleNewBaseConv() {
	generate(linattn.NewBaseConv(linattn.BaseConvConfig{DModel: 64}))
	// Output: [1 1 64] [101] 1032
}

func ExampleNewBasedStack() {
	generate(linattn.NewBasedStack(linattn.BasedStackConfig{DModel: 64}))
	// Output: [1 1 64] [101] 73604
}

// The prompt is the prefix: each of its tokens sees all of it.
func ExampleNewJRT() {
	generate(linattn.NewJRT(linattn.JRTConfig{DModel: 64, EncLength: 100}))
	// Output: [1 1 64] [101] 39788
}

func ExampleNewLoLCATs() {
	generate(linattn.NewLoLCATs(linattn.LoLCATsConfig{DModel: 64, NumHeads: 4, NumKVHeads: 2, Window: 16, RopeBase: 10000}))
	// Output: [1 1 64] [101] 12936
}

// Eight levels remember 128 tokens.
func ExampleNewLogLinearMamba2() {
	generate(linattn.NewLogLinearMamba2(linattn.LogLinearConfig{DModel: 64, HeadDim: 32, DState: 16, MaxLevels: 8}))
	// Output: [1 1 64] [101] 47416
}

// Two documents of 5 and 8 tokens, each followed by what is asked about it.
func ExampleJRT_ForwardPrefix() {
	l, err := linattn.NewJRT(linattn.JRTConfig{DModel: 64})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l.ForwardPrefix(tensor.New(2, 12, 64), []int{5, 8}, nil).Shape())
	// Output: [2 12 64]
}
