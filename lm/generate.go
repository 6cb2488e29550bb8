package lm

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/subquad/subquad/tensor"
)

// Options say how Generate goes on. The zero value is greedy and ends only with ctx.
type Options struct {
	MaxTokens int      // tokens to generate; 0 means until ctx ends or a stop token comes
	Stop      []int    // ids that end generation; they are not yielded
	Sampler   *Sampler // nil means greedy; it keeps its random numbers' place from call to call
	Workers   int      // bound on goroutines; 0 means GOMAXPROCS for prompts and 1 for single tokens, for which two or more stay awake as a team
	Chunk     int      // prompt tokens read at a time, which bounds memory; 0 means 256

	Precision tensor.Precision // of matrix products while the prompt is read; see tensor.MatMulPrecision
}

// Generate continues prompt, token by token. st is the state of one sequence,
// which is continued: generating again with what came last as the prompt goes
// on where this ended. (The state has seen all yielded tokens but the last.)
// The iteration ends after MaxTokens, at a stop token, or with an error, such
// as ctx's, which is polled between pieces of the prompt and between tokens.
func (m *Model) Generate(ctx context.Context, prompt []int, st *tensor.State, o Options) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		if err := m.generate(ctx, prompt, st, o, func(id int) bool { return yield(id, nil) }); err != nil {
			yield(0, err)
		}
	}
}

func (m *Model) generate(ctx context.Context, prompt []int, st *tensor.State, o Options, yield func(int) bool) error {
	if o.MaxTokens < 0 || o.Chunk < 0 {
		return fmt.Errorf("lm: MaxTokens %d, Chunk %d: want 0 or more", o.MaxTokens, o.Chunk)
	}
	if o.Precision > tensor.Medium {
		return fmt.Errorf("lm: Precision %d: want tensor.Highest, High or Medium", o.Precision)
	}
	if o.Chunk == 0 {
		o.Chunk = 256
	}
	sampler := o.Sampler
	if sampler == nil {
		sampler = &Sampler{}
	}
	if len(prompt) == 0 {
		return errors.New("lm: the prompt is empty: want at least one token to start from")
	}
	if st == nil {
		return errors.New("lm: Generate needs a state: pass NewState(1)")
	}
	if _, err := m.checkIDs([][]int{prompt}, st); err != nil {
		return err
	}
	var logits *tensor.Tensor
	s := tensor.NewScope(tensor.Workers(o.Workers), tensor.MatMulPrecision(o.Precision))
	for rest := prompt; len(rest) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(o.Chunk, len(rest))
		s.Reset()
		var err error
		if logits, err = m.Last(s, [][]int{rest[:n]}, st); err != nil {
			return err
		}
		rest = rest[n:]
	}
	// One token at a time has little work to share: waking a goroutine costs as much as a matrix. A team stays awake.
	step := tensor.NewScope(tensor.Workers(max(1, o.Workers)))
	if step.StartTeam() {
		defer step.StopTeam()
	}
	ids := [][]int{make([]int, 1)}
	for n := 1; ; n++ {
		id, err := sampler.Next(logits.Data())
		if err != nil {
			return err
		}
		if slices.Contains(o.Stop, id) || !yield(id) || n == o.MaxTokens {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		step.Reset()
		ids[0][0] = id
		if logits, err = m.Last(step, ids, st); err != nil {
			return err
		}
	}
}
