package lm

import (
	"errors"
	"fmt"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// A Model is a language model: an embedding, blocks, a final norm and a head.
// Its weights are not changed by Forward, so one model serves many goroutines,
// each with a scope and a state of its own.
type Model struct {
	Arch      string // "rwkv4" to "rwkv7", or model_type of a Hugging Face configuration
	Embedding *nn.Embedding
	First     *nn.LayerNorm // on the embeddings; nil for none
	Blocks    []Block
	Norm      Map
	Head      *nn.Linear // its weight may be the embedding's

	kind  string
	names names
}

// A Map works on each token alone and has no state: a norm, an MLP.
type Map interface {
	Forward(x *tensor.Tensor) *tensor.Tensor
	Params() nn.Params
}

// names are the prefixes of a checkpoint's tensors.
type names struct{ embedding, blocks, norm, head string }

var blinkDL = names{"emb", "blocks", "ln_out", "head"}

// A Block is one layer of a model, residual connections included. Only this
// package makes them: New and NewRWKV, and the loaders.
type Block interface {
	Params() nn.Params
	NewState(batch int) *tensor.State
	// first is what a model's first block hands to all others beside the
	// residual stream x: RWKV-7's first values. nil in the first block, and
	// where there is no such thing.
	forward(x, first *tensor.Tensor, st *tensor.State) (y, first2 *tensor.Tensor)
}

// Vocab is the number of ids; ids are 0 to Vocab()−1.
func (m *Model) Vocab() int { return m.Embedding.Weight.Dim(0) }

// NewState is the state of batch sequences that have seen nothing, for Forward,
// Last and Hidden; Generate takes one of a single sequence. It serves this
// model's sizes, not its weights: models of the same sizes accept each other's
// states.
func (m *Model) NewState(batch int) *tensor.State {
	st := tensor.NewState(m.kind, batch)
	for _, b := range m.Blocks {
		inner := b.NewState(batch)
		largeState(inner)
		st.Sub = append(st.Sub, inner)
	}
	return st
}

func largeState(st *tensor.State) {
	for _, p := range st.Parts {
		p.Value.LargePages()
	}
	for _, s := range st.Sub {
		largeState(s)
	}
}

// checkIDs says what is wrong with ids, all of one length, and gives that length.
func (m *Model) checkIDs(ids [][]int, st *tensor.State) (length int, err error) {
	if len(ids) == 0 {
		return 0, errors.New("lm: no sequences")
	}
	for b, seq := range ids {
		if len(seq) != len(ids[0]) {
			return 0, fmt.Errorf("lm: sequence %d has %d tokens, sequence 0 has %d: want one length", b, len(seq), len(ids[0]))
		}
		for t, id := range seq {
			if id < 0 || id >= m.Vocab() {
				return 0, fmt.Errorf("lm: token %d of sequence %d is %d: want 0 to %d", t, b, id, m.Vocab()-1)
			}
		}
	}
	if st != nil && (st.Kind != m.kind || st.Batch != len(ids)) {
		return 0, fmt.Errorf("lm: the state is one of %q for %d sequences: want %q for %d", st.Kind, st.Batch, m.kind, len(ids))
	}
	return len(ids[0]), nil
}

// Hidden runs the sequences ids, all of one length, through the blocks and the
// final norm: [batch, length, channels]. st, if not nil, is continued; after an
// error in ids or st it is as it was. The result lives in s until s.Reset; a
// nil s means the heap. In a scope that does not record, memory is that of one
// layer.
func (m *Model) Hidden(s *tensor.Scope, ids [][]int, st *tensor.State) (x *tensor.Tensor, err error) {
	if _, err := m.checkIDs(ids, st); err != nil {
		return nil, err
	}
	defer caught(&err)
	if team(s, ids) {
		defer s.StopTeam()
	}
	return m.hidden(s, ids, st), nil
}

// team starts the scope's team for a call: between one operator and the next, waking
// goroutines takes longer than they are gone. A single token is worth it only to
// those who asked for workers.
func team(s *tensor.Scope, ids [][]int) bool {
	return (len(ids[0]) > 1 || s.Workers() > 1) && s.StartTeam()
}

func (m *Model) hidden(s *tensor.Scope, ids [][]int, st *tensor.State) *tensor.Tensor {
	x := m.Embedding.Forward(s, ids)
	if m.First != nil {
		x = m.First.Forward(x)
	}
	var first *tensor.Tensor
	for i, b := range m.Blocks {
		mark := s.Mark()
		x, first = b.forward(x, first, st.Inner(i))
		if i > 0 || first == nil { // the first block's memory holds what the others share
			x = s.Release(mark, x)
		}
	}
	st.Advance(len(ids[0]))
	return m.Norm.Forward(x)
}

// Forward gives the logits after every token, [batch, length, vocabulary]: for
// training (in a recording scope, with tensor.CrossEntropy) and for scoring
// texts. The head costs as much as several layers: see Last. ids, st and s are
// as Hidden's.
func (m *Model) Forward(s *tensor.Scope, ids [][]int, st *tensor.State) (logits *tensor.Tensor, err error) {
	if _, err := m.checkIDs(ids, st); err != nil {
		return nil, err
	}
	defer caught(&err)
	if team(s, ids) {
		defer s.StopTeam()
	}
	return m.Head.Forward(m.hidden(s, ids, st)), nil
}

// Last gives the logits after the last token only, [batch, vocabulary]: what
// reading a prompt needs, and each step of generation. ids, st and s are as
// Hidden's.
func (m *Model) Last(s *tensor.Scope, ids [][]int, st *tensor.State) (logits *tensor.Tensor, err error) {
	length, err := m.checkIDs(ids, st)
	if err != nil {
		return nil, err
	}
	if length == 0 {
		return nil, errors.New("lm: no tokens: there is no last one")
	}
	defer caught(&err)
	if team(s, ids) {
		defer s.StopTeam()
	}
	x := m.hidden(s, ids, st)
	last := tensor.Contiguous(x.Narrow(1, length-1, length))
	return m.Head.Forward(last.Reshape(len(ids), x.Dim(2))), nil
}

// caught turns a misuse panic of an operator into the error of an entry point.
func caught(err *error) {
	switch r := recover().(type) {
	case nil:
	case *tensor.ShapeError:
		*err = fmt.Errorf("lm: %w", r)
	default:
		panic(r)
	}
}

// Params lists the weights under the names of the checkpoint; a head that
// shares the embedding's weight is not listed again. They are the model's own:
// writing to them changes it.
func (m *Model) Params() nn.Params {
	p := m.Embedding.Params().Prefix(m.names.embedding)
	for i, b := range m.Blocks {
		name := fmt.Sprintf("%s.%d", m.names.blocks, i)
		if i == 0 && m.First != nil {
			p = append(p, m.First.Params().Prefix(name+".ln0")...)
		}
		p = append(p, b.Params().Prefix(name)...)
	}
	p = append(p, m.Norm.Params().Prefix(m.names.norm)...)
	if m.Head.Weight == m.Embedding.Weight {
		return p
	}
	return append(p, m.Head.Params().Prefix(m.names.head)...)
}

// Narrow holds the matrices of all linear maps, the embedding among them, in
// another type from now on: BF16, F16, or blocks such as Q8_0. A matrix whose
// rows are no multiple of the type's block stays as it is. Everything that is
// not a matrix of a linear map stays F32, and so does all arithmetic. Values
// are rounded, once, and the float32 ones are gone: narrowed matrices get no
// gradients, and Save writes what they were rounded to. It must not run beside
// a Forward.
func (m *Model) Narrow(d tensor.DType) {
	for _, p := range m.Params() {
		if p.Matrix && p.Fits(d) {
			p.Convert(d)
		}
	}
	m.largePages()
}

// largePages gathers the weights' memory: a token's time is that of reading them.
func (m *Model) largePages() {
	for _, p := range m.Params() {
		p.LargePages()
	}
}
