// Command newlayer trains a layer that is written in this folder, on a task
// that needs memory: to say at the end of a sequence what came first.
package main

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

func main() {
	steps := flag.Int("steps", 300, "steps of training")
	length := flag.Int("length", 32, "length of the sequences")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: go run ./examples/newlayer [flags]\n\nTrains a layer written in 60 lines to remember the first token of a sequence.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(*steps, *length); err != nil {
		fmt.Fprintln(os.Stderr, "newlayer:", err)
		os.Exit(1)
	}
}

const width, symbols, batch = 32, 8, 16

func run(steps, length int) error {
	if steps < 1 || length < 2 {
		return fmt.Errorf("-steps %d, -length %d: want at least 1 and 2", steps, length)
	}
	l, err := NewLeaky(width, 1)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	embed := &nn.Embedding{Weight: nn.Normal(nn.NewRNG(2), 1, symbols+1, width)}
	head, err := nn.NewLinear(width, symbols, false, nn.NewRNG(3))
	if err != nil {
		return err
	}
	params := append(l.Params(), append(embed.Params(), head.Params()...)...)
	moment := make([][]float32, len(params))
	s := tensor.NewScope(tensor.Record())
	for step := 1; step <= steps; step++ {
		// The first token is a symbol, the others noise that looks like one of two.
		ids, targets := make([][]int, batch), make([]int, batch)
		for b := range ids {
			ids[b] = make([]int, length)
			targets[b] = rng.IntN(symbols)
			ids[b][0] = targets[b]
			for t := 1; t < length; t++ {
				ids[b][t] = symbols
			}
		}
		s.Reset()
		params.ZeroGrad()
		y := l.Forward(embed.Forward(s, ids), nil)
		logits := head.Forward(tensor.Contiguous(y.Narrow(1, length-1, length)).Reshape(batch, width))
		loss := tensor.CrossEntropy(logits, targets)
		s.Backward(loss)
		for i, p := range params { // gradient descent with momentum, clipped
			if moment[i] == nil {
				moment[i] = make([]float32, p.Len())
			}
			for j, g := range p.Grad().Data() {
				moment[i][j] = 0.9*moment[i][j] + float32(math.Max(-1, math.Min(1, float64(g))))
				p.Data()[j] -= 0.1 * moment[i][j]
			}
		}
		if step == 1 || step%max(1, steps/10) == 0 {
			fmt.Printf("step %4d   loss %.4f   (guessing: %.4f)\n", step, loss.At(), math.Log(symbols))
		}
	}
	return nil
}
