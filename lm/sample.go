package lm

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// A Sampler chooses the next token from logits: of the TopK likeliest, with
// probabilities e^{logit/Temperature}, it keeps the likeliest that together
// have TopP, and draws one. The zero value is greedy. It is for one goroutine.
type Sampler struct {
	Temperature float64 // 0 means greedy: the largest logit, the first of equals
	TopK        int     // keep only the k likeliest tokens; 0 means all
	TopP        float64 // keep the likeliest tokens that together have probability TopP; 0 and 1 mean all
	Seed        uint64  // the same seed and logits give the same tokens

	rng  *rand.Rand
	best []candidate
}

type candidate struct {
	id int
	p  float64 // logit, then probability
}

func (s *Sampler) check() error {
	switch {
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0):
		return fmt.Errorf("lm: Temperature %v: want 0 (greedy) or a positive number", s.Temperature)
	case s.TopK < 0:
		return fmt.Errorf("lm: TopK %d: want 0 (all) or a positive number", s.TopK)
	case !(s.TopP >= 0 && s.TopP <= 1):
		return fmt.Errorf("lm: TopP %v: want 0 to 1", s.TopP)
	}
	return nil
}

// Next chooses a token from the logits of one sequence; a logit of −Inf is
// never chosen. Logits that are all −Inf or have a NaN or +Inf are an error.
// TopK and TopP sort the logits; otherwise a choice is one pass over them.
func (s *Sampler) Next(logits []float32) (int, error) {
	if err := s.check(); err != nil {
		return 0, err
	}
	top := -1
	for i, v := range logits {
		if v != v || math.IsInf(float64(v), 1) {
			return 0, fmt.Errorf("lm: logit %d is %v: want a finite number", i, v)
		}
		if top < 0 || v > logits[top] {
			top = i
		}
	}
	if top < 0 || math.IsInf(float64(logits[top]), -1) {
		return 0, fmt.Errorf("lm: no token is possible among %d logits", len(logits))
	}
	if s.Temperature == 0 || s.TopK == 1 {
		return top, nil
	}
	if s.rng == nil {
		s.rng = rand.New(rand.NewPCG(s.Seed, 0x5eed))
	}
	c := s.best[:0]
	for i, v := range logits {
		c = append(c, candidate{i, float64(v)})
	}
	s.best = c
	if s.TopK > 0 || s.TopP > 0 && s.TopP < 1 {
		slices.SortFunc(c, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(b.p, a.p), cmp.Compare(a.id, b.id))
		})
		if s.TopK > 0 && s.TopK < len(c) {
			c = c[:s.TopK]
		}
	}
	sum := 0.0
	for i := range c {
		c[i].p = math.Exp((c[i].p - float64(logits[top])) / s.Temperature)
		sum += c[i].p
	}
	if s.TopP > 0 && s.TopP < 1 {
		kept, n := 0.0, 0
		for n < len(c) && kept < s.TopP*sum {
			kept += c[n].p
			n++
		}
		c, sum = c[:n], kept
	}
	u := s.rng.Float64() * sum
	for _, x := range c {
		if u -= x.p; u < 0 {
			return x.id, nil
		}
	}
	return c[len(c)-1].id, nil // rounding
}
