package lm

import (
	"slices"
	"testing"

	"github.com/subquad/subquad/tensor"
)

// A team gives the same bits as one goroutine, for a text and then token after token, whether it lives for
// one of them or for all.
func TestTeamSameBits(t *testing.T) {
	m, err := New(Config{ModelType: "mamba", VocabSize: 3000, HiddenSize: 256, NumLayers: 2, Tied: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []tensor.DType{tensor.F32, tensor.BF16, tensor.Q8_0, tensor.Q4_K} {
		m.Narrow(d)
		one, each, all := tensor.NewScope(tensor.Workers(1)), tensor.NewScope(tensor.Workers(3)), tensor.NewScope(tensor.Workers(2))
		if !all.StartTeam() || all.StartTeam() {
			t.Fatal("a team starts once")
		}
		states := []*tensor.State{m.NewState(1), m.NewState(1), m.NewState(1)}
		for token := range 6 {
			text := []int{token * 17}
			if token == 0 {
				text = make([]int, 40)
			}
			var want []float32
			for i, s := range []*tensor.Scope{one, each, all} {
				s.Reset()
				logits, err := m.Last(s, [][]int{text}, states[i])
				if err != nil {
					t.Fatal(err)
				}
				if want == nil {
					want = slices.Clone(logits.Data())
				}
				if !slices.Equal(logits.Data(), want) {
					t.Fatalf("%v, token %d: scope %d has other logits", d, token, i)
				}
			}
		}
		all.StopTeam()
		all.StopTeam()
	}
	if tensor.NewScope(tensor.Workers(1)).StartTeam() || tensor.NewScope(tensor.Workers(2), tensor.Record()).StartTeam() || (*tensor.Scope)(nil).StartTeam() {
		t.Error("a scope of one worker, or that records, has no team")
	}
}
